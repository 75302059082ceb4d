/**
 * What members of a group need to share its queues: the member list (38), queue locks (41, 42) and
 * a server-side assignment (400), rocketmq-remoting.md §5.2, §5.3.
 */
import { LedgerError } from '@ringledger/base'
import { jsonBody, RequestCode, ResponseCode, requireExt } from '@ringledger/protocol'
import type { Handler } from '../context.ts'
import { BROADCASTING } from '../groups.ts'
import type { QueueName } from '../locks.ts'
import { RequestError, SUCCESS } from '../request.ts'
import {
  bodyObject,
  type JsonObject,
  numberMember,
  objectsMember,
  optionalTextMember,
  textMember,
} from './json-fields.ts'

const MAX_QUEUES_PER_REQUEST = 100_000
const BY_CIRCLE = 'AVG_BY_CIRCLE'

export const handleConsumerList: Handler = ({ ext }, context) => {
  const group = requireExt(ext, 'consumerGroup')
  const consumerIdList = context.groups.clientIds(group)
  if (consumerIdList.length === 0) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${group}`)
  }
  return { code: ResponseCode.SUCCESS, ext: {}, body: jsonBody({ consumerIdList }) }
}

interface LockRequest {
  readonly group: string
  readonly clientId: string
  readonly queues: QueueName[]
}

function readLockRequest(body: JsonObject): LockRequest {
  return {
    group: textMember(body, 'consumerGroup'),
    clientId: textMember(body, 'clientId'),
    queues: objectsMember(body, 'mqSet', MAX_QUEUES_PER_REQUEST).map(readQueue),
  }
}

function readQueue(data: JsonObject): QueueName {
  const queueId = numberMember(data, 'queueId', -1)
  if (!Number.isSafeInteger(queueId)) throw new LedgerError('BAD_REQUEST', 'a bad queueId')
  return {
    brokerName: textMember(data, 'brokerName'),
    queueId,
    topic: textMember(data, 'topic'),
  }
}

/** Locks live in the leader's memory; anyone else grants none, so no queue has two owners. */
export const handleLockQueues: Handler = (request, context) => {
  const { group, clientId, queues } = readLockRequest(bodyObject(request))
  const known = queues.filter(({ topic }) => context.topics.get(topic) !== undefined)
  const lockOKMQSet = context.role.serving
    ? context.locks.lock(group, clientId, known, context.clock.monotonicMs())
    : []
  return { code: ResponseCode.SUCCESS, body: jsonBody({ lockOKMQSet }) }
}

export const handleUnlockQueues: Handler = (request, context) => {
  const { group, clientId, queues } = readLockRequest(bodyObject(request))
  context.locks.unlock(group, clientId, queues)
  return SUCCESS
}

/** Clients that leave the balancing to the broker; every assignment is to pull. */
export const handleQueryAssignment: Handler = (request, context) => {
  const body = bodyObject(request)
  const topic = textMember(body, 'topic')
  const group = textMember(body, 'consumerGroup')
  const clientId = textMember(body, 'clientId')
  const config = context.topics.get(topic)
  if (config === undefined) return { code: ResponseCode.SUCCESS, body: jsonBody({}) }
  const queueIds = Array.from({ length: config.readQueueNums }, (_, queueId) => queueId)
  const broadcast = optionalTextMember(body, 'messageModel') === BROADCASTING
  const assigned = broadcast
    ? queueIds
    : share(
        queueIds,
        context.groups.clientIds(group),
        clientId,
        optionalTextMember(body, 'strategyName') ?? '',
      )
  const { brokerName } = context.settings
  const messageQueueAssignments = assigned.map((queueId) => ({
    messageQueue: { brokerName, queueId, topic },
    mode: 'PULL',
  }))
  return { code: ResponseCode.SUCCESS, body: jsonBody({ messageQueueAssignments }) }
}

/** One client's part of the queues: consecutive ones, or every n-th by circle. */
export function share(
  queueIds: readonly number[],
  clientIds: readonly string[],
  clientId: string,
  strategy: string,
): number[] {
  const index = clientIds.indexOf(clientId)
  if (index < 0) return []
  const clients = clientIds.length
  if (strategy === BY_CIRCLE) return queueIds.filter((_, at) => at % clients === index)
  const each = Math.floor(queueIds.length / clients)
  const rest = queueIds.length % clients
  const start = index * each + Math.min(index, rest)
  return queueIds.slice(start, start + each + (index < rest ? 1 : 0))
}

export const REBALANCE_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.GET_CONSUMER_LIST_BY_GROUP, handleConsumerList],
  [RequestCode.LOCK_BATCH_MQ, handleLockQueues],
  [RequestCode.UNLOCK_BATCH_MQ, handleUnlockQueues],
  [RequestCode.QUERY_ASSIGNMENT, handleQueryAssignment],
])
