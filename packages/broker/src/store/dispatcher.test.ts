/**
 * What the arena does under the dispatcher and the reader: laps, overwriting at the worst moment.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { decodeMessage } from '@ringledger/protocol'
import fc from 'fast-check'
import { ConsumeQueues } from './consume-queues.ts'
import { Dispatcher } from './dispatcher.ts'
import { KeyIndex } from './key-index.ts'
import { FakeLog } from './log-fake.ts'
import { MessageReader } from './message-reader.ts'

interface Parts {
  log: FakeLog
  queues: ConsumeQueues
  dispatcher: Dispatcher
  /** Appends message `number`; returns its physical offset. */
  send(number: number, bodyBytes: number): number
}

function withParts(use: (parts: Parts) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-dispatch-'))
  const log = new FakeLog({ segmentBytes: 65_536, arenaBytes: 36_864, maxEntryBytes: 8192 })
  const queues = new ConsumeQueues({ directory: join(directory, 'consumequeue') })
  const index = new KeyIndex({ directory: join(directory, 'index'), slots: 10, entries: 10_000 })
  const dispatcher = new Dispatcher({
    arena: log.arena,
    files: log,
    queues,
    index,
    listener: { onMessage() {}, onState() {}, onDelayMark() {} },
    delayLevelsMs: [],
    position: 0,
  })
  const send = (number: number, bodyBytes: number): number =>
    log.append({
      topic: 'T',
      queueOffset: number,
      storeTimestampMs: 1000 + number,
      body: Buffer.alloc(bodyBytes, number),
      properties: `KEYS\u0001k${number}`,
    })
  try {
    use({ log, queues, dispatcher, send })
    queues.close()
    index.close()
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function physicalOffsets(queues: ConsumeQueues): number[] {
  const found: number[] = []
  queues.read('T', 0, 0, 1e9, (_queueOffset, physicalOffset) => found.push(physicalOffset) > 0)
  return found
}

describe('the dispatcher', () => {
  test('takes from the files what is overwritten while it looks', () => {
    const garbage = fc.uint8Array({ minLength: 300, maxLength: 300 })
    fc.assert(
      fc.property(garbage, fc.nat(200), (noise, from) => {
        withParts(({ log, queues, dispatcher, send }) => {
          const first = send(0, 100)
          while (dispatcher.duty(10));
          const second = send(1, 100)
          const third = send(2, 100)
          const { arena } = log
          // The dispatcher has seen an older `oldest`: it looks here before it learns more.
          const at = arena.offsetOf(second - 48)
          arena.bytes.set(noise.subarray(from, third - second), at + from)
          arena.oldest = third - 48
          while (dispatcher.duty(10));
          assert.deepEqual(physicalOffsets(queues), [first, second, third])
          assert.equal(arena.dispatched, log.end)
        })
      }),
      { numRuns: 50 },
    )
  })

  test('follows the arena over many laps and catches up from the files', () => {
    withParts(({ log, queues, dispatcher, send }) => {
      const expected: number[] = []
      for (let number = 0; number < 900; number++) {
        expected.push(send(number, (number * 37) % 3000))
        // Long pauses let the arena overtake.
        if (number % 100 < 60) dispatcher.duty(3)
      }
      while (dispatcher.duty(7));
      assert.deepEqual(physicalOffsets(queues), expected)
      const reader = new MessageReader(log.arena, log)
      const target = Buffer.alloc(8192)
      for (const [number, physicalOffset] of expected.entries()) {
        const sizeBytes = reader.sizeAt(physicalOffset)
        assert.ok(reader.read(physicalOffset, sizeBytes, target, 0))
        const message = decodeMessage(target, 0)
        assert.equal(message.queueOffset, number)
        assert.deepEqual(message.body, Buffer.alloc((number * 37) % 3000, number))
        assert.equal(reader.storeTimestampAt(physicalOffset, sizeBytes), 1000 + number)
        assert.equal(reader.sizeAt(physicalOffset + 8), -1)
      }
    })
  })

  test('goes on in the arena after a cut emptied it', () => {
    withParts(({ log, queues, dispatcher, send }) => {
      const expected = [send(0, 100)]
      while (dispatcher.duty(10));
      const { arena } = log
      // As after a cut: `oldest` had risen, then fell to the log's end.
      arena.oldest = log.end + 5000
      assert.equal(dispatcher.duty(10), false)
      arena.oldest = log.end
      expected.push(send(1, 100))
      while (dispatcher.duty(10));
      assert.deepEqual(physicalOffsets(queues), expected)
    })
  })
})
