/**
 * A world of messages and records for tests of the store: what is sent, and what must come of it.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBatch, javaHashCode, MessageSysFlag, SystemTopic } from '@ringledger/protocol'
import { encodeStateMessage, type StateRecord } from '../state/records.ts'
import { BrokerStore } from './broker-store.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { FakeLog } from './log-fake.ts'

export const HOST: Buffer = Buffer.from([127, 0, 0, 1, 0, 0, 42, 159])
export const LEVELS_MS: readonly number[] = [1000, 5000]

export const INNER_BATCH_FLAGS: number = MessageSysFlag.INNER_BATCH | MessageSysFlag.NEED_UNWRAP

/** The body of an inner batch, of about `bodyBytes`. */
export function batchBody(elements: number, bodyBytes: number): Buffer {
  const body = Buffer.alloc(Math.floor(bodyBytes / elements), 1)
  const element = { flag: 0, body, properties: Buffer.alloc(0) }
  return encodeBatch(new Array(elements).fill(element))
}

export interface Expected {
  topic: string
  queueId: number
  queueOffset: number
  physicalOffset: number
  tagsCode: number
  keys: string[]
}

/** What is sent, and what a store must make of it. */
export class World {
  log: FakeLog
  messages: Expected[] = []
  readonly offsets: Map<string, number> = new Map()
  topics: Set<string> = new Set()
  #count = 0

  constructor() {
    this.log = new FakeLog({ segmentBytes: 16_384, arenaBytes: 36_864, maxEntryBytes: 8192 })
  }

  /** With more than one of `elements` it is an inner batch. */
  send(topic: string, queueId: number, bodyBytes: number, elements = 1): void {
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
      ...(elements > 1 ? [`INNER_NUM\u0001${elements}`, `INNER_BASE\u0001${queueOffset}`] : []),
      ...(isDelayed ? [`DELAY\u0001${(number % 4) + 1}`] : []),
    ]
    const physicalOffset = this.log.append({
      topic,
      queueId,
      queueOffset,
      storeTimestampMs,
      sysFlag: elements > 1 ? INNER_BATCH_FLAGS : 0,
      body: elements > 1 ? batchBody(elements, bodyBytes) : Buffer.alloc(bodyBytes, number),
      properties: properties.join('\u0002'),
    })
    this.offsets.set(queue, queueOffset + elements)
    const tagsCode = isDelayed
      ? storeTimestampMs + LEVELS_MS[Math.min(number % 4, 1)]!
      : javaHashCode(tag)
    const expected = { topic, queueId, physicalOffset, tagsCode, keys: [`U${number}`, ...keys] }
    for (let at = queueOffset; at < queueOffset + elements; at++) {
      this.messages.push({ ...expected, queueOffset: at })
    }
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

export function openStore(
  rootDirectory: string,
  world: World,
  options: Partial<OpenOptions> = {},
): Opened {
  const seen: Opened['seen'] = { records: [], messages: [], lines: [], replaced: 0 }
  const store = BrokerStore.open(
    {
      rootDirectory,
      arena: world.log.arena,
      files: world.log,
      logFirstPosition: world.log.filesBegin,
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
      onReplaced: () => {
        seen.replaced += 1
      },
    },
  )
  return { store, seen }
}

export interface OpenOptions {
  bootId: string
  intervals: { flushMs: number; syncMs: number }
  logStart: () => number
}

export interface Opened {
  store: BrokerStore
  seen: {
    records: StateRecord[]
    messages: [ConsumeQueue, number][]
    lines: string[]
    replaced: number
  }
}

export function drain(store: BrokerStore, entries = 7): void {
  while (store.duty(entries));
  assert.equal(store.caughtUp, true)
}

export function assertSame(store: BrokerStore, world: World): void {
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

export function describeUnit(unit: Omit<Expected, 'keys'>): string {
  const { topic, queueId, queueOffset, physicalOffset, tagsCode } = unit
  return `${topic}/${queueId} ${queueOffset}: ${physicalOffset} ${tagsCode}`
}

export function inDirectory(use: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-store-'))
  try {
    use(join(directory, 'store'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
