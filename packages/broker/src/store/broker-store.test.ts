/** Dispatch and recovery of the whole store against a model, over a log in memory. */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { MessageSysFlag, SystemTopic } from '@ringledger/protocol'
import fc from 'fast-check'
import { defaultTopicConfig } from '../state/configs.ts'
import { encodeStateMessage, type StateRecord } from '../state/records.ts'
import { CheckpointFile } from './checkpoint-file.ts'
import {
  assertSame,
  drain,
  HOST,
  inDirectory,
  type Opened,
  openStore,
  World,
} from './store-world-fake.ts'

const topicName = fc.constantFrom('A', 'B', '%RETRY%g', SystemTopic.SCHEDULE)
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      topic: topicName,
      queueId: fc.nat(2),
      count: fc.integer({ min: 1, max: 40 }),
      bodyBytes: fc.nat(500),
      elements: fc.constantFrom(1, 1, 2, 7, 60),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('topic' as const), topic: topicName }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), topic: topicName }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hidden' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('duty' as const), entries: fc.nat(200) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const), times: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('power' as const),
      kept: fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** One run: steps, restarts and crashes; at the end everything must be there. */
class Run {
  readonly #directory: string
  readonly #world = new World()
  #opened: Opened
  #boot = 1
  #nowMs = 0
  #syncedPosition = 0
  /** The files as they were when everything was synced last. */
  readonly #syncedCopy: string

  constructor(directory: string) {
    this.#directory = directory
    this.#syncedCopy = `${directory}-synced`
    this.#opened = openStore(directory, this.#world)
    this.#copySynced()
  }

  take(action: Step): void {
    const world = this.#world
    const { store } = this.#opened
    switch (action.kind) {
      case 'send':
        for (let n = 0; n < action.count; n++) {
          const { topic, queueId, bodyBytes, elements } = action
          world.send(topic, queueId, bodyBytes, topic === SystemTopic.SCHEDULE ? 1 : elements)
        }
        break
      case 'topic':
        world.record({ kind: 'topic', config: defaultTopicConfig(action.topic) })
        break
      case 'delete':
        world.record({ kind: 'deleteTopic', topic: action.topic })
        break
      case 'hidden':
        world.sendHidden(MessageSysFlag.TRANSACTION_PREPARED_TYPE)
        world.sendHidden(MessageSysFlag.TRANSACTION_ROLLBACK_TYPE)
        break
      case 'duty':
        store.duty(action.entries)
        this.#noticeSync()
        break
      case 'tick':
        for (let n = 0; n < action.times; n++) {
          store.tick((this.#nowMs += 6000), false)
          this.#noticeSync()
        }
        break
      case 'close':
        store.close()
        this.#reopen()
        break
      case 'kill':
        store.abandon()
        this.#reopen()
        break
      case 'power':
        this.#boot++
        store.abandon()
        this.#losePages(action.kept)
        this.#reopen()
        break
    }
  }

  finish(): void {
    drain(this.#opened.store)
    assertSame(this.#opened.store, this.#world)
    this.#opened.store.close()
    this.#reopen()
    assertSame(this.#opened.store, this.#world)
    this.#opened.store.close()
  }

  /** What a sync since the last call made durable belongs to what a crash of the machine leaves. */
  #noticeSync(): void {
    const checkpoint = new CheckpointFile(join(this.#directory, 'ringledger-dispatch'))
    const position = checkpoint.found?.synced.position ?? 0
    checkpoint.close()
    if (position === this.#syncedPosition) return
    this.#syncedPosition = position
    this.#copySynced()
  }

  #reopen(): void {
    this.#world.log = this.#world.log.restarted()
    this.#opened = openStore(this.#directory, this.#world, { bootId: `boot ${this.#boot}` })
    // Nothing that the checkpoint promised may be missing, or the whole log would be read again.
    assert.deepEqual(this.#opened.seen.lines, [])
    this.#copySynced()
  }

  #copySynced(): void {
    rmSync(this.#syncedCopy, { recursive: true, force: true })
    cpSync(this.#directory, this.#syncedCopy, { recursive: true })
  }

  #losePages(kept: readonly boolean[]): void {
    let page = 0
    for (const name of readdirSync(this.#directory, { recursive: true, encoding: 'utf8' })) {
      const path = join(this.#directory, name)
      const isOurs = /^(consumequeue|index)\//.test(name) && statSync(path).isFile()
      if (!isOurs) continue
      const older = join(this.#syncedCopy, name)
      const bytes = readFileSync(path)
      const was = existsSync(older) ? readFileSync(older) : Buffer.alloc(bytes.length)
      for (let at = 0; at < bytes.length; at += 100) {
        if (kept[page++ % kept.length] !== true) was.copy(bytes, at, at, at + 100)
      }
      writeFileSync(path, bytes)
    }
  }
}

describe('the broker store', () => {
  test('is a function of the log, through kills and power failures', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), (steps) => {
        inDirectory((directory) => {
          const run = new Run(directory)
          for (const action of steps) run.take(action)
          run.finish()
        })
      }),
      { numRuns: 15 },
    )
  })

  test('reports messages only where someone waits, and every record once', () => {
    inDirectory((directory) => {
      const world = new World()
      const { store, seen } = openStore(directory, world)
      store.queues.obtain('A', 1).waiters = 1
      world.record({ kind: 'barrier', term: 3, nodeId: 'n0' })
      world.record({ kind: 'topic', config: defaultTopicConfig('A') })
      for (let n = 0; n < 10; n++) world.send('A', n % 2, 10)
      drain(store)
      assert.deepEqual(
        seen.messages.map(([queue, offset]) => [queue.topic, queue.queueId, offset]),
        [0, 1, 2, 3, 4].map((offset) => ['A', 1, offset]),
      )
      assert.deepEqual(
        seen.records.map((record) => record.kind),
        ['barrier', 'topic'],
      )
      assert.equal(store.state.term, 3)
      assert.equal(world.log.arena.dispatched, world.log.end)
      const again = openStore(directory, world)
      drain(again.store)
      assert.deepEqual(
        again.seen.records.map((record) => record.kind),
        ['barrier', 'topic'],
      )
      again.store.close()
      const third = openStore(directory, world)
      drain(third.store)
      assert.deepEqual(third.seen.records, [])
      assert.equal(third.store.state.topics.has('A'), true)
      third.store.close()
    })
  })

  test('recovers the tables from the log when the config directory is lost', () => {
    inDirectory((directory) => {
      const world = new World()
      const first = openStore(directory, world)
      world.record({ kind: 'topic', config: defaultTopicConfig('A') })
      world.record({ kind: 'offsets', entries: [['A', 'g', 2, 77]] })
      for (let n = 0; n < 100; n++) world.send('A', 0, 400)
      drain(first.store)
      first.store.close()
      rmSync(join(directory, 'config'), { recursive: true })
      world.log = world.log.restarted()
      const { store } = openStore(directory, world)
      assert.equal(store.state.offset('A', 'g', 2), 77)
      assert.equal(store.rebuilding, false)
      assertSame(store, world)
      store.close()
    })
  })

  test('starts over when the log is not the one it knew', () => {
    inDirectory((directory) => {
      const world = new World()
      const first = openStore(directory, world)
      for (let n = 0; n < 100; n++) world.send('A', 0, 100)
      drain(first.store)
      first.store.close()
      const other = new World()
      const { store } = openStore(directory, other)
      assert.deepEqual(store.queues.totals, { units: 0, queues: 0 })
      other.send('A', 0, 10)
      drain(store)
      assertSame(store, other)
      store.close()
    })
  })

  test('waits at a damaged entry, has it repaired, and goes on', () => {
    inDirectory((directory) => {
      const world = new World()
      for (let n = 0; n < 5; n++) world.send('A', 0, 100)
      const { physicalOffset } = world.messages[3]!
      world.log.damage(physicalOffset + 28)
      world.log = world.log.restarted()
      const { store } = openStore(directory, world)
      const told: number[] = []
      world.log.damaged = (position) => {
        told.push(position)
        return new Error(`damage at ${position}`)
      }
      while (store.duty());
      assert.ok(store.stuck)
      assert.deepEqual(told, [physicalOffset - 48])
      assert.equal(store.queues.maxOffset('A', 0), 3)
      assert.equal(world.log.arena.dispatched, physicalOffset - 48)
      const sizeBytes = store.reader.sizeAt(physicalOffset)
      const read = () => store.reader.read(physicalOffset, sizeBytes, Buffer.alloc(sizeBytes), 0)
      assert.throws(read, { code: 'CORRUPT', message: /damage at/ })
      world.log.damage(physicalOffset + 28)
      store.tick(1_000_000, true)
      while (store.duty());
      assert.equal(store.queues.maxOffset('A', 0), 5)
      assert.ok(read())
      store.close()
    })
  })

  test('stops at a record that only a newer version knows', () => {
    inDirectory((directory) => {
      const world = new World()
      const record = { kind: 'fromTheFuture' } as unknown as StateRecord
      world.log.appendBytes(encodeStateMessage(record, HOST, 0), 0, 0)
      const { store } = openStore(directory, world)
      assert.throws(() => store.duty(), {
        code: 'CORRUPT',
        message: /unknown kind "fromTheFuture"/,
      })
      store.close()
    })
  })

  test('shows nothing above the committed position', () => {
    inDirectory((directory) => {
      const world = new World()
      const { store } = openStore(directory, world)
      world.send('A', 0, 100)
      const committed = world.log.end
      world.send('A', 0, 100)
      const { physicalOffset } = world.messages[1]!
      world.log.arena.committed = committed
      drain(store)
      assert.equal(store.queues.maxOffset('A', 0), 1)
      assert.equal(store.reader.sizeAt(physicalOffset), -1)
      world.log.arena.committed = world.log.end
      drain(store)
      assert.equal(store.queues.maxOffset('A', 0), 2)
      const sizeBytes = store.reader.sizeAt(physicalOffset)
      assert.equal(physicalOffset + sizeBytes, world.log.end)
      store.close()
    })
  })

  test('topics are in their file soon after they are made, offsets follow in seconds', () => {
    inDirectory((directory) => {
      const world = new World()
      const { store } = openStore(directory, world)
      const read = (name: string): string => readFileSync(join(directory, 'config', name), 'utf8')
      const nowMs = 10_000
      store.tick(nowMs, false)
      world.record({ kind: 'topic', config: defaultTopicConfig('A') })
      drain(store)
      store.tick(nowMs + 1, false)
      assert.match(read('topics.json'), /"topicName":"A"/)
      world.record({ kind: 'offsets', entries: [['A', 'g', 0, 7]] })
      drain(store)
      store.tick(nowMs + 1000, false)
      assert.doesNotMatch(read('consumerOffset.json'), /A@g/)
      store.tick(nowMs + 60_000, false)
      assert.match(read('consumerOffset.json'), /A@g/)
      store.close()
    })
  })

  test('keeps what its recovery needs of the log', () => {
    inDirectory((directory) => {
      const world = new World()
      const { store } = openStore(directory, world)
      world.record({ kind: 'topic', config: defaultTopicConfig('A') })
      for (let n = 0; n < 50; n++) world.send('A', 0, 100)
      drain(store)
      assert.equal(store.neededFromPosition, 0)
      for (let nowMs = 10_000; nowMs < 400_000; nowMs += 6000) store.tick(nowMs, true)
      assert.equal(store.neededFromPosition, world.log.end)
      assert.equal(existsSync(join(directory, 'abort')), true)
      assert.equal(readFileSync(join(directory, 'abort'), 'utf8'), String(process.pid))
      store.close()
      assert.equal(existsSync(join(directory, 'abort')), false)
    })
  })
})
