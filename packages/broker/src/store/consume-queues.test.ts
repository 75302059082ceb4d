/** Consume queues against a model: random appends, reads, flushes, crashes and re-dispatch. */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import { CQ_FILLER_SIZE } from '@ringledger/protocol'
import fc from 'fast-check'
import { ConsumeQueues } from './consume-queues.ts'

const FILE_BYTES = 200
const OPTIONS = { fileBytes: FILE_BYTES, maxOpenFiles: 3, bufferLimitBytes: 4000 }

function inDirectory(use: (directory: string) => void): void {
  const parent = mkdtempSync(join(tmpdir(), 'ringledger-queues-'))
  try {
    use(join(parent, 'consumequeue'))
  } finally {
    rmSync(parent, { recursive: true })
  }
}

function opened(directory: string, limit: number, log: string[] = []): ConsumeQueues {
  const queues = new ConsumeQueues({ ...OPTIONS, directory, log: (line) => log.push(line) })
  queues.recover(limit, true)
  return queues
}

type Unit = [queueOffset: number, physicalOffset: number, sizeBytes: number, tagsCode: number]

function allUnits(queues: ConsumeQueues, topic: string, queueId: number, from = 0): Unit[] {
  const units: Unit[] = []
  queues.read(topic, queueId, from, 1e9, (...unit) => units.push(unit) > 0)
  return units
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      queue: fc.nat(4),
      count: fc.integer({ min: 1, max: 60 }),
      tagsCode: fc.integer({ min: -(2 ** 31), max: 2 ** 41 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const), queues: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), back: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const) }) },
)

/** Five queues; a message's physical offset is 100 times its place in the log. */
class Model {
  readonly log: { queue: number; unit: Unit }[] = []
  next = [0, 0, 0, 0, 0]

  add(queue: number, tagsCode: number): Unit {
    const place = this.log.length
    const unit: Unit = [this.next[queue]!++, (place + 1) * 100, 10 + (place % 50), tagsCode]
    this.log.push({ queue, unit })
    return unit
  }

  unitsOf(queue: number): Unit[] {
    return this.log.filter((entry) => entry.queue === queue).map((entry) => entry.unit)
  }
}

function assertSame(queues: ConsumeQueues, model: Model): void {
  for (let queue = 0; queue < 5; queue++) {
    const expected = model.unitsOf(queue)
    assert.deepEqual(allUnits(queues, `T${queue % 2}`, queue), expected)
    assert.equal(queues.maxOffset(`T${queue % 2}`, queue), expected.length)
    assert.equal(queues.minOffset(`T${queue % 2}`, queue), 0)
    const from = Math.floor(expected.length / 2)
    assert.deepEqual(allUnits(queues, `T${queue % 2}`, queue, from), expected.slice(from))
  }
  const used = model.next.filter((next) => next > 0).length
  assert.deepEqual(queues.totals, { units: model.log.length, queues: used })
  assert.ok(queues.openFileCount <= OPTIONS.maxOpenFiles)
}

describe('consume queues', () => {
  test('hold what was appended, whatever is flushed, lost and dispatched again', () => {
    const steps = fc.array(step, { maxLength: 40 })
    fc.assert(
      fc.property(steps, (list) => {
        inDirectory((directory) => {
          let queues = opened(directory, 0)
          const model = new Model()
          const append = (queue: number, unit: Unit): void =>
            queues.append(`T${queue % 2}`, queue, ...unit)
          for (const action of list) {
            if (action.kind === 'append') {
              for (let n = 0; n < action.count; n++) {
                append(action.queue, model.add(action.queue, action.tagsCode + n))
              }
            } else if (action.kind === 'flush') {
              queues.beginFlush()
              for (let n = 0; n < action.queues; n++) queues.flushStep(1)
              while (queues.flushStep(1));
            } else if (action.kind === 'sync') {
              queues.sync()
            } else if (action.kind === 'close') {
              queues.close()
              queues = opened(directory, Number.POSITIVE_INFINITY)
            } else {
              // Recovery may rely on what was flushed, which is everything below `known`.
              queues.flush()
              queues.abandon()
              const known = Math.max(0, model.log.length - action.back)
              queues = opened(directory, known * 100 + 1)
              for (const { queue, unit } of model.log.slice(known)) append(queue, unit)
            }
          }
          assertSame(queues, model)
          queues.close()
          const again = opened(directory, Number.POSITIVE_INFINITY)
          assertSame(again, model)
          again.close()
        })
      }),
      { numRuns: 60 },
    )
  })

  test('an append that is there already changes nothing, in the buffer or in the file', () => {
    inDirectory((directory) => {
      const lines: string[] = []
      const queues = opened(directory, 0, lines)
      for (let n = 0; n < 100; n++) queues.append('T', 0, n, n * 10, 5, n)
      queues.flush()
      for (let n = 100; n < 120; n++) queues.append('T', 0, n, n * 10, 5, n)
      const before = allUnits(queues, 'T', 0)
      for (let n = 0; n < 120; n++) queues.append('T', 0, n, n * 10, 5, n)
      assert.deepEqual(allUnits(queues, 'T', 0), before)
      assert.deepEqual(lines, [])
      queues.append('T', 0, 50, 5000, 6, 7)
      assert.match(lines[0] ?? '', /T\/0: offset 50 given twice, at 500 and 5000/)
      assert.deepEqual(allUnits(queues, 'T', 0)[50], [50, 5000, 6, 7])
      queues.close()
    })
  })

  test('a queue whose beginning is lost is filled up like Apache does it', () => {
    inDirectory((directory) => {
      const lines: string[] = []
      const queues = opened(directory, 0, lines)
      queues.append('T', 3, 27, 1000, 5, 1)
      queues.append('T', 3, 28, 1005, 5, 2)
      assert.equal(queues.minOffset('T', 3), 27)
      assert.equal(queues.maxOffset('T', 3), 29)
      assert.deepEqual(allUnits(queues, 'T', 3), [
        [27, 1000, 5, 1],
        [28, 1005, 5, 2],
      ])
      assert.match(lines[0] ?? '', /T\/3: begins at offset 27/)
      queues.close()
      const files = readdirSync(join(directory, 'T/3'))
      assert.deepEqual(files, ['00000000000000000400'])
      const bytes = readFileSync(join(directory, 'T/3', files[0]!))
      assert.equal(bytes.length, FILE_BYTES)
      assert.deepEqual(
        [0, 6, 7].map((unit) => bytes.readInt32BE(unit * 20 + 8)),
        [CQ_FILLER_SIZE, CQ_FILLER_SIZE, 5],
      )
      const again = opened(directory, 1001)
      assert.equal(again.minOffset('T', 3), 27)
      assert.equal(again.maxOffset('T', 3), 28)
      again.close()
    })
  })

  test('fillers of a queue that began later do not survive recovery', () => {
    inDirectory((directory) => {
      const queues = opened(directory, 0)
      queues.append('T', 0, 27, 1000, 5, 1)
      queues.append('U', 0, 0, 500, 5, 1)
      queues.append('U', 0, 1, 505, 5, 1)
      queues.append('U', 0, 15, 1005, 5, 1)
      queues.close()
      const again = opened(directory, 1000)
      assert.equal(again.find('T', 0), undefined)
      assert.equal(again.maxOffset('U', 0), 2)
      assert.deepEqual(again.totals, { units: 2, queues: 1 })
      again.close()
    })
  })

  test('a small gap is filled, a large one starts the queue anew', () => {
    inDirectory((directory) => {
      const queues = opened(directory, 0)
      queues.append('T', 0, 0, 10, 5, 0)
      queues.append('T', 0, 15, 20, 5, 0)
      assert.deepEqual(
        allUnits(queues, 'T', 0).map(([offset]) => offset),
        [0, 15],
      )
      assert.equal(queues.minOffset('T', 0), 0)
      queues.append('T', 0, 1_000_003, 30, 5, 0)
      assert.deepEqual(
        allUnits(queues, 'T', 0).map(([offset]) => offset),
        [1_000_003],
      )
      assert.deepEqual(queues.totals, { units: 1_000_004, queues: 1 })
      queues.append('T', 0, 0, 40, 5, 0)
      assert.deepEqual(allUnits(queues, 'T', 0), [[0, 40, 5, 0]])
      assert.deepEqual(queues.totals, { units: 1, queues: 1 })
      queues.close()
    })
  })

  test('the minimum follows the log, the time search its timestamps', () => {
    inDirectory((directory) => {
      const queues = opened(directory, 0)
      const storedAt = (physicalOffset: number): number => Math.floor(physicalOffset / 30) * 10
      for (let n = 0; n < 95; n++) queues.append('T', 0, n, n * 10, 5, 0)
      queues.flush()
      const linear = (isMeant: (at: number) => boolean): number[] =>
        Array.from({ length: 95 }, (_, n) => n).filter((n) => isMeant(storedAt(n * 10)))
      for (let time = -5; time < 340; time += 1) {
        const lower = linear((at) => at >= time)[0] ?? 95
        const upper = lower === 95 ? 95 : (linear((at) => at <= time).at(-1) ?? 0)
        assert.equal(queues.offsetByTime('T', 0, time, 'lower', storedAt), lower, `lower ${time}`)
        assert.equal(queues.offsetByTime('T', 0, time, 'upper', storedAt), upper, `upper ${time}`)
      }
      queues.logMinPosition = 501
      assert.equal(queues.minOffset('T', 0), 51)
      assert.equal(queues.offsetByTime('T', 0, 0, 'lower', storedAt), 51)
      queues.logMinPosition = 10_000
      assert.equal(queues.minOffset('T', 0), 95)
      queues.append('T', 0, 95, 10_000, 5, 0)
      assert.equal(queues.minOffset('T', 0), 95)
      assert.equal(queues.find('T', 0)!.maxOffset, 96)
      queues.close()
    })
  })

  test('a visitor stops before the unit that it refuses', () => {
    inDirectory((directory) => {
      const queues = opened(directory, 0)
      for (let n = 0; n < 30; n++) queues.append('T', 0, n, n * 10, 5, 0)
      const seen: number[] = []
      const stopAt = (limit: number): number =>
        queues.read('T', 0, 3, 20, (offset) => offset < limit && seen.push(offset) > 0)
      assert.equal(stopAt(7), 7)
      assert.deepEqual(seen, [3, 4, 5, 6])
      assert.equal(stopAt(1000), 23)
      assert.equal(
        queues.read('T', 0, 30, 20, () => true),
        30,
      )
      assert.equal(
        queues.read('T', 9, 4, 20, () => true),
        4,
      )
      queues.close()
    })
  })

  test('a deleted topic leaves nothing, and may come again', () => {
    inDirectory((directory) => {
      const queues = opened(directory, 0)
      for (const topic of ['T', 'U']) {
        for (let n = 0; n < 30; n++) queues.append(topic, n % 3, Math.floor(n / 3), n * 10, 5, 0)
      }
      queues.flush()
      const handle = queues.find('T', 1)!
      queues.deleteTopic('T')
      assert.equal(handle.deleted, true)
      assert.equal(queues.find('T', 1), undefined)
      assert.equal(existsSync(join(directory, 'T')), false)
      assert.deepEqual(queues.totals, { units: 30, queues: 3 })
      queues.append('T', 1, 0, 5000, 5, 0)
      assert.deepEqual(allUnits(queues, 'T', 1), [[0, 5000, 5, 0]])
      queues.close()
    })
  })

  test('queues of batch topics stand apart, whenever it is known which are', () => {
    inDirectory((directory) => {
      const namesOf = (topic: string): string[] => readdirSync(join(directory, topic)).sort()
      const fill = (queues: ConsumeQueues, topic: string, queueId: number): void => {
        for (let offset = 0; offset < 25; offset++) {
          queues.append(topic, queueId, offset, 100 * offset, 100, 0)
        }
      }
      const first = opened(directory, 0)
      fill(first, 'Late', 0)
      first.isBatchTopic = (topic) => topic !== 'T'
      for (const topic of ['Batch', 'T']) fill(first, topic, 1)
      first.flush()
      assert.deepEqual(namesOf('Batch'), ['b1'])
      assert.deepEqual(namesOf('Late'), ['0'])
      fill(first, 'Late', 1)
      first.close()
      assert.deepEqual(namesOf('Late'), ['b0', 'b1'])
      assert.deepEqual(namesOf('T'), ['1'])
      // As a kill leaves it while a queue is named.
      renameSync(join(directory, 'Late', 'b1'), join(directory, 'Late', '1'))
      const again = opened(directory, 2500)
      assert.deepEqual(again.totals, { units: 100, queues: 4 })
      assert.deepEqual(allUnits(again, 'Late', 1), allUnits(again, 'T', 1))
      fill(again, 'Late', 2)
      again.deleteTopic('Batch')
      fill(again, 'Batch', 0)
      again.close()
      assert.deepEqual(namesOf('Late'), ['b0', 'b1', 'b2'])
      assert.deepEqual(namesOf('Batch'), ['0'])
      cpSync(join(directory, 'Late', 'b0'), join(directory, 'Late', '0'), { recursive: true })
      assert.throws(() => opened(directory, 2500), { code: 'CORRUPT', message: /are one queue/ })
    })
  })

  test('a thousand queues keep few files open', () => {
    inDirectory((directory) => {
      const queues = opened(directory, 0)
      for (let round = 0; round < 2; round++) {
        for (let n = 0; n < 1000; n++) {
          queues.append(`T${n % 50}`, Math.floor(n / 50), round, round * 1e6 + n, 5, 0)
        }
      }
      queues.flush()
      assert.ok(queues.openFileCount <= OPTIONS.maxOpenFiles)
      assert.deepEqual(queues.totals, { units: 2000, queues: 1000 })
      assert.deepEqual(allUnits(queues, 'T49', 19), [
        [0, 999, 5, 0],
        [1, 1_000_999, 5, 0],
      ])
      queues.close()
    })
  })

  test('names that lead out of the directory are refused', () => {
    inDirectory((directory) => {
      const queues = opened(directory, 0)
      for (const topic of ['', '.', '..', '../x', 'a/b', 'a\0']) {
        assert.throws(
          () => queues.obtain(topic, 0),
          (error) => error instanceof LedgerError && error.code === 'CORRUPT',
        )
      }
      assert.throws(() => queues.obtain('T', -1), LedgerError)
      assert.throws(() => queues.append('T', 0, -1, 0, 5, 0), LedgerError)
      assert.throws(
        () => new ConsumeQueues({ directory, fileBytes: 30 }),
        /mappedFileSizeConsumeQueue/,
      )
    })
  })
})
