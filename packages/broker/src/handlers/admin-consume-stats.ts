/**
 * How far groups have consumed: one group (208), all of the broker (317), in time (303), and the
 * offsets that others are ahead of (308); rocketmq-remoting.md §3.6.
 */
import {
  extBool,
  jsonBody,
  type MessageQueue,
  type OffsetWrapper,
  objectKeyMap,
  RequestCode,
  ResponseCode,
  requireExt,
  retryTopicOf,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { RequestError } from '../request.ts'
import type { TopicConfig } from '../state/configs.ts'
import { StatName } from '../stats.ts'
import { messageQueue, storeTimeAt } from './admin-answers.ts'

type QueueProgress = readonly [queue: MessageQueue, progress: OffsetWrapper]

/** A topic's queues as the group has consumed them. */
function progressOf(config: TopicConfig, group: string, context: BrokerContext): QueueProgress[] {
  const topic = config.topicName
  return Array.from({ length: config.readQueueNums }, (_, queueId) => {
    const queue = context.store.queues.find(topic, queueId)
    const consumerOffset = Math.max(context.offsets.query(topic, group, queueId), 0)
    const lastMs = consumerOffset > 0 ? storeTimeAt(context, queue, consumerOffset - 1) : 0
    const progress = {
      brokerOffset: queue?.maxOffset ?? 0,
      consumerOffset,
      lastTimestamp: Math.max(lastMs, 0),
      pullOffset: Math.max(context.offsets.pullOffset(topic, group, queueId), consumerOffset),
    }
    return [messageQueue(context, topic, queueId), progress] as const
  })
}

function consumeTps(topic: string, group: string, context: BrokerContext): number {
  const nowMs = context.clock.monotonicMs()
  const view = context.stats.view(StatName.GROUP_GET_NUMS, `${topic}@${group}`, nowMs)
  return view?.minute.tps ?? 0
}

/** An online group that no longer subscribes to a topic does not lag on it. */
function isConsumed(topic: string, group: string, context: BrokerContext): boolean {
  const online = context.groups.get(group)
  return online === undefined || online.subscriptions.size === 0 || online.subscriptions.has(topic)
}

function topicsAskedFor(
  ext: Readonly<Record<string, string>>,
  group: string,
  context: BrokerContext,
): Set<string> {
  const asked = [ext.topic ?? '', ...(ext.topicList ?? '').split(';')]
    .map((topic) => topic.trim())
    .filter((topic) => topic !== '')
  if (asked.length > 0) return new Set(asked)
  const topics = new Set<string>(context.groups.get(group)?.subscriptions.keys())
  context.store.state.forEachTopicOfGroup(group, (topic) => topics.add(topic))
  const retryTopic = retryTopicOf(group)
  if (topics.size > 0 && context.topics.get(retryTopic) !== undefined) topics.add(retryTopic)
  return topics
}

export const handleConsumeStats: Handler = ({ ext }, context) => {
  const group = requireExt(ext, 'consumerGroup')
  const entries: QueueProgress[] = []
  let tps = 0
  for (const topic of topicsAskedFor(ext, group, context)) {
    const config = context.topics.get(topic)
    if (config === undefined || !isConsumed(topic, group, context)) continue
    entries.push(...progressOf(config, group, context))
    tps += consumeTps(topic, group, context)
  }
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({ consumeTps: tps, offsetTable: objectKeyMap(entries) }),
  }
}

export const handleBrokerConsumeStats: Handler = ({ ext }, context) => {
  const isOrder = extBool(ext, 'isOrder', false)
  const topicsOfGroups = consumedTopics(context)
  let totalDiff = 0
  let totalInflightDiff = 0
  const consumeStatsList = Array.from(context.subscriptionGroups.all(), ({ groupName }) => {
    const statsList: object[] = []
    for (const topic of topicsOfGroups.get(groupName) ?? []) {
      const config = context.topics.get(topic)
      if (config === undefined || (isOrder && !config.order)) continue
      if (!isConsumed(topic, groupName, context)) continue
      const entries = progressOf(config, groupName, context)
      for (const [, { brokerOffset, consumerOffset, pullOffset }] of entries) {
        totalDiff += brokerOffset - consumerOffset
        totalInflightDiff += pullOffset - consumerOffset
      }
      const offsetTable = objectKeyMap(entries)
      statsList.push({ consumeTps: consumeTps(topic, groupName, context), offsetTable })
    }
    return { [groupName]: statsList }
  })
  const { brokerIP1, listenPort } = context.settings
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({
      brokerAddr: `${brokerIP1}:${listenPort}`,
      consumeStatsList,
      totalDiff,
      totalInflightDiff,
    }),
  }
}

/** Topics on which a group has offsets, for all groups in one pass. */
function consumedTopics(context: BrokerContext): Map<string, Set<string>> {
  const topicsOfGroups = new Map<string, Set<string>>()
  for (const [topic, group] of context.store.state.content().offsets) {
    const topics = topicsOfGroups.get(group)
    if (topics === undefined) topicsOfGroups.set(group, new Set([topic]))
    else topics.add(topic)
  }
  return topicsOfGroups
}

export const handleConsumeTimeSpan: Handler = ({ ext }, context) => {
  const topic = requireExt(ext, 'topic')
  const group = requireExt(ext, 'group')
  const config = context.topics.get(topic)
  if (config === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
  }
  const consumeTimeSpanSet = Array.from({ length: config.writeQueueNums }, (_, queueId) =>
    timeSpan(topic, group, queueId, context),
  )
  return { code: ResponseCode.SUCCESS, body: jsonBody({ consumeTimeSpanSet }) }
}

function timeSpan(topic: string, group: string, queueId: number, context: BrokerContext): object {
  const queue = context.store.queues.find(topic, queueId)
  const maxOffset = queue?.maxOffset ?? 0
  const minTimeStamp = storeTimeAt(context, queue, queue?.minOffset ?? 0)
  const maxTimeStamp = storeTimeAt(context, queue, maxOffset - 1)
  const offset = context.offsets.query(topic, group, queueId)
  const consumeTimeStamp = offset > 0 ? storeTimeAt(context, queue, offset - 1) : minTimeStamp
  const nextMs = offset < maxOffset ? storeTimeAt(context, queue, Math.max(offset, 0)) : -1
  return {
    consumeTimeStamp,
    consumeTimeStampStr: timeText(consumeTimeStamp),
    delayTime: nextMs < 0 ? 0 : Math.max(context.clock.wallMs() - nextMs, 0),
    maxTimeStamp,
    maxTimeStampStr: timeText(maxTimeStamp),
    messageQueue: messageQueue(context, topic, queueId),
    minTimeStamp,
    minTimeStampStr: timeText(minTimeStamp),
  }
}

/** Local time as RocketMQ writes it: 2026-11-23#04:16:52:825. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${day}#${time}:${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** What Java's Long.MAX_VALUE says here: this queue needs no correction. */
const NO_CORRECTION = 9_223_372_036_854_775_807n

/** Per queue the smallest offset of all other groups, unless the compared group is behind it. */
export const handleCorrectionOffset: Handler = ({ ext }, context) => {
  const topic = requireExt(ext, 'topic')
  const compared = requireExt(ext, 'compareGroup')
  const left = new Set((ext.filterGroups ?? '').split(',').filter((group) => group !== ''))
  const smallest = new Map<number, number>()
  const comparedOffsets = new Map<number, number>()
  context.store.state.forEachGroupOfTopic(topic, (group) => {
    context.offsets.forEach(topic, group, (queueId, offset) => {
      if (group === compared) comparedOffsets.set(queueId, offset)
      if (left.has(group) || offset < context.store.queues.minOffset(topic, queueId)) return
      smallest.set(queueId, Math.min(smallest.get(queueId) ?? offset, offset))
    })
  })
  const corrections = Array.from(smallest, ([queueId, offset]) => {
    const isBehind = offset > (comparedOffsets.get(queueId) ?? offset)
    return [queueId, isBehind ? NO_CORRECTION : offset] as const
  })
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({ correctionOffsets: new Map(corrections) }),
  }
}

export const ADMIN_CONSUME_STATS_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.GET_CONSUME_STATS, handleConsumeStats],
  [RequestCode.GET_BROKER_CONSUME_STATS, handleBrokerConsumeStats],
  [RequestCode.QUERY_CONSUME_TIME_SPAN, handleConsumeTimeSpan],
  [RequestCode.QUERY_CORRECTION_OFFSET, handleCorrectionOffset],
])
