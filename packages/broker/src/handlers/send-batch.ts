/**
 * Batches (320, or m=true): one body that holds several messages, stored one after another in one
 * queue (rocketmq-remoting.md §4.6). Owns the rule that a malformed batch stores nothing.
 */
import {
  countBatchElements,
  encodeMessage,
  forEachBatchElement,
  isRetryTopic,
  MAX_PROPERTIES_BYTES,
  MessageParts,
  messageSize,
  PropertyName,
  ResponseCode,
} from '@ringledger/protocol'
import type { BrokerContext } from '../context.ts'
import type { AppendResult } from '../core-port-api.ts'
import { appendFailure } from '../put-message.ts'
import { type Answer, RequestError } from '../request.ts'
import type { TopicConfig } from '../state/configs.ts'
import { failureAnswer } from './failures.ts'
import type { PendingSend } from './send.ts'
import { sendAnswer, sentMessageId } from './send-answer.ts'

/** Messages of one batch; the answer lists an id for each. */
const MAX_BATCH_MESSAGES = 8_192

export function sendBatch(
  config: TopicConfig,
  queueId: number,
  pending: PendingSend,
  context: BrokerContext,
): Answer | undefined {
  const { body, ticket, properties } = pending
  if (isRetryTopic(config.topicName)) throw illegal('batch request does not support retry group')
  if (body.length > context.settings.maxMessageSize) {
    throw illegal(`the batch is ${body.length} bytes, more than ${context.settings.maxMessageSize}`)
  }
  const count = countBatchElements(body, 0, body.length)
  if (count < 1) throw illegal('the batch is malformed')
  if (count > MAX_BATCH_MESSAGES)
    throw illegal(`a batch holds ${MAX_BATCH_MESSAGES} messages at most`)
  const uniqueKey = properties.get(PropertyName.UNIQ_KEY)
  const messages = encodeElements(config, queueId, pending, context)
  const slot = context.topics.slotOf(config.topicName, queueId)
  if (slot < 0) throw appendFailure('CLOSED')
  const taken = context.port.appendBatch(slot, messages, (results) => {
    context.answer(ticket, sendAnswer(context, batchAnswer(context, queueId, uniqueKey, results)))
  })
  if (!taken) throw appendFailure('BUSY')
  return undefined
}

/** All elements as stored messages back to back. */
function encodeElements(
  config: TopicConfig,
  queueId: number,
  { body, send, ticket }: PendingSend,
  context: BrokerContext,
): Buffer {
  const parts = new MessageParts()
  parts.topic = Buffer.from(config.topicName)
  parts.topicEnd = parts.topic.length
  parts.queueId = queueId
  parts.sysFlag = send.sysFlag
  parts.bornTimestampMs = send.bornTimestampMs
  parts.bornHost = context.connections.hostOf(ticket.connectionId)
  parts.storeHost = context.storeHost
  parts.reconsumeTimes = send.reconsumeTimes
  parts.body = body
  parts.properties = body
  const place = (
    flag: number,
    bodyStart: number,
    bodyEnd: number,
    propertiesStart: number,
    propertiesEnd: number,
  ): number => {
    parts.flag = flag
    parts.bodyStart = bodyStart
    parts.bodyEnd = bodyEnd
    parts.propertiesStart = propertiesStart
    parts.propertiesEnd = propertiesEnd
    if (propertiesEnd - propertiesStart > MAX_PROPERTIES_BYTES) {
      throw illegal(`the properties are longer than ${MAX_PROPERTIES_BYTES} bytes`)
    }
    return messageSize(parts)
  }
  let totalBytes = 0
  forEachBatchElement(body, 0, body.length, (...element) => {
    totalBytes += place(...element)
  })
  const messages = Buffer.allocUnsafe(totalBytes)
  let at = 0
  forEachBatchElement(body, 0, body.length, (...element) => {
    place(...element)
    at += encodeMessage(messages, at, parts)
  })
  return messages
}

function batchAnswer(
  context: BrokerContext,
  queueId: number,
  uniqueKey: string | undefined,
  results: readonly AppendResult[],
): Answer {
  const ids: string[] = []
  let firstOffset = Number.POSITIVE_INFINITY
  for (const result of results) {
    if (!result.ok) return failureAnswer(context, appendFailure(result.code))
    ids.push(sentMessageId(context, result.physicalOffset))
    firstOffset = Math.min(firstOffset, result.queueOffset)
  }
  return {
    code: ResponseCode.SUCCESS,
    ext: {
      msgId: ids.join(','),
      queueId: String(queueId),
      queueOffset: String(firstOffset),
      ...(uniqueKey === undefined ? {} : { transactionId: uniqueKey }),
    },
  }
}

function illegal(reason: string): RequestError {
  return new RequestError(ResponseCode.MESSAGE_ILLEGAL, `the message is illegal, ${reason}`)
}
