/** Offsets that consumers commit (15) and ask for (14), rocketmq-remoting.md §5.5. */
import {
  extBool,
  extInt,
  extLong,
  RequestCode,
  ResponseCode,
  requireExt,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { topicToRead } from '../light-topics.ts'
import { appendFailure } from '../put-message.ts'
import { RequestError, SUCCESS } from '../request.ts'
import { changeError, failureAnswer } from './failures.ts'

export const handleQueryOffset: Handler = ({ ext }, context) => {
  const group = requireExt(ext, 'consumerGroup')
  const topic = requireExt(ext, 'topic')
  const queueId = extInt(ext, 'queueId')
  const known = context.offsets.query(topic, group, queueId)
  if (known >= 0) return { code: ResponseCode.SUCCESS, ext: { offset: String(known) } }
  const zeroAllowed = extBool(ext, 'setZeroIfNotFound', true)
  if (zeroAllowed && startsInMemory(topic, queueId, context)) {
    return { code: ResponseCode.SUCCESS, ext: { offset: '0' } }
  }
  return {
    code: ResponseCode.QUERY_NOT_FOUND,
    ext: {},
    remark: 'Not found, maybe this group consumer boot first',
  }
}

/**
 * A new group starts at offset 0 while the whole queue is young: its first message still lies
 * within the part of the log that Apache counts as being in memory.
 */
function startsInMemory(topic: string, queueId: number, context: BrokerContext): boolean {
  const queue = context.store.queues.find(topic, queueId)
  if (queue === undefined || queue.minOffset > 0) return false
  const first = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  if (!queue.unitAt(0, first)) return false
  const behindBytes = context.store.dispatchedPosition - first.physicalOffset
  return behindBytes <= context.settings.accessMessageInMemoryMaxBytes
}

export const handleUpdateOffset: Handler = ({ ext, ticket }, context) => {
  const group = requireExt(ext, 'consumerGroup')
  const topic = requireExt(ext, 'topic')
  const queueId = extInt(ext, 'queueId')
  const offset = extLong(ext, 'commitOffset')
  if (!context.role.serving) throw appendFailure('NOT_LEADER')
  if (context.subscriptionGroups.get(group) === undefined) {
    throw new RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} not exist!`)
  }
  const config = topicToRead(context, topic)
  if (config === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`)
  }
  if (queueId < 0 || queueId >= Math.max(config.readQueueNums, config.writeQueueNums)) {
    throw new RequestError(ResponseCode.INVALID_PARAMETER, `the queueId ${queueId} is not there`)
  }
  if (offset < 0) throw new RequestError(ResponseCode.INVALID_PARAMETER, 'the offset is negative')
  if (context.offsets.resetPending(topic, group, queueId)) {
    return { ...SUCCESS, remark: 'Offset has been previously reset' }
  }
  const nowMs = context.clock.monotonicMs()
  if (!context.offsets.update(topic, group, queueId, offset, nowMs)) throw appendFailure('BUSY')
  if (ticket.oneWay) return undefined
  context.offsets.sync((failure) => {
    const answer = failure === undefined ? SUCCESS : failureAnswer(context, changeError(failure))
    context.answer(ticket, answer)
  }, nowMs)
  return undefined
}

export const CONSUMER_OFFSET_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.QUERY_CONSUMER_OFFSET, handleQueryOffset],
  [RequestCode.UPDATE_CONSUMER_OFFSET, handleUpdateOffset],
])
