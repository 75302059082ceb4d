/**
 * The store for administrators: units of a consume queue (321), the cleaning requests (306, 316,
 * 329), replication as Apache's master and slave show it (907), counters (315), and the mode of
 * consumption (401).
 */
import {
  extInt,
  extLong,
  isRetryTopic,
  jsonBody,
  RequestCode,
  ResponseCode,
  requireExt,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { RequestError, SUCCESS } from '../request.ts'
import { StatName, type StatWindow, WHOLE_BROKER } from '../stats.ts'
import { passesTags } from '../subscription.ts'
import { subscriptionData } from './admin-clients.ts'
import { bodyObject, textMember } from './json-fields.ts'

const MAX_UNITS = 10_000

export const handleQueryConsumeQueue: Handler = ({ ext }, context) => {
  const topic = requireExt(ext, 'topic')
  const queueId = extInt(ext, 'queueId')
  const index = Math.max(extLong(ext, 'index'), 0)
  const count = Math.min(Math.max(extInt(ext, 'count'), 0), MAX_UNITS)
  const queue = context.store.queues.find(topic, queueId)
  if (queue === undefined) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `${queueId}@${topic} is not exist!`)
  }
  const group = ext.consumerGroup ?? ''
  const subscription = context.groups.get(group)?.subscriptions.get(topic)
  const queueData: object[] = []
  const first = Math.max(index, queue.minOffset)
  queue.read(first, count, (_offset, physicalOffset, sizeBytes, tagsCode) => {
    const isMatch = subscription !== undefined && passesTags(subscription, tagsCode)
    queueData.push({ eval: isMatch, physicOffset: physicalOffset, physicSize: sizeBytes, tagsCode })
    return true
  })
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({
      maxQueueIndex: queue.maxOffset,
      minQueueIndex: queue.minOffset,
      queueData,
      subscriptionData: subscription === undefined ? undefined : subscriptionData(subscription),
    }),
  }
}

/** The queues of a deleted topic go with its record, so there is never anything left to clean. */
const handleNothingToClean: Handler = () => SUCCESS

/**
 * Files that speak only of deleted messages go. A queue keeps its next offset: RocketMQ forgets it
 * with the queue, and gives offsets out again that groups have consumed already.
 */
const handleCleanQueues: Handler = (_request, { retention }) => {
  retention.cleanQueuesNow()
  return SUCCESS
}

/** As RocketMQ, whatever the hour: what is expired, in up to 20 rounds. */
const handleDeleteExpiredLog: Handler = (_request, { retention }) => {
  retention.deleteExpiredNow()
  return SUCCESS
}

const handleHaStatus: Handler = ({ code }, { role }) => {
  const { role: ownRole, term, leaderId } = role
  throw new RequestError(
    ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    ` request type ${code} not supported: the log is replicated by Raft and not by master and slave connections; ` +
      `this node is ${ownRole} in term ${term}, the leader is ${leaderId === '' ? 'not known' : leaderId}`,
  )
}

export const handleStats: Handler = ({ ext }, context) => {
  const name = requireExt(ext, 'statsName')
  const key = requireExt(ext, 'statsKey')
  const nowMs = context.clock.monotonicMs()
  context.putCounts.refresh(nowMs)
  const view = context.stats.view(name, ownKey(name, key, context), nowMs)
  if (view === undefined) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `The stats <${name}> not exist`)
  }
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({
      statsDay: statsItem(view.day),
      statsHour: statsItem(view.hour),
      statsMinute: statsItem(view.minute),
    }),
  }
}

/** The tools ask for a whole broker's counters under the name of its cluster. */
function ownKey(name: string, key: string, { settings }: BrokerContext): string {
  const isWhole = name === StatName.BROKER_PUT_NUMS || name === StatName.BROKER_GET_NUMS
  return isWhole && key === settings.brokerClusterName ? WHOLE_BROKER : key
}

function statsItem({ avgpt, sum, tps }: StatWindow): object {
  return { avgpt, sum, tps }
}

/** Every group pulls, so that mode is accepted and changes nothing. */
export const handleSetRequestMode: Handler = (request, context) => {
  const body = bodyObject(request)
  const topic = textMember(body, 'topic')
  const group = textMember(body, 'consumerGroup')
  const mode = textMember(body, 'mode')
  if (isRetryTopic(topic)) {
    throw new RequestError(ResponseCode.NO_PERMISSION, 'retry topic is not allowed to set mode')
  }
  if (context.topics.get(topic) === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
  }
  if (context.subscriptionGroups.get(group) === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group[${group}] not exist`,
    )
  }
  if (mode === 'PULL') return SUCCESS
  throw new RequestError(
    ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    ` request type ${request.code} not supported with mode ${mode}: this broker has no POP consumption yet`,
  )
}

export const ADMIN_STORE_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.QUERY_CONSUME_QUEUE, handleQueryConsumeQueue],
  [RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE, handleCleanQueues],
  [RequestCode.CLEAN_UNUSED_TOPIC, handleNothingToClean],
  [RequestCode.DELETE_EXPIRED_COMMITLOG, handleDeleteExpiredLog],
  [RequestCode.GET_BROKER_HA_STATUS, handleHaStatus],
  [RequestCode.VIEW_BROKER_STATS_DATA, handleStats],
  [RequestCode.SET_MESSAGE_REQUEST_MODE, handleSetRequestMode],
])
