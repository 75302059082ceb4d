/**
 * The slow path's way into the log: routes delayed messages, encodes, appends, and turns failures
 * into RocketMQ's codes. Owns the rule that nothing that breaks a size limit reaches core.
 */
import { type ErrorCode, LedgerError } from '@ringledger/base'
import {
  encodeMessage,
  formatProperties,
  MAX_PROPERTIES_BYTES,
  type MessageInit,
  messageParts,
  messageSize,
  PropertyName,
  ResponseCode,
  SystemTopic,
} from '@ringledger/protocol'
import type { BrokerContext } from './context.ts'
import type { AppendResult } from './core-port-api.ts'
import { RequestError } from './request.ts'

export interface OutgoingMessage {
  topic: string
  queueId: number
  readonly body: Buffer
  readonly properties: Map<string, string>
  readonly flag: number
  readonly sysFlag: number
  readonly bornTimestampMs: number
  readonly bornHost: Buffer
  readonly reconsumeTimes: number
  readonly preparedTransactionOffset?: number
}

/**
 * Level that the message asks for, 0 for none. Throws RequestError for a level that is no number.
 */
export function delayLevelOf(properties: ReadonlyMap<string, string>): number {
  const text = properties.get(PropertyName.DELAY)
  if (text === undefined) return 0
  if (!/^-?\d{1,9}$/.test(text)) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `the delay level is not a number: ${text}`)
  }
  return Number(text)
}

/**
 * Sends a message with a delay level to the schedule topic instead; levels above the highest are
 * cut to it.
 */
export function routeDelayed(message: OutgoingMessage, levels: number): void {
  const wanted = delayLevelOf(message.properties)
  if (wanted <= 0 || levels === 0) return
  const level = Math.min(wanted, levels)
  message.properties.set(PropertyName.DELAY, String(level))
  message.properties.set(PropertyName.REAL_TOPIC, message.topic)
  message.properties.set(PropertyName.REAL_QUEUE_ID, String(message.queueId))
  message.topic = SystemTopic.SCHEDULE
  message.queueId = level - 1
}

/** Throws RequestError when the message breaks a limit. */
export function encodeOutgoing(context: BrokerContext, message: OutgoingMessage): Buffer {
  const { maxMessageSize } = context.settings
  if (message.body.length > maxMessageSize) {
    throw illegal(`the body is ${message.body.length} bytes, the limit is ${maxMessageSize}`)
  }
  const properties = Buffer.from(formatProperties(message.properties))
  if (properties.length > MAX_PROPERTIES_BYTES) {
    throw illegal(`the properties are longer than ${MAX_PROPERTIES_BYTES} bytes`)
  }
  return encodeStored(context, { ...message, properties })
}

/** Encodes without looking at the configured limits; the format's own still hold. */
export function encodeStored(context: BrokerContext, init: MessageInit): Buffer {
  const parts = messageParts({ ...init, storeHost: context.storeHost })
  try {
    const bytes = Buffer.allocUnsafe(messageSize(parts))
    encodeMessage(bytes, 0, parts)
    return bytes
  } catch (error) {
    if (error instanceof LedgerError && error.code === 'TOO_LARGE') throw illegal(error.message)
    throw error
  }
}

/** Throws RequestError when the message cannot be written now; `onDone` is called otherwise. */
export function appendMessage(
  context: BrokerContext,
  topic: string,
  queueId: number,
  bytes: Buffer,
  onDone: (result: AppendResult) => void,
): void {
  const slot = context.topics.slotOf(topic, queueId)
  if (slot < 0) throw appendFailure('CLOSED')
  if (!context.port.append(slot, bytes, onDone)) throw appendFailure('BUSY')
}

/** The client's view of a failed append. Producers retry elsewhere on 14, 2 and 1, never on 13. */
export function appendFailure(code: ErrorCode): RequestError {
  switch (code) {
    case 'BUSY':
      return new RequestError(
        ResponseCode.SYSTEM_BUSY,
        '[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while',
      )
    case 'TOO_LARGE':
      return illegal('the message is larger than the log takes')
    case 'NOT_LEADER':
    case 'NOT_SERVING':
    case 'LEADERSHIP_LOST':
    case 'CLOSED':
      return new RequestError(
        ResponseCode.SERVICE_NOT_AVAILABLE,
        `service not available now, this broker does not take writes: ${code}`,
      )
    case 'DISK_FULL':
      return new RequestError(
        ResponseCode.SERVICE_NOT_AVAILABLE,
        'service not available now, the disk is full',
      )
    default:
      return new RequestError(ResponseCode.SYSTEM_ERROR, `the message was not stored: ${code}`)
  }
}

function illegal(reason: string): RequestError {
  return new RequestError(ResponseCode.MESSAGE_ILLEGAL, `the message is illegal, ${reason}`)
}
