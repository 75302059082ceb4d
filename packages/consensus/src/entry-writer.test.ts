import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { EntryWriter, type LogEnd } from './entry-writer.ts'
import { checkPayload, type PayloadRun } from './payload-check.ts'

const SEGMENT_BYTES = 8192
const EMPTY: LogEnd = { endPosition: 0, lastIndex: -1, lastTerm: -1, lastChainCrc: 0 }

function newArena(): LogArena {
  const arena = new LogArena(LogArena.allocate({ sizeBytes: 16_384, maxEntryBytes: 2048 }))
  arena.reset(0)
  return arena
}

/** Lays one entry whose body is `fill` repeated, as durable at once. */
function lay(
  arena: LogArena,
  writer: EntryWriter,
  bodyBytes: number,
  fill: number,
  term = 1,
): void {
  const offset = writer.claim(bodyBytes)
  assert.ok(offset >= 0)
  arena.bytes.fill(fill, offset, offset + bodyBytes)
  writer.seal(term)
  arena.appended = writer.endPosition
  arena.durable = writer.endPosition
}

/** The bytes [from, to) as a peer would get them. */
function bytesOf(arena: LogArena, from: number, to: number): Buffer {
  const pieces: Buffer[] = []
  arena.forEachPiece(from, to, (_position, offset, sizeBytes) => {
    pieces.push(Buffer.from(arena.bytes.subarray(offset, offset + sizeBytes)))
  })
  return Buffer.concat(pieces)
}

function check(payload: Buffer, from: number, previousChainCrc: number | undefined): PayloadRun {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  return checkPayload(payload, view, 0, payload.length, {
    fromPosition: from,
    previousChainCrc,
    segmentBytes: SEGMENT_BYTES,
    lapBytes: 16_384,
    maxPieceBytes: 2048,
  })
}

test('what a leader lays, a follower checks and lays again byte by byte, over segments and laps', () => {
  const turns = fc.array(
    fc.array(fc.record({ bodyBytes: fc.integer({ min: 0, max: 1900 }), fill: fc.nat(255) }), {
      minLength: 1,
      maxLength: 4,
    }),
    { minLength: 1, maxLength: 25 },
  )
  fc.assert(
    fc.property(turns, (batches) => {
      const leaderArena = newArena()
      const leader = new EntryWriter(leaderArena, SEGMENT_BYTES, EMPTY)
      const followerArena = newArena()
      const follower = new EntryWriter(followerArena, SEGMENT_BYTES, EMPTY)
      for (const batch of batches) {
        const from = leader.endPosition
        for (const { bodyBytes, fill } of batch) lay(leaderArena, leader, bodyBytes, fill)
        const payload = bytesOf(leaderArena, from, leader.endPosition)
        const run = check(payload, from, follower.lastChainCrc)
        assert.equal(run.problem, '')
        assert.equal(run.endPosition, leader.endPosition)
        assert.equal(run.lastIndex, leader.lastIndex)
        assert.ok(follower.copyRun(payload, 0, from, run.pieceEnds, run))
        followerArena.appended = follower.endPosition
        followerArena.durable = follower.endPosition
        assert.equal(follower.lastChainCrc, leader.lastChainCrc)
        assert.deepEqual(bytesOf(followerArena, from, follower.endPosition), payload)
      }
    }),
    { numRuns: 150 },
  )
})

test('one flipped bit anywhere in a payload is refused', () => {
  const arena = newArena()
  const writer = new EntryWriter(arena, SEGMENT_BYTES, EMPTY)
  for (const fill of [1, 2, 3]) lay(arena, writer, 200, fill)
  const payload = bytesOf(arena, 0, writer.endPosition)
  assert.ok(check(payload, 0, 0).ok)
  for (let bit = 0; bit < payload.length * 8; bit += 7) {
    const damaged = Buffer.from(payload)
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    const run = check(damaged, 0, 0)
    assert.ok(!run.ok, `bit ${bit} went unnoticed`)
  }
})

test('a payload that follows another history is refused by its chain', () => {
  const arena = newArena()
  const writer = new EntryWriter(arena, SEGMENT_BYTES, EMPTY)
  lay(arena, writer, 100, 1)
  const from = writer.endPosition
  const chain = writer.lastChainCrc
  lay(arena, writer, 100, 2)
  const payload = bytesOf(arena, from, writer.endPosition)
  assert.ok(check(payload, from, chain).ok)
  assert.ok(!check(payload, from, chain ^ 1).ok)
})

test('an entry without checksums is refused behind one that has them', () => {
  const arena = newArena()
  const writer = new EntryWriter(arena, SEGMENT_BYTES, EMPTY)
  lay(arena, writer, 100, 1)
  const from = writer.endPosition
  lay(arena, writer, 100, 2)
  const payload = bytesOf(arena, from, writer.endPosition)
  payload.fill(0, 36, 44)
  assert.equal(check(payload, from, 0).ok, true)
  assert.equal(check(payload, from, 4711).ok, false)
})

test('an entry that no segment can hold is refused without a trace', () => {
  const arena = newArena()
  const writer = new EntryWriter(arena, 1024, EMPTY)
  assert.equal(writer.claim(1024), -2)
  assert.equal(writer.endPosition, 0)
})

test('a writer that runs into bytes not yet durable is busy, and goes on once they are', () => {
  const arena = newArena()
  const writer = new EntryWriter(arena, SEGMENT_BYTES, EMPTY)
  let laid = 0
  for (; ; laid++) {
    const offset = writer.claim(1500)
    if (offset === -1) break
    writer.seal(1)
    arena.appended = writer.endPosition
    assert.ok(laid < 100)
  }
  assert.ok(writer.endPosition <= arena.sizeBytes + 2048)
  arena.durable = writer.endPosition
  assert.ok(writer.claim(1500) >= 0)
})
