/** Dispatch and recovery of the whole store against a model, over a log in memory. */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { javaHashCode, MessageSysFlag, SystemTopic } from '@ringledger/protocol'
import fc from 'fast-check'
import { defaultTopicConfig } from '../state/configs.ts'
import { encodeStateMessage, type StateRecord } from '../state/records.ts'
import { BrokerStore } from './broker-store.ts'
import { CheckpointFile } from './checkpoint-file.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { FakeLog } from './log-fake.ts'

const HOST = Buffer.from([127, 0, 0, 1, 0, 0, 42, 159])
const LEVELS_MS = [1000, 5000]

interface Expected {
  topic: string
  queueId: number
  queueOffset: number
  physicalOffset: number
  tagsCode: number
  keys: string[]
}

/** What is sent, and what a store must make of it. */
class World {
  log: FakeLog
  messages: Expected[] = []
  readonly offsets = new Map<string, number>()
  topics = new Set<string>()
  #count = 0

  constructor() {
    this.log = new FakeLog({ segmentBytes: 16_384, arenaBytes: 36_864, maxEntryBytes: 8192 })
  }

  send(topic: string, queueId: number, bodyBytes: number): void {
    const number = this.#count++
    const queue = `${topic}/${queueId}`
    const queueOffset = this.offsets.get(queue) ?? 0
    const keys = [`K${number % 7}`, `é${number % 5}`].slice(0, number % 3)
    const tag = ['', 'TagA', 'täg'][number % 3]!
    const isDelayed = topic === SystemTopic.SCHEDULE
    const storeTimestampMs = 1_700_000_000_000 + number
    const properties = [
      `UNIQ_KEY\u0001U${number}`,
      ...(keys.length > 0 ? [`KEYS\u0001${keys.join(' ')}`] : []),
      ...(tag === '' ? [] : [`TAGS\u0001${tag}`]),
      ...(isDelayed ? [`DELAY\u0001${(number % 4) + 1}`] : []),
    ]
    const physicalOffset = this.log.append({
      topic,
      queueId,
      queueOffset,
      storeTimestampMs,
      body: Buffer.alloc(bodyBytes, number),
      properties: properties.join('\u0002'),
    })
    this.offsets.set(queue, queueOffset + 1)
    const tagsCode = isDelayed
      ? storeTimestampMs + LEVELS_MS[Math.min(number % 4, 1)]!
      : javaHashCode(tag)
    const expected = { topic, queueId, queueOffset, physicalOffset, tagsCode }
    this.messages.push({ ...expected, keys: [`U${number}`, ...keys] })
  }

  /** A message that no queue shows. */
  sendHidden(sysFlag: number): void {
    this.log.append({ topic: 'Hidden', sysFlag, queueOffset: 0, properties: 'KEYS\u0001hidden' })
  }

  record(record: StateRecord): void {
    this.log.appendBytes(encodeStateMessage(record, HOST, 0), 0, 0)
    if (record.kind === 'topic') this.topics.add(record.config.topicName)
    if (record.kind === 'deleteTopic') {
      this.topics.delete(record.topic)
      this.messages = this.messages.filter((message) => message.topic !== record.topic)
      for (const queue of this.offsets.keys()) {
        if (queue.startsWith(`${record.topic}/`)) this.offsets.delete(queue)
      }
    }
  }
}

function openStore(
  rootDirectory: string,
  world: World,
  options: Partial<OpenOptions> = {},
): Opened {
  const seen: Opened['seen'] = { records: [], messages: [], lines: [] }
  const store = BrokerStore.open(
    {
      rootDirectory,
      arena: world.log.arena,
      files: world.log,
      logFirstPosition: 0,
      logEndPosition: world.log.end,
      consumeQueueFileBytes: 200,
      maxOpenFiles: 4,
      indexSlots: 50,
      indexEntries: 300,
      delayLevelsMs: LEVELS_MS,
      intervals: { flushMs: 0, syncMs: 0 },
      bootId: 'boot 1',
      log: (line) => seen.lines.push(line),
      ...options,
    },
    {
      onMessage: (queue, queueOffset) => seen.messages.push([queue, queueOffset]),
      onRecord: (record) => seen.records.push(record),
    },
  )
  return { store, seen }
}

interface OpenOptions {
  bootId: string
  intervals: { flushMs: number; syncMs: number }
}

interface Opened {
  store: BrokerStore
  seen: { records: StateRecord[]; messages: [ConsumeQueue, number][]; lines: string[] }
}

function drain(store: BrokerStore, entries = 7): void {
  while (store.duty(entries));
  assert.equal(store.caughtUp, true)
}

function assertSame(store: BrokerStore, world: World): void {
  const units: string[] = []
  store.queues.forEachQueue((queue) => {
    assert.equal(queue.maxOffset, world.offsets.get(`${queue.topic}/${queue.queueId}`) ?? 0)
    queue.read(0, 1e9, (queueOffset, physicalOffset, _sizeBytes, tagsCode) => {
      const { topic, queueId } = queue
      return units.push(describeUnit({ topic, queueId, queueOffset, physicalOffset, tagsCode })) > 0
    })
  })
  assert.deepEqual(units.sort(), world.messages.map(describeUnit).sort())
  for (const { topic, physicalOffset, keys } of world.messages.slice(-60)) {
    for (const key of keys) {
      const found = store.index.query(topic, key, 1e9, 0, Number.MAX_SAFE_INTEGER)
      assert.ok(found.includes(physicalOffset), `${topic}#${key}`)
    }
  }
  assert.deepEqual(new Set(store.state.topics.keys()), world.topics)
}

function describeUnit(unit: Omit<Expected, 'keys'>): string {
  const { topic, queueId, queueOffset, physicalOffset, tagsCode } = unit
  return `${topic}/${queueId} ${queueOffset}: ${physicalOffset} ${tagsCode}`
}

function inDirectory(use: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-store-'))
  try {
    use(join(directory, 'store'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

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
          world.send(action.topic, action.queueId, action.bodyBytes)
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

  test('stops at a damaged entry and says where', () => {
    inDirectory((directory) => {
      const world = new World()
      for (let n = 0; n < 5; n++) world.send('A', 0, 100)
      const { physicalOffset } = world.messages[3]!
      world.log.damage(physicalOffset + 28)
      world.log = world.log.restarted()
      const { store } = openStore(directory, world)
      const expected = { code: 'CORRUPT', message: new RegExp(`position ${physicalOffset - 48}:`) }
      assert.throws(() => store.duty(), expected)
      assert.throws(() => store.duty(), expected)
      assert.equal(store.queues.maxOffset('A', 0), 3)
      assert.equal(world.log.arena.dispatched, physicalOffset - 48)
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
