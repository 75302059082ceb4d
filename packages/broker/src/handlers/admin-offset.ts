/**
 * Offsets that administrators set or copy: server-side reset (222, rocketmq-remoting.md §5.6),
 * clone to another group (314), and the whole tables of offsets (43) and of delay progress (45).
 */
import {
  extInt,
  extLong,
  jsonBody,
  objectKeyMap,
  RequestCode,
  ResponseCode,
  requireExt,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { appendFailure } from '../put-message.ts'
import { RequestError, SUCCESS } from '../request.ts'
import { messageQueue, requireServing, whoLeads } from './admin-answers.ts'
import { changeError, failureAnswer } from './failures.ts'

/** All queues of a topic, or no given offset. */
const NOT_GIVEN = -1

export const handleResetOffset: Handler = ({ ext, ticket }, context) => {
  const topic = requireExt(ext, 'topic')
  const group = requireExt(ext, 'group')
  if (context.role.role !== 'leader') {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `Can not reset offset in slave broker: ${whoLeads(context.role.leaderId)}`,
    )
  }
  requireServing(context)
  const config = context.topics.get(topic)
  if (config === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} does not exist`)
  }
  if (context.subscriptionGroups.get(group) === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `Group ${group} does not exist`,
    )
  }
  const entries = resetEntries(ext, topic, config.readQueueNums, context)
  const table = objectKeyMap(
    entries.map(([queueId, offset]) => [messageQueue(context, topic, queueId), offset] as const),
  )
  const answer = { code: ResponseCode.SUCCESS, body: jsonBody({ offsetTable: table }) }
  const refusal = context.offsets.reset(topic, group, entries, (failure) => {
    context.answer(
      ticket,
      failure === undefined ? answer : failureAnswer(context, changeError(failure)),
    )
  })
  if (refusal !== undefined) throw changeError(refusal)
  return undefined
}

function resetEntries(
  ext: Readonly<Record<string, string>>,
  topic: string,
  queueCount: number,
  context: BrokerContext,
): [queueId: number, offset: number][] {
  const queueId = extInt(ext, 'queueId', NOT_GIVEN)
  const offset = extLong(ext, 'offset', NOT_GIVEN)
  const timestampMs = extLong(ext, 'timestamp')
  if (queueId < 0) {
    return Array.from({ length: queueCount }, (_, id) => [
      id,
      offsetAt(topic, id, timestampMs, context),
    ])
  }
  if (queueId >= queueCount) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `topic ${topic} has no queue ${queueId}`)
  }
  if (offset === NOT_GIVEN) return [[queueId, offsetAt(topic, queueId, timestampMs, context)]]
  const min = context.store.queues.minOffset(topic, queueId)
  const max = context.store.queues.maxOffset(topic, queueId)
  if (offset < min || offset > max + 1) {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `Target offset ${offset} not in consume queue range [${min}-${max}]`,
    )
  }
  return [[queueId, offset]]
}

/** A negative time is the end of the queue. */
function offsetAt(
  topic: string,
  queueId: number,
  timestampMs: number,
  context: BrokerContext,
): number {
  const queue = context.store.queues.find(topic, queueId)
  if (queue === undefined) return 0
  if (timestampMs < 0) return queue.maxOffset
  return queue.offsetByTime(timestampMs, 'lower', (physicalOffset, sizeBytes) =>
    context.store.reader.storeTimestampAt(physicalOffset, sizeBytes),
  )
}

/** Without a topic all topics of the source group are cloned. */
export const handleCloneOffsets: Handler = ({ ext, ticket }, context) => {
  requireServing(context)
  const source = requireExt(ext, 'srcGroup')
  const target = requireExt(ext, 'destGroup')
  const topics: string[] = []
  const wanted = ext.topic ?? ''
  if (wanted !== '') topics.push(wanted)
  else context.store.state.forEachTopicOfGroup(source, (topic) => topics.push(topic))
  const nowMs = context.clock.monotonicMs()
  for (const topic of topics) {
    if (context.topics.get(topic) === undefined) continue
    context.offsets.forEach(topic, source, (queueId, offset) => {
      const isTaken = context.offsets.update(topic, target, queueId, offset, nowMs)
      if (!isTaken) throw appendFailure('BUSY')
    })
  }
  context.offsets.sync((failure) => {
    const answer = failure === undefined ? SUCCESS : failureAnswer(context, changeError(failure))
    context.answer(ticket, answer)
  }, nowMs)
  return undefined
}

export const handleAllOffsets: Handler = (_request, context) => {
  const { state } = context.store
  const groupTopicMap = new Map<string, Set<string>>()
  const offsetTable = new Map<string, Map<number, number>>()
  for (const [topic, group, queueId, offset] of state.content().offsets) {
    findOrAdd(groupTopicMap, group, () => new Set()).add(topic)
    findOrAdd(offsetTable, `${topic}@${group}`, () => new Map()).set(queueId, offset)
  }
  const topicsOfGroups = Array.from(groupTopicMap, ([group, topics]) => [group, [...topics]])
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({
      dataVersion: state.offsetsVersion,
      groupTopicMap: Object.fromEntries(topicsOfGroups),
      offsetTable,
    }),
  }
}

function findOrAdd<V>(map: Map<string, V>, key: string, create: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = create()
    map.set(key, value)
  }
  return value
}

export const handleDelayOffsets: Handler = (_request, context) => {
  const { state } = context.store
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({
      dataVersion: state.delayVersion,
      offsetTable: new Map(state.content().delayOffsets),
    }),
  }
}

export const ADMIN_OFFSET_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, handleResetOffset],
  [RequestCode.CLONE_GROUP_OFFSET, handleCloneOffsets],
  [RequestCode.GET_ALL_CONSUMER_OFFSET, handleAllOffsets],
  [RequestCode.GET_ALL_DELAY_OFFSET, handleDelayOffsets],
])
