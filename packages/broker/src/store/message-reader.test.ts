import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LOG_BLOCK_BYTES } from './log-blocks.ts'
import { FakeLog } from './log-fake.ts'
import { DamagedLogError, type LogFiles, MessageReader } from './message-reader.ts'

const OPTIONS = { arenaBytes: 512 * 1024, maxEntryBytes: 100 * 1024 }
const target = Buffer.alloc(128 * 1024)

/** The messages of a log and what their bodies are. */
interface Written {
  readonly offsets: number[]
  readonly sizes: number[]
  readonly bodies: Buffer[]
}

function append(log: FakeLog, written: Written, bodyBytes: number): void {
  const number = written.offsets.length
  const body = Buffer.alloc(bodyBytes, number + 1)
  const before = log.end
  const offset = log.append({ topic: 'T', queueId: 0, queueOffset: number, body })
  assert.ok(offset >= before)
  written.offsets.push(offset)
  written.sizes.push(log.end - offset)
  written.bodies.push(body)
}

function logOf(bodySizes: readonly number[]): { log: FakeLog; written: Written } {
  const log = new FakeLog(OPTIONS)
  const written: Written = { offsets: [], sizes: [], bodies: [] }
  for (const bodyBytes of bodySizes) append(log, written, bodyBytes)
  return { log, written }
}

function readOne(reader: MessageReader, written: Written, number: number): void {
  const sizeBytes = written.sizes[number] as number
  const body = written.bodies[number] as Buffer
  assert.ok(reader.read(written.offsets[number] as number, sizeBytes, target, 0))
  assert.ok(target.subarray(0, sizeBytes).includes(body), `message ${number} is whole`)
}

function expectAll(reader: MessageReader, written: Written, numbers: readonly number[]): void {
  const offsets = Float64Array.from(numbers, (number) => written.offsets[number] as number)
  const sizes = Int32Array.from(numbers, (number) => written.sizes[number] as number)
  reader.expect(offsets, sizes, numbers.length)
}

test('messages that were expected are the same as those that were not', () => {
  const sizes = fc.array(fc.oneof(fc.nat(3000), fc.nat(90_000)), { minLength: 1, maxLength: 120 })
  const picks = fc.array(fc.array(fc.nat(119), { maxLength: 40 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(sizes, picks, (bodySizes, rounds) => {
      const { log, written } = logOf(bodySizes)
      const old = log.restarted()
      const reader = new MessageReader(old.arena, old)
      for (const round of rounds) {
        const chosen = new Set(round.map((pick) => pick % written.offsets.length))
        const numbers = [...chosen].sort((left, right) => left - right)
        expectAll(reader, written, numbers)
        for (const number of numbers) readOne(reader, written, number)
        append(old, written, (numbers[0] ?? 0) * 10)
      }
    }),
    { numRuns: 60 },
  )
})

test('neighbours are read from the files by blocks, once for all readers', () => {
  const { log, written } = logOf(Array.from({ length: 400 }, () => 1000))
  const old = log.restarted()
  const reads: number[] = []
  const files: LogFiles = {
    read(position, bytes, offset, maxBytes) {
      reads.push(maxBytes)
      return old.read(position, bytes, offset, maxBytes)
    },
  }
  const reader = new MessageReader(old.arena, files)
  const all = written.offsets.map((_offset, number) => number)
  for (let queue = 0; queue < 8; queue++) {
    const ofQueue = all.filter((number) => number % 8 === queue)
    expectAll(reader, written, ofQueue)
    for (const number of ofQueue) readOne(reader, written, number)
  }
  const blocks = Math.ceil(old.end / LOG_BLOCK_BYTES)
  assert.ok(reads.filter((sizeBytes) => sizeBytes > 4096).length <= blocks + 1)
  assert.ok(reads.length < written.offsets.length / 4, `${reads.length} reads`)
})

test('few messages far apart are read one by one', () => {
  const { log, written } = logOf(Array.from({ length: 400 }, () => 1000))
  const old = log.restarted()
  let mostBytes = 0
  const files: LogFiles = {
    read(position, bytes, offset, maxBytes) {
      mostBytes = Math.max(mostBytes, maxBytes)
      return old.read(position, bytes, offset, maxBytes)
    },
  }
  const reader = new MessageReader(old.arena, files)
  const apart = [0, 100, 200, 300]
  expectAll(reader, written, apart)
  for (const number of apart) readOne(reader, written, number)
  assert.ok(mostBytes < 4096)
})

test('damage in a block hides no neighbour, and is not remembered once it is repaired', () => {
  const { log, written } = logOf(Array.from({ length: 40 }, () => 1000))
  const old = log.restarted()
  const reader = new MessageReader(old.arena, old)
  const all = written.offsets.map((_offset, number) => number)
  const hurt = (written.offsets[20] as number) + 500
  old.damage(hurt)
  expectAll(reader, written, all)
  for (const number of all) {
    if (number !== 20) readOne(reader, written, number)
    else assert.throws(() => readOne(reader, written, number), DamagedLogError)
  }
  old.damage(hurt)
  readOne(reader, written, 20)
})

test('a block has nothing that is not committed', () => {
  const { log, written } = logOf(Array.from({ length: 40 }, () => 1000))
  const old = log.restarted()
  const reader = new MessageReader(old.arena, old)
  const all = written.offsets.map((_offset, number) => number)
  old.arena.committed = written.offsets[20] as number
  const late = (written.offsets[30] as number) + 100
  old.damage(late)
  const known = all.slice(0, 20)
  expectAll(reader, written, known)
  for (const number of known) readOne(reader, written, number)
  assert.ok(!reader.read(written.offsets[20] as number, written.sizes[20] as number, target, 0))
  // What stands behind the committed part is written only now.
  old.damage(late)
  old.arena.committed = old.end
  expectAll(reader, written, all)
  for (const number of all) readOne(reader, written, number)
})
