import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { LogArena } from './log-arena.ts'

const SIZE_BYTES = 8192
const MAX_ENTRY_BYTES = 1500

function arenaAt(position: number): { writer: LogArena; reader: LogArena } {
  const shared = LogArena.allocate({ sizeBytes: SIZE_BYTES, maxEntryBytes: MAX_ENTRY_BYTES })
  const writer = new LogArena(shared)
  writer.reset(position)
  return { writer, reader: new LogArena(shared) }
}

/** The byte that the log has at a position, different in every lap. */
function byteAt(position: number): number {
  return (position * 31 + Math.floor(position / 251)) & 255
}

/** Writes an entry of pattern bytes at the end; false when the arena refuses. */
function append(writer: LogArena, sizeBytes: number): boolean {
  const position = writer.appended
  const offset = writer.claim(position, sizeBytes)
  if (offset < 0) return false
  for (let index = 0; index < sizeBytes; index++) {
    writer.bytes[offset + index] = byteAt(position + index)
  }
  writer.appended = position + sizeBytes
  return true
}

/** Reads [from, to) piece by piece and checks every byte. Returns the number of pieces. */
function assertRange(reader: LogArena, from: number, to: number): number {
  let position = from
  let pieces = 0
  reader.forEachPiece(from, to, (at, offset, sizeBytes) => {
    assert.equal(at, position)
    for (let index = 0; index < sizeBytes; index++) {
      if (reader.bytes[offset + index] !== byteAt(at + index)) {
        assert.fail(`wrong byte at position ${at + index}, range ${from} to ${to}`)
      }
    }
    position += sizeBytes
    pieces++
  })
  assert.equal(position, to)
  return pieces
}

test('an entry that crosses the end of a lap is contiguous, and a range over it has two pieces', () => {
  const { writer, reader } = arenaAt(0)
  for (let count = 0; count < 5; count++) assert.ok(append(writer, 1500))
  writer.durable = writer.appended
  assert.ok(append(writer, 1500))
  assert.equal(writer.offsetOf(7500), 7500)
  assert.equal(assertRange(reader, 7500, 9000), 1)
  assert.ok(append(writer, 1000))
  assert.equal(assertRange(reader, 6000, 10_000), 2)
  assert.equal(assertRange(reader, 9000, 10_000), 1)
  assert.equal(writer.offsetOf(9000), 808)
})

test('a claim is refused until what it overwrites is durable and no longer pinned', () => {
  const { writer, reader } = arenaAt(0)
  let appended = 0
  while (append(writer, 1000)) appended += 1000
  assert.equal(appended, 8000)
  assert.equal(reader.oldest, 0)
  writer.durable = 4000
  writer.pinned = 500
  assert.equal(append(writer, 1000), false)
  writer.pinned = 2000
  assert.ok(append(writer, 1000))
  assert.ok(reader.oldest >= 808 && reader.oldest <= 2000)
  assert.equal(reader.holds(800), false)
  assert.equal(reader.holds(2000), true)
  assert.ok(append(writer, 1000))
  assert.equal(append(writer, 1000), false)
  writer.pinned = Number.POSITIVE_INFINITY
  assert.ok(append(writer, 1000))
})

test('claims leave no gap, but an unpublished one may be claimed anew', () => {
  const { writer } = arenaAt(5000)
  assert.equal(writer.claim(5000, 700), 5000)
  assert.equal(writer.claim(5700, 700), 5700)
  assert.equal(writer.claim(5000, 300), 5000)
  assert.throws(() => writer.claim(5700, 10), /without a gap/)
  assert.throws(() => {
    writer.appended = 5301
  }, /does not pass/)
  writer.appended = 5300
  assert.throws(() => writer.claim(5000, 10), /without a gap/)
  assert.throws(() => writer.claim(5300, MAX_ENTRY_BYTES + 9), /one entry/)
})

test('after a truncation below the oldest position the arena is empty there', () => {
  const { writer, reader } = arenaAt(0)
  for (let count = 0; count < 40; count++) {
    writer.durable = writer.appended
    assert.ok(append(writer, 1000))
  }
  writer.durable = 2000
  writer.truncate(2000)
  assert.equal(reader.appended, 2000)
  assert.equal(reader.oldest, 2000)
  for (let count = 0; count < 20; count++) {
    assert.ok(append(writer, 700))
    writer.durable = writer.appended
  }
  assertRange(reader, reader.oldest, reader.appended)
})

test('a cut-off suffix is not overwritten while a socket still holds bytes of it', () => {
  const { writer } = arenaAt(0)
  for (let count = 0; count < 3; count++) assert.ok(append(writer, 1000))
  writer.pinned = 2000
  writer.truncate(1000)
  assert.ok(append(writer, 900))
  assert.equal(append(writer, 900), false)
  writer.pinned = Number.POSITIVE_INFINITY
  assert.ok(append(writer, 900))
  writer.pinned = 1900
  assert.equal(append(writer, 900), false)
  writer.pinned = 3700
  assert.ok(append(writer, 900))
  writer.pinned = 1900
  assert.ok(append(writer, 900))
})

test('property: whatever is appended, truncated and made durable, the kept range reads back whole', () => {
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        size: fc.integer({ min: 49, max: MAX_ENTRY_BYTES + 8 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('durable' as const), lag: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('pin' as const), lag: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('truncate' as const), lag: fc.nat(5) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), lag: fc.nat(8) }) },
  )
  fc.assert(
    fc.property(
      fc.nat(3 * SIZE_BYTES),
      fc.array(step, { minLength: 20, maxLength: 200 }),
      (start, steps) => {
        const { writer, reader } = arenaAt(start)
        const ends = [start]
        const endAt = (lag: number): number => ends[Math.max(0, ends.length - 1 - lag)]!
        for (const action of steps) {
          if (action.do === 'append') {
            if (append(writer, action.size)) ends.push(writer.appended)
            else if (writer.pinned > writer.appended + action.size)
              assert.ok(
                writer.appended + action.size - SIZE_BYTES >
                  Math.min(writer.durable, writer.pinned),
              )
          } else if (action.do === 'durable') {
            writer.durable = Math.max(writer.durable, endAt(action.lag))
          } else if (action.do === 'pin') {
            writer.pinned = action.lag === 0 ? Number.POSITIVE_INFINITY : endAt(action.lag)
          } else if (action.do === 'truncate') {
            const position = endAt(action.lag)
            while (ends.at(-1)! > position) ends.pop()
            writer.durable = Math.min(writer.durable, position)
            writer.truncate(position)
          } else {
            const from = Math.max(reader.oldest, endAt(action.lag))
            assertRange(reader, from, reader.appended)
          }
          assert.ok(reader.oldest <= reader.appended)
          assert.ok(reader.appended - reader.oldest <= SIZE_BYTES)
        }
        assertRange(reader, reader.oldest, reader.appended)
      },
    ),
    { numRuns: 300 },
  )
})

test('positions beyond 2^32 keep every bit', () => {
  const start = 2 ** 45 + 12_345
  const { writer, reader } = arenaAt(start)
  writer.committed = start + 1
  writer.dispatched = start + 2
  for (let count = 0; count < 20; count++) {
    assert.ok(append(writer, 1234))
    writer.durable = writer.appended
  }
  assert.equal(reader.committed, start + 1)
  assert.equal(reader.dispatched, start + 2)
  assertRange(reader, reader.oldest, start + 20 * 1234)
})

test('another thread never trusts a copy that was overwritten meanwhile', {
  timeout: 60_000,
}, async () => {
  const { writer } = arenaAt(0)
  const worker = new Worker(new URL('./arena-reader.test-worker.ts', import.meta.url), {
    workerData: writer.shared,
  })
  const result = Promise.withResolvers<{ trusted: number; wrong: number }>()
  worker.on('message', result.resolve)
  worker.on('error', result.reject)
  let running = true
  worker.on('exit', () => {
    running = false
  })
  const sizes = [8, 64, 512, 1400]
  for (let turn = 0; running; turn++) {
    for (let count = 0; count < 200; count++) {
      const position = writer.appended
      const sizeBytes = sizes[(turn + count) % sizes.length]!
      const offset = writer.claim(position, sizeBytes)
      for (let at = 0; at < sizeBytes; at += 8) {
        writer.view.setFloat64(offset + at, position + at, true)
      }
      writer.appended = position + sizeBytes
      writer.durable = position + sizeBytes
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { trusted, wrong } = await result.promise
  assert.ok(trusted >= 20_000)
  assert.equal(wrong, 0)
})
