/**
 * Counts what the messages of a log are and use. Plain data, because it comes from a worker thread;
 * the tallies of a log's files are added up in their order.
 */
import {
  MESSAGE_MAGIC_V2,
  MessageSysFlag,
  msgMagic,
  msgPhysicalOffset,
  msgQueueId,
  msgQueueOffset,
  msgQueueOffsets,
  msgStoreTimestamp,
  msgSysFlag,
  msgTopicRange,
  SystemTopic,
  transactionType,
} from '@ringledger/protocol'
import type { Features, MessageNote, QueueReport } from './report.ts'

type Writeable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

interface QueueTally extends Writeable<QueueReport> {
  readonly topicBytes: Uint8Array
}

export interface MessageTally {
  messages: number
  queues: Map<number, QueueTally[]>
  features: Writeable<Features>
  last: MessageNote | undefined
}

export function newTally(): MessageTally {
  const features = {
    messageV2: 0,
    ipv6Hosts: 0,
    compressed: 0,
    halfMessages: 0,
    innerBatches: 0,
    timerMessages: 0,
    delayedMessages: 0,
  }
  return { messages: 0, queues: new Map(), features, last: undefined }
}

const V6 = MessageSysFlag.BORNHOST_V6 | MessageSysFlag.STOREHOST_V6

/** Adds the checked message that starts at `start`. */
export function tallyMessage(tally: MessageTally, bytes: Buffer, start: number): void {
  const { features } = tally
  const sysFlag = msgSysFlag(bytes, start)
  tally.messages++
  if (msgMagic(bytes, start) === MESSAGE_MAGIC_V2) features.messageV2++
  if (sysFlag !== 0) {
    if ((sysFlag & V6) !== 0) features.ipv6Hosts++
    if ((sysFlag & MessageSysFlag.COMPRESSED) !== 0) features.compressed++
    if ((sysFlag & MessageSysFlag.INNER_BATCH) !== 0) features.innerBatches++
    // Neither kind has a place in a queue.
    const kind = transactionType(sysFlag)
    if (kind === MessageSysFlag.TRANSACTION_PREPARED_TYPE) return
    if (kind === MessageSysFlag.TRANSACTION_ROLLBACK_TYPE) return
  }
  const queue = queueOf(tally, bytes, start)
  const queueOffset = msgQueueOffset(bytes, start)
  if (queue.messages > 0 && queueOffset !== queue.lastQueueOffset + 1) queue.breaks++
  if (queue.messages === 0) queue.firstQueueOffset = queueOffset
  queue.lastQueueOffset = queueOffset + msgQueueOffsets(bytes, start) - 1
  queue.messages++
}

/** What finds the checked message at `start` again. */
export function noteMessage(bytes: Buffer, start: number): MessageNote {
  const topic = msgTopicRange(bytes, start)
  return {
    offset: msgPhysicalOffset(bytes, start),
    topic: bytes.toString('utf8', topic.start, topic.end),
    queueId: msgQueueId(bytes, start),
    queueOffset: msgQueueOffset(bytes, start),
    storeTimeMs: msgStoreTimestamp(bytes, start),
  }
}

function queueOf(tally: MessageTally, bytes: Buffer, start: number): QueueTally {
  const { start: from, end } = msgTopicRange(bytes, start, RANGE)
  const queueId = msgQueueId(bytes, start)
  let key = queueId
  for (let at = from; at < end; at++) key = Math.imul(key ^ (bytes[at] ?? 0), 16777619)
  let bucket = tally.queues.get(key)
  if (bucket === undefined) {
    bucket = []
    tally.queues.set(key, bucket)
  }
  for (const queue of bucket) {
    if (queue.queueId === queueId && same(queue.topicBytes, bytes, from, end)) return queue
  }
  const queue = newQueue(bytes.subarray(from, end), queueId)
  bucket.push(queue)
  return queue
}

const RANGE = new (class {
  start = 0
  end = 0
})()

function newQueue(topicBytes: Buffer, queueId: number): QueueTally {
  return {
    topic: topicBytes.toString('utf8'),
    topicBytes: new Uint8Array(topicBytes),
    queueId,
    firstQueueOffset: 0,
    lastQueueOffset: -1,
    messages: 0,
    breaks: 0,
  }
}

function same(topic: Uint8Array, bytes: Buffer, from: number, end: number): boolean {
  if (topic.length !== end - from) return false
  for (let at = 0; at < topic.length; at++) if (topic[at] !== bytes[from + at]) return false
  return true
}

/** Queues of all files in log order, by topic and queue. */
export function joinQueues(tallies: readonly MessageTally[]): QueueReport[] {
  const joined = new Map<string, Writeable<QueueReport>>()
  for (const tally of tallies) {
    for (const queue of [...tally.queues.values()].flat()) {
      const { topicBytes: _, ...report } = queue
      const key = `${queue.topic}\u0000${queue.queueId}`
      const before = joined.get(key)
      if (before === undefined) joined.set(key, report)
      else {
        const follows = report.firstQueueOffset === before.lastQueueOffset + 1
        before.breaks += report.breaks + (follows ? 0 : 1)
        before.lastQueueOffset = report.lastQueueOffset
        before.messages += report.messages
      }
    }
  }
  return [...joined.values()].sort(
    (left, right) => compareText(left.topic, right.topic) || left.queueId - right.queueId,
  )
}

export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

/** The sums over all files; what only a topic tells is taken from the queues. */
export function joinFeatures(
  tallies: readonly MessageTally[],
  queues: readonly QueueReport[],
): Features {
  const sum = newTally().features
  for (const { features } of tallies) {
    for (const key of Object.keys(sum) as (keyof Features)[]) sum[key] += features[key]
  }
  const of = (topic: string): number =>
    queues
      .filter((queue) => queue.topic === topic)
      .reduce((messages, queue) => messages + queue.messages, 0)
  return {
    ...sum,
    halfMessages: of(SystemTopic.TRANS_HALF),
    timerMessages: of(SystemTopic.TIMER),
    delayedMessages: of(SystemTopic.SCHEDULE),
  }
}
