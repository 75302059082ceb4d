/**
 * Everything that a broker serves, asked of it through remoting as a client asks: the stored bytes
 * of every message of every queue, and the progress of consumer groups. Two brokers that are to
 * hold the same are compared by it.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { RemotingClient, type RequestInit } from '@ringledger/network'
import {
  decodeMessage,
  PHYSICAL_OFFSET_AT,
  PropertyName,
  parseJsonBody,
  preparedTransactionOffsetAt,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import { pullRequest } from '../harness/pull-request.ts'

const TIMEOUT_MS = 10_000
const BATCH = 32
const READER = 'content-reader'

/** One stored message; with equal fields they are equal in every byte. */
export interface Content {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly physicalOffset: number
  readonly preparedTransactionOffset: number
  readonly flag: number
  readonly sysFlag: number
  readonly bornTimestampMs: number
  readonly storeTimestampMs: number
  readonly reconsumeTimes: number
  readonly properties: ReadonlyMap<string, string>
  /** SHA-256, as stored. */
  readonly bodyDigest: string
  /** SHA-256 of the message as stored, its two offsets above taken for 0. */
  readonly digest: string
}

export interface QueueContent {
  readonly first: number
  readonly end: number
  readonly messages: readonly Content[]
}

/** By `topic/queueId`; queues that never had a message left out. */
export type BrokerContent = ReadonlyMap<string, QueueContent>

export class ContentReader {
  readonly #client: RemotingClient
  readonly #address: string

  private constructor(client: RemotingClient, address: string) {
    this.#client = client
    this.#address = address
  }

  /** Runs `use` with a connection to the broker. */
  static async at<T>(address: string, use: (reader: ContentReader) => Promise<T>): Promise<T> {
    const client = new RemotingClient()
    await client.connect(address)
    try {
      return await use(new ContentReader(client, address))
    } finally {
      await client.close()
    }
  }

  async content(): Promise<BrokerContent> {
    const found = new Map<string, QueueContent>()
    for (const [topic, queues] of await this.#queues()) {
      for (let queueId = 0; queueId < queues; queueId++) {
        const queue = await this.#queue(topic, queueId)
        if (queue.end > 0) found.set(`${topic}/${queueId}`, queue)
      }
    }
    return found
  }

  /** `topic@group` → queue → next offset, of every group that has one. */
  async consumerOffsets(): Promise<Record<string, Record<string, number>>> {
    const { body } = await this.#ask({ code: RequestCode.GET_ALL_CONSUMER_OFFSET })
    const { offsetTable } = parseJsonBody(body) as {
      offsetTable: Record<string, Record<string, number>>
    }
    return offsetTable
  }

  /** The message as `viewMessage` of an offset id gets it. */
  async byOffset(topic: string, physicalOffset: number): Promise<Content> {
    const ext = { offset: String(physicalOffset), topic }
    const { body } = await this.#ask({ code: RequestCode.VIEW_MESSAGE_BY_ID, ext })
    return contentAt(body, 0).content
  }

  /** Physical offsets of what is found by a key, or by the unique key. */
  async byKey(topic: string, key: string, unique: boolean): Promise<number[]> {
    const ext = {
      topic,
      key,
      maxNum: '64',
      beginTimestamp: '0',
      endTimestamp: String(Number.MAX_SAFE_INTEGER),
      ...(unique ? { _UNIQUE_KEY_QUERY: 'true' } : {}),
    }
    const answer = await this.#request({ code: RequestCode.QUERY_MESSAGE, ext })
    if (answer.code !== ResponseCode.SUCCESS) return []
    return contents(answer.body).map(({ physicalOffset }) => physicalOffset)
  }

  /** First queue offset stored at that time or later. */
  async offsetAt(topic: string, queueId: number, timestampMs: number): Promise<number> {
    const ext = { topic, queueId: String(queueId), timestamp: String(timestampMs) }
    return await this.#number({ code: RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, ext }, 'offset')
  }

  async #queues(): Promise<Map<string, number>> {
    const { body } = await this.#ask({ code: RequestCode.GET_ALL_TOPIC_CONFIG })
    const { topicConfigTable } = parseJsonBody(body) as {
      topicConfigTable: Record<string, { readQueueNums: number; writeQueueNums: number }>
    }
    return new Map(
      Object.entries(topicConfigTable).map(([topic, { readQueueNums, writeQueueNums }]) => [
        topic,
        Math.max(readQueueNums, writeQueueNums),
      ]),
    )
  }

  async #queue(topic: string, queueId: number): Promise<QueueContent> {
    const ext = { topic, queueId: String(queueId) }
    const first = await this.#number({ code: RequestCode.GET_MIN_OFFSET, ext }, 'offset')
    const end = await this.#number({ code: RequestCode.GET_MAX_OFFSET, ext }, 'offset')
    const messages: Content[] = []
    for (let next = first; next < end; ) {
      const answer = await this.#pull(topic, queueId, next)
      if (answer.code === ResponseCode.SUCCESS) messages.push(...contents(answer.body))
      const after = Number(answer.ext.nextBeginOffset)
      assert.ok(
        after > next,
        `${this.#address}: ${topic}/${queueId} ends at ${next} of ${end}: ${answer.code}`,
      )
      next = after
    }
    return { first, end, messages }
  }

  #pull(topic: string, queueId: number, queueOffset: number): Promise<RemotingCommand> {
    const place = { group: READER, topic, queueId, queueOffset, maxMessages: BATCH }
    return this.#request(pullRequest(place))
  }

  async #number(request: RequestInit, name: string): Promise<number> {
    return Number((await this.#ask(request)).ext[name])
  }

  #request(request: RequestInit): Promise<RemotingCommand> {
    return this.#client.request(request, TIMEOUT_MS)
  }

  async #ask(request: RequestInit): Promise<RemotingCommand> {
    const answer = await this.#request(request)
    if (answer.code === ResponseCode.SUCCESS) return answer
    const what = `code ${request.code} ${JSON.stringify(request.ext ?? {})}`
    throw new Error(`${this.#address}: ${what}: code ${answer.code} ${answer.remark ?? ''}`)
  }
}

function contents(bytes: Buffer): Content[] {
  const found: Content[] = []
  for (let at = 0; at < bytes.length; ) {
    const { content, end } = contentAt(bytes, at)
    found.push(content)
    at = end
  }
  return found
}

function contentAt(bytes: Buffer, at: number): { content: Content; end: number } {
  const message = decodeMessage(bytes, at)
  const end = at + message.totalSize
  const { topic, queueId, queueOffset, sysFlag, properties } = message
  const { physicalOffset, preparedTransactionOffset, flag, reconsumeTimes } = message
  const { bornTimestampMs, storeTimestampMs } = message
  const masked = Buffer.from(bytes.subarray(at, end))
  for (const field of [PHYSICAL_OFFSET_AT, preparedTransactionOffsetAt(sysFlag)]) {
    masked.fill(0, field, field + 8)
  }
  const place = { topic, queueId, queueOffset, physicalOffset, preparedTransactionOffset }
  const times = { bornTimestampMs, storeTimestampMs, reconsumeTimes }
  const digests = { bodyDigest: digestOf(message.body), digest: digestOf(masked) }
  return { content: { ...place, flag, sysFlag, ...times, properties, ...digests }, end }
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The same queues with the same messages, byte for byte. */
export function assertSameContent(actual: BrokerContent, expected: BrokerContent): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort())
  for (const [name, { first, end, messages }] of expected) {
    const found = actual.get(name)
    assert.deepEqual([found?.first, found?.end], [first, end], `first and end of ${name}`)
    assert.deepEqual(found?.messages, messages, name)
  }
}

/** The same queues with the same messages, whatever their places in the log are. */
export function assertMovedContent(actual: BrokerContent, expected: BrokerContent): void {
  assertSameContent(unplaced(actual), unplaced(expected))
}

function unplaced(content: BrokerContent): BrokerContent {
  const nowhere = { physicalOffset: 0, preparedTransactionOffset: 0 }
  return new Map(
    Array.from(content, ([name, queue]) => [
      name,
      { ...queue, messages: queue.messages.map((message) => ({ ...message, ...nowhere })) },
    ]),
  )
}

/** By unique key a broker of 4.9.4 finds the last so many; others find more. */
const FOUND_AT_LEAST = 32

/**
 * Every message is found by its place in the log, by its unique key and by each of its keys; of one
 * that a client sent again and again, for it got no answer, the last ones are.
 */
export async function assertAllFound(reader: ContentReader, content: BrokerContent): Promise<void> {
  const all = allOf(content)
  const copies = new Map<string | undefined, number>()
  for (const { properties } of all) {
    const uniqueKey = properties.get(PropertyName.UNIQ_KEY)
    copies.set(uniqueKey, (copies.get(uniqueKey) ?? 0) + 1)
  }
  for (const message of all) {
    const { topic, physicalOffset, properties } = message
    assert.deepEqual(await reader.byOffset(topic, physicalOffset), message)
    const uniqueKey = properties.get(PropertyName.UNIQ_KEY)
    const assertAmong = (found: readonly number[], what: string): void => {
      const isOneOfMany = copies.get(uniqueKey)! > FOUND_AT_LEAST && found.length >= FOUND_AT_LEAST
      assert.ok(isOneOfMany || found.includes(physicalOffset), `${topic}: ${what}`)
    }
    if (uniqueKey !== undefined) {
      assertAmong(await reader.byKey(topic, uniqueKey, true), `unique key ${uniqueKey}`)
    }
    for (const key of properties.get(PropertyName.KEYS)?.split(' ') ?? []) {
      assertAmong(await reader.byKey(topic, key, false), `key ${key}`)
    }
  }
}

/**
 * A search for the time at which a message was stored leads to where a later part of its queue
 * begins. Apache's DLedger brokers stamp messages before they order them, so that times may go back
 * by a millisecond or two: there may be more than one such place, of which any will do.
 */
export async function assertFoundByTime(
  reader: ContentReader,
  content: BrokerContent,
): Promise<void> {
  for (const [name, { messages }] of content) {
    let latestMs = -1
    for (const { topic, queueId, storeTimestampMs } of messages) {
      if (storeTimestampMs <= latestMs) continue
      latestMs = storeTimestampMs
      const found = await reader.offsetAt(topic, queueId, storeTimestampMs)
      const at = messages.findIndex(({ queueOffset }) => queueOffset === found)
      const said = `${name} at ${storeTimestampMs}: ${found}`
      assert.ok((messages[at]?.storeTimestampMs ?? -1) >= storeTimestampMs, said)
      assert.ok((messages[at - 1]?.storeTimestampMs ?? -1) < storeTimestampMs, said)
    }
  }
}

export function allOf(content: BrokerContent): Content[] {
  return [...content.values()].flatMap(({ messages }) => messages)
}

/** All that a broker shows of its store. */
export interface Served {
  readonly content: BrokerContent
  readonly consumerOffsets: Record<string, Record<string, number>>
}

export function servedBy(address: string): Promise<Served> {
  return ContentReader.at(address, async (reader) => ({
    content: await reader.content(),
    consumerOffsets: await reader.consumerOffsets(),
  }))
}

export async function assertServes(address: string, expected: Served): Promise<void> {
  const found = await servedBy(address)
  assertSameContent(found.content, expected.content)
  assert.deepEqual(found.consumerOffsets, expected.consumerOffsets)
  await ContentReader.at(address, (reader) => assertAllFound(reader, expected.content))
}
