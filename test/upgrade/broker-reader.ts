/** Reads and writes one broker the way clients do, and compares what it has with a sample store. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { RemotingClient } from '@ringledger/network'
import {
  decodeMessage,
  msgTotalSize,
  parseOffsetMessageId,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type StoredMessage,
} from '@ringledger/protocol'
import { pullRequest } from '../harness/pull-request.ts'
import type { SampleMessage, SampleStore } from './sample-stores.ts'

const TIMEOUT_MS = 10_000
const GROUP = 'upgrade-test'
/** A commit or an ordinary message; others are in no queue. */
const isInQueue = ({ sysFlag }: SampleMessage): boolean => (sysFlag & 4) === 0

export interface Stored {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly physicalOffset: number
}

export class BrokerReader {
  readonly #client: RemotingClient = new RemotingClient()

  static async connect(address: string): Promise<BrokerReader> {
    const reader = new BrokerReader()
    await reader.#client.connect(address)
    return reader
  }

  close(): void {
    this.#client.close()
  }

  /** `more`: further properties, each `name 0x01 value 0x02`. */
  async send(
    topic: string,
    queueId: number,
    body: string,
    key: string,
    more = '',
  ): Promise<Stored> {
    const ext = {
      producerGroup: GROUP,
      topic,
      defaultTopic: 'TBW102',
      defaultTopicQueueNums: '4',
      queueId: String(queueId),
      sysFlag: '0',
      bornTimestamp: String(Date.now()),
      flag: '0',
      properties: `KEYS\u0001${key}\u0002${more}`,
      reconsumeTimes: '0',
      batch: 'false',
    }
    const answer = await this.#ask(RequestCode.SEND_MESSAGE, ext, Buffer.from(body))
    const physicalOffset = parseOffsetMessageId(answer.ext.msgId as string).physicalOffset
    return { topic, queueId, queueOffset: Number(answer.ext.queueOffset), physicalOffset }
  }

  /** Every message of a queue, from its minimum to its maximum. */
  async queue(topic: string, queueId: number): Promise<StoredMessage[]> {
    const place = { topic, queueId: String(queueId) }
    const end = await this.maxOffset(topic, queueId)
    let next = await this.#number(RequestCode.GET_MIN_OFFSET, place)
    const messages: StoredMessage[] = []
    while (next < end) {
      const answer = await this.#pull(topic, queueId, next)
      const { body } = answer
      for (let at = 0; at < body.length; at += msgTotalSize(body, at)) {
        messages.push(decodeMessage(body, at))
      }
      const before = next
      next = Number(answer.ext.nextBeginOffset)
      assert.ok(next > before, `${topic}/${queueId} stands at ${before} of ${end}`)
    }
    return messages
  }

  async maxOffset(topic: string, queueId: number): Promise<number> {
    return await this.#number(RequestCode.GET_MAX_OFFSET, { topic, queueId: String(queueId) })
  }

  /** The message with that queue offset. */
  async messageAt(topic: string, queueId: number, offset: number): Promise<StoredMessage> {
    return decodeMessage((await this.#pull(topic, queueId, offset)).body, 0)
  }

  /** Physical offsets of the messages that the index has for a unique key. */
  async offsetsOfUniqueKey(topic: string, key: string): Promise<number[]> {
    return await this.#offsetsOfKey(topic, key, 'true')
  }

  consumerOffset(topic: string, group: string, queueId: number): Promise<number> {
    const ext = { topic, consumerGroup: group, queueId: String(queueId) }
    return this.#number(RequestCode.QUERY_CONSUMER_OFFSET, ext)
  }

  /**
   * All of the sample's messages are here, by each way there is, and its groups are where they
   * were.
   */
  async assertHolds(sample: SampleStore): Promise<void> {
    const queues = Map.groupBy(
      sample.messages.filter(isInQueue),
      ({ topic, queueId }) => `${topic}/${queueId}`,
    )
    for (const messages of queues.values()) await this.#assertQueue(messages)
    for (const message of sample.messages) {
      await this.#assertById(message)
      if (isInQueue(message)) await this.#assertByKey(message)
    }
    for (const [pair, offsets] of Object.entries(sample.offsets)) {
      const [topic = '', group = ''] = pair.split('@')
      for (const [queueId, offset] of Object.entries(offsets)) {
        const here = await this.consumerOffset(topic, group, Number(queueId))
        assert.equal(here, offset, `${pair} ${queueId}`)
      }
    }
  }

  async #assertQueue(expected: readonly SampleMessage[]): Promise<void> {
    const { topic, queueId } = expected[0]!
    const found = new Map(
      (await this.queue(topic, queueId)).map((message) => [message.queueOffset, message]),
    )
    const times = new Set<number>()
    for (const message of expected) {
      assertSame(found.get(message.queueOffset), message)
      if (times.has(message.storeTimestamp)) continue
      times.add(message.storeTimestamp)
      const ext = { topic, queueId: String(queueId), timestamp: String(message.storeTimestamp) }
      const at = await this.#number(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, ext)
      assert.equal(at, message.queueOffset, `${topic}/${queueId} at ${message.storeTimestamp}`)
    }
  }

  async #assertById(message: SampleMessage): Promise<void> {
    const { physicalOffset } = parseOffsetMessageId(message.offsetMsgId)
    const ext = { offset: String(physicalOffset) }
    const answer = await this.#ask(RequestCode.VIEW_MESSAGE_BY_ID, ext)
    assertSame(decodeMessage(answer.body, 0), message)
  }

  async #assertByKey(message: SampleMessage): Promise<void> {
    const { topic, uniqKey, keys, physicalOffset } = message
    const asked: [string, string][] = []
    if (uniqKey !== null) asked.push([uniqKey, 'true'])
    const firstKey = keys?.split(' ').find((key) => key !== '')
    if (firstKey !== undefined) asked.push([firstKey, 'false'])
    for (const [key, unique] of asked) {
      const offsets = await this.#offsetsOfKey(topic, key, unique)
      assert.ok(offsets.includes(physicalOffset) || offsets.length >= 32, `${topic}#${key}`)
    }
  }

  async #offsetsOfKey(topic: string, key: string, unique: string): Promise<number[]> {
    const ext = {
      topic,
      key,
      maxNum: '64',
      beginTimestamp: '0',
      endTimestamp: String(Number.MAX_SAFE_INTEGER),
      _UNIQUE_KEY_QUERY: unique,
    }
    const { body } = await this.#ask(RequestCode.QUERY_MESSAGE, ext)
    const offsets: number[] = []
    for (let at = 0; at < body.length; at += msgTotalSize(body, at)) {
      offsets.push(decodeMessage(body, at).physicalOffset)
    }
    return offsets
  }

  async #pull(topic: string, queueId: number, offset: number): Promise<RemotingCommand> {
    const place = { group: GROUP, topic, queueId, queueOffset: offset, maxMessages: 32 }
    const answer = await this.#client.request(pullRequest(place), TIMEOUT_MS)
    const isFine = [ResponseCode.SUCCESS, ResponseCode.PULL_RETRY_IMMEDIATELY].includes(
      answer.code as never,
    )
    assert.ok(isFine, `${topic}/${queueId} ${offset}: ${answer.code} ${answer.remark}`)
    return answer
  }

  async #number(code: number, ext: Record<string, string>): Promise<number> {
    return Number((await this.#ask(code, ext)).ext.offset)
  }

  async #ask(code: number, ext: Record<string, string>, body?: Buffer): Promise<RemotingCommand> {
    const request = body === undefined ? { code, ext } : { code, ext, body }
    const answer = await this.#client.request(request, TIMEOUT_MS)
    assert.equal(
      answer.code,
      ResponseCode.SUCCESS,
      `${code} ${JSON.stringify(ext)}: ${answer.remark}`,
    )
    return answer
  }
}

function assertSame(found: StoredMessage | undefined, expected: SampleMessage): void {
  const what = `${expected.topic}/${expected.queueId} ${expected.queueOffset}`
  assert.ok(found !== undefined, what)
  assert.equal(found.topic, expected.topic, what)
  assert.equal(found.queueId, expected.queueId, what)
  assert.equal(found.queueOffset, expected.queueOffset, what)
  assert.equal(found.physicalOffset, expected.physicalOffset, what)
  assert.equal(found.totalSize, expected.storeSize, what)
  assert.deepEqual(Object.fromEntries(found.properties), expected.properties, what)
  const digest = createHash('sha256').update(found.body).digest('hex')
  assert.equal(digest, expected.storedBodySha256, what)
}
