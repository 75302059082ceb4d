/**
 * What a queue holds: first and next offset, offset by time, time of the first message (30, 31, 29,
 * 32).
 */
import { extInt, extLong, RequestCode, ResponseCode, requireExt } from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import type { Answer, BrokerRequest } from '../request.ts'
import type { QueueView } from '../store-view.ts'

function queueOf({ ext }: BrokerRequest, context: BrokerContext): QueueView | undefined {
  const topic = requireExt(ext, 'topic')
  return context.store.queues.find(topic, extInt(ext, 'queueId'))
}

function offsetAnswer(offset: number): Answer {
  return { code: ResponseCode.SUCCESS, ext: { offset: String(offset) } }
}

/** Unknown topics and queues answer 0, as Apache's broker does. */
export const handleMaxOffset: Handler = (request, context) =>
  offsetAnswer(queueOf(request, context)?.maxOffset ?? 0)

export const handleMinOffset: Handler = (request, context) =>
  offsetAnswer(queueOf(request, context)?.minOffset ?? 0)

export const handleSearchOffset: Handler = (request, context) => {
  const queue = queueOf(request, context)
  const timestampMs = extLong(request.ext, 'timestamp')
  if (queue === undefined) return offsetAnswer(0)
  const boundary = request.ext.boundaryType?.toLowerCase() === 'upper' ? 'upper' : 'lower'
  const { reader } = context.store
  const offset = queue.offsetByTime(timestampMs, boundary, (physicalOffset, sizeBytes) =>
    reader.storeTimestampAt(physicalOffset, sizeBytes),
  )
  return offsetAnswer(offset)
}

export const handleEarliestStoreTime: Handler = (request, context) => {
  const queue = queueOf(request, context)
  const first = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  const found = queue?.unitAt(queue.minOffset, first) ?? false
  const timestampMs = found
    ? context.store.reader.storeTimestampAt(first.physicalOffset, first.sizeBytes)
    : -1
  return { code: ResponseCode.SUCCESS, ext: { timestamp: String(timestampMs) } }
}

export const QUEUE_OFFSET_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.GET_MAX_OFFSET, handleMaxOffset],
  [RequestCode.GET_MIN_OFFSET, handleMinOffset],
  [RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, handleSearchOffset],
  [RequestCode.GET_EARLIEST_MSG_STORETIME, handleEarliestStoreTime],
])
