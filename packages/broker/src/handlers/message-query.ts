/** Messages by offset id (33), by key and by unique key (12), rocketmq-remoting.md §4.8. */
import {
  decodeMessage,
  extBool,
  extInt,
  extLong,
  PropertyName,
  ResponseCode,
  requireExt,
  type StoredMessage,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { RequestError } from '../request.ts'
import { readStoredMessage } from './read-message.ts'

const MAX_UNIQUE_KEY_RESULTS = 32
const MAX_RESULTS = 64
/** Found messages beyond this stay out of the answer; one is always returned. */
const MAX_RESULT_BYTES = 4 * 1024 * 1024

export const handleViewMessage: Handler = (request, context) => {
  const offset = extLong(request.ext, 'offset')
  const body = readStoredMessage(context, offset)
  if (body === undefined) {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `can not find message by the offset, ${offset}`,
    )
  }
  return { code: ResponseCode.SUCCESS, body }
}

export const handleQueryMessage: Handler = (request, context) => {
  const { ext } = request
  const topic = requireExt(ext, 'topic')
  const key = requireExt(ext, 'key')
  const byUniqueKey = extBool(ext, '_UNIQUE_KEY_QUERY', false)
  const wanted = extInt(ext, 'maxNum')
  const maxNum = byUniqueKey ? MAX_UNIQUE_KEY_RESULTS : Math.min(Math.max(wanted, 1), MAX_RESULTS)
  const beginMs = extLong(ext, 'beginTimestamp')
  const endMs = extLong(ext, 'endTimestamp')
  const { index } = context.store
  const offsets = index.query(topic, key, maxNum, beginMs, endMs)
  const found = readMatching(context, offsets, (message) => hasKey(message, topic, key))
  const times = {
    indexLastUpdateTimestamp: String(index.lastUpdateTimestampMs),
    indexLastUpdatePhyoffset: String(index.lastUpdatePhysicalOffset),
  }
  if (found.length === 0) {
    return {
      code: ResponseCode.QUERY_NOT_FOUND,
      remark: 'can not find message, maybe time range not correct',
      ext: times,
    }
  }
  return { code: ResponseCode.SUCCESS, ext: times, body: Buffer.concat(found) }
}

/** The index knows hashes only, so each candidate is looked at. */
function readMatching(
  context: BrokerContext,
  offsets: readonly number[],
  matches: (message: StoredMessage) => boolean,
): Buffer[] {
  const found: Buffer[] = []
  let totalBytes = 0
  for (const offset of offsets) {
    const bytes = readStoredMessage(context, offset)
    if (bytes === undefined || !matches(decodeMessage(bytes, 0))) continue
    totalBytes += bytes.length
    if (found.length > 0 && totalBytes > MAX_RESULT_BYTES) break
    found.push(bytes)
  }
  return found
}

function hasKey(message: StoredMessage, topic: string, key: string): boolean {
  if (message.topic !== topic) return false
  const { properties } = message
  if (properties.get(PropertyName.UNIQ_KEY) === key) return true
  const keys = properties.get(PropertyName.KEYS)
  return keys?.split(' ').includes(key) ?? false
}
