/**
 * Writes a stored message straight into its place in the log (layout: `layout.ts`). Owns the choice
 * of the format version and the body checksum. Nothing is allocated beside the view for the
 * checksum.
 */
import { LedgerError } from '@ringledger/base'
import { copyBytes, setInt64, writeInt64 } from '../bytes.ts'
import { crc32 } from '../crc32.ts'
import {
  BODY_CRC_AT,
  BORN_HOST_AT,
  BORN_TIMESTAMP_AT,
  bodyLengthAt,
  FLAG_AT,
  MAGIC_AT,
  MAX_PROPERTIES_BYTES,
  MAX_TOPIC_BYTES_V1,
  MESSAGE_MAGIC_V1,
  MESSAGE_MAGIC_V2,
  messageSizeOf,
  PHYSICAL_OFFSET_AT,
  preparedTransactionOffsetAt,
  QUEUE_ID_AT,
  QUEUE_OFFSET_AT,
  reconsumeTimesAt,
  SYS_FLAG_AT,
  storeHostAt,
  storeTimestampAt,
} from './layout.ts'
import { formatProperties } from './properties.ts'
import { MessageSysFlag } from './sys-flag.ts'

const EMPTY = Buffer.alloc(0)
const PROPERTY_END = 2
const MAX_TOPIC_BYTES_V2 = 32_767
const NO_HOST = Buffer.alloc(8)

/**
 * What goes into a message. Reuse one object per sender; ranges point into buffers that must not
 * change until `encodeMessage` returns.
 */
export class MessageParts {
  topic: Buffer = EMPTY
  topicStart = 0
  topicEnd = 0
  queueId = 0
  flag = 0
  sysFlag = 0
  bornTimestampMs = 0
  /** 8 bytes (IPv4) or 20 (IPv6); its length decides the sysFlag bit. */
  bornHost: Buffer = NO_HOST
  storeHost: Buffer = NO_HOST
  reconsumeTimes = 0
  preparedTransactionOffset = 0
  body: Buffer = EMPTY
  bodyStart = 0
  bodyEnd = 0
  properties: Buffer = EMPTY
  propertiesStart = 0
  propertiesEnd = 0
  /** Properties the broker appends; each ends with 0x02. A missing 0x02 before them is added. */
  brokerProperties: Buffer = EMPTY
  queueOffset = 0
  physicalOffset = 0
  storeTimestampMs = 0
}

export interface MessageInit {
  topic: string | Buffer
  body?: Buffer | string | undefined
  properties?: ReadonlyMap<string, string> | Buffer | string | undefined
  queueId?: number
  flag?: number
  sysFlag?: number
  bornTimestampMs?: number
  bornHost?: Buffer
  storeHost?: Buffer
  reconsumeTimes?: number
  preparedTransactionOffset?: number
  queueOffset?: number
  physicalOffset?: number
  storeTimestampMs?: number
}

function bufferOf(value: Buffer | string | undefined): Buffer {
  if (value === undefined) return EMPTY
  return typeof value === 'string' ? Buffer.from(value) : value
}

/** Parts from convenient values, for paths that are not per message. */
export function messageParts(init: MessageInit): MessageParts {
  const { topic, body, properties, ...numbers } = init
  const parts = Object.assign(new MessageParts(), numbers)
  parts.topic = bufferOf(topic)
  parts.topicEnd = parts.topic.length
  parts.body = bufferOf(body)
  parts.bodyEnd = parts.body.length
  parts.properties =
    properties === undefined || typeof properties === 'string' || Buffer.isBuffer(properties)
      ? bufferOf(properties)
      : Buffer.from(formatProperties(properties))
  parts.propertiesEnd = parts.properties.length
  return parts
}

function sysFlagOf(parts: MessageParts): number {
  let sysFlag = parts.sysFlag & ~(MessageSysFlag.BORNHOST_V6 | MessageSysFlag.STOREHOST_V6)
  if (parts.bornHost.length > 8) sysFlag |= MessageSysFlag.BORNHOST_V6
  if (parts.storeHost.length > 8) sysFlag |= MessageSysFlag.STOREHOST_V6
  return sysFlag
}

function separatorBytes(parts: MessageParts): number {
  if (parts.brokerProperties.length === 0) return 0
  if (parts.propertiesEnd === parts.propertiesStart) return 0
  return parts.properties[parts.propertiesEnd - 1] === PROPERTY_END ? 0 : 1
}

function propertiesBytesOf(parts: MessageParts): number {
  const ownBytes = parts.propertiesEnd - parts.propertiesStart
  return ownBytes + separatorBytes(parts) + parts.brokerProperties.length
}

/**
 * Bytes `encodeMessage` will write. Throws `TOO_LARGE` when topic or properties exceed what the
 * format can carry.
 */
export function messageSize(parts: MessageParts): number {
  const topicBytes = parts.topicEnd - parts.topicStart
  const propertiesBytes = propertiesBytesOf(parts)
  if (propertiesBytes > MAX_PROPERTIES_BYTES) {
    throw new LedgerError(
      'TOO_LARGE',
      `the properties are ${propertiesBytes} bytes, the format allows ${MAX_PROPERTIES_BYTES}`,
    )
  }
  if (topicBytes > MAX_TOPIC_BYTES_V2) {
    throw new LedgerError('TOO_LARGE', `a topic of ${topicBytes} bytes cannot be stored`)
  }
  return messageSizeOf(
    topicBytes,
    parts.bodyEnd - parts.bodyStart,
    propertiesBytes,
    sysFlagOf(parts),
  )
}

/** Writes topic and properties behind the body. */
function writeTail(target: Buffer, offset: number, parts: MessageParts): void {
  const topicBytes = parts.topicEnd - parts.topicStart
  let at = offset
  if (topicBytes > MAX_TOPIC_BYTES_V1) target[at++] = topicBytes >>> 8
  target[at++] = topicBytes & 0xff
  copyBytes(parts.topic, parts.topicStart, parts.topicEnd, target, at)
  at += topicBytes
  const propertiesBytes = propertiesBytesOf(parts)
  target[at++] = propertiesBytes >>> 8
  target[at++] = propertiesBytes & 0xff
  copyBytes(parts.properties, parts.propertiesStart, parts.propertiesEnd, target, at)
  at += parts.propertiesEnd - parts.propertiesStart
  if (separatorBytes(parts) === 1) target[at++] = PROPERTY_END
  copyBytes(parts.brokerProperties, 0, parts.brokerProperties.length, target, at)
}

/**
 * Writes the message at `offset` of `target`, which must have `messageSize(parts)` bytes there;
 * returns that size. Queue offset, physical offset and store time may be patched afterwards.
 */
export function encodeMessage(target: Buffer, offset: number, parts: MessageParts): number {
  const sizeBytes = messageSize(parts)
  const sysFlag = sysFlagOf(parts)
  const { body, bodyStart, bodyEnd } = parts
  const isV2 = parts.topicEnd - parts.topicStart > MAX_TOPIC_BYTES_V1
  target.writeInt32BE(sizeBytes, offset)
  target.writeInt32BE(isV2 ? MESSAGE_MAGIC_V2 : MESSAGE_MAGIC_V1, offset + MAGIC_AT)
  target.writeInt32BE(crc32(body, bodyStart, bodyEnd) & 0x7fffffff, offset + BODY_CRC_AT)
  target.writeInt32BE(parts.queueId, offset + QUEUE_ID_AT)
  target.writeInt32BE(parts.flag, offset + FLAG_AT)
  writeInt64(target, offset + QUEUE_OFFSET_AT, parts.queueOffset)
  writeInt64(target, offset + PHYSICAL_OFFSET_AT, parts.physicalOffset)
  target.writeInt32BE(sysFlag, offset + SYS_FLAG_AT)
  writeInt64(target, offset + BORN_TIMESTAMP_AT, parts.bornTimestampMs)
  copyBytes(parts.bornHost, 0, parts.bornHost.length, target, offset + BORN_HOST_AT)
  writeInt64(target, offset + storeTimestampAt(sysFlag), parts.storeTimestampMs)
  copyBytes(parts.storeHost, 0, parts.storeHost.length, target, offset + storeHostAt(sysFlag))
  target.writeInt32BE(parts.reconsumeTimes, offset + reconsumeTimesAt(sysFlag))
  writeInt64(target, offset + preparedTransactionOffsetAt(sysFlag), parts.preparedTransactionOffset)
  const bodyAt = offset + bodyLengthAt(sysFlag) + 4
  target.writeInt32BE(bodyEnd - bodyStart, bodyAt - 4)
  body.copy(target, bodyAt, bodyStart, bodyEnd)
  writeTail(target, bodyAt + bodyEnd - bodyStart, parts)
  return sizeBytes
}

/** Sets what is known only when the message has its place in the log. */
export function patchMessage(
  view: DataView,
  offset: number,
  queueOffset: number,
  physicalOffset: number,
  storeTimestampMs: number,
): void {
  setInt64(view, offset + QUEUE_OFFSET_AT, queueOffset)
  setInt64(view, offset + PHYSICAL_OFFSET_AT, physicalOffset)
  const sysFlag = view.getInt32(offset + SYS_FLAG_AT)
  setInt64(view, offset + storeTimestampAt(sysFlag), storeTimestampMs)
}
