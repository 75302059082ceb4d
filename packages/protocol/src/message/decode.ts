/**
 * Reads stored messages (layout: `layout.ts`). `checkMessage` is the gate for bytes from disk or
 * network; the `msg…` readers trust that it (or the entry's checksum) has passed.
 */
import { LedgerError } from '@ringledger/base'
import { ByteRange, readInt64 } from '../bytes.ts'
import { crc32 } from '../crc32.ts'
import {
  BODY_CRC_AT,
  BORN_HOST_AT,
  BORN_TIMESTAMP_AT,
  bodyLengthAt,
  bornHostBytes,
  FLAG_AT,
  MAGIC_AT,
  MESSAGE_MAGIC_V1,
  MESSAGE_MAGIC_V2,
  MIN_MESSAGE_BYTES,
  PHYSICAL_OFFSET_AT,
  preparedTransactionOffsetAt,
  QUEUE_ID_AT,
  QUEUE_OFFSET_AT,
  reconsumeTimesAt,
  SYS_FLAG_AT,
  storeHostAt,
  storeHostBytes,
  storeTimestampAt,
} from './layout.ts'
import { parseProperties } from './properties.ts'

export interface StoredMessage {
  totalSize: number
  magic: number
  bodyCrc: number
  queueId: number
  flag: number
  queueOffset: number
  physicalOffset: number
  sysFlag: number
  bornTimestampMs: number
  /** 8 or 20 bytes; `hostText` makes them readable. */
  bornHost: Buffer
  storeTimestampMs: number
  storeHost: Buffer
  reconsumeTimes: number
  preparedTransactionOffset: number
  /** As stored, possibly compressed (see sysFlag). A view, not a copy. */
  body: Buffer
  topic: string
  propertiesText: string
  properties: Map<string, string>
}

export function msgTotalSize(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset)
}

export function msgMagic(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset + MAGIC_AT)
}

export function msgBodyCrc(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset + BODY_CRC_AT)
}

export function msgQueueId(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset + QUEUE_ID_AT)
}

export function msgFlag(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset + FLAG_AT)
}

export function msgQueueOffset(bytes: Buffer, offset: number): number {
  return readInt64(bytes, offset + QUEUE_OFFSET_AT)
}

export function msgPhysicalOffset(bytes: Buffer, offset: number): number {
  return readInt64(bytes, offset + PHYSICAL_OFFSET_AT)
}

export function msgSysFlag(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset + SYS_FLAG_AT)
}

export function msgBornTimestamp(bytes: Buffer, offset: number): number {
  return readInt64(bytes, offset + BORN_TIMESTAMP_AT)
}

export function msgStoreTimestamp(bytes: Buffer, offset: number): number {
  return readInt64(bytes, offset + storeTimestampAt(msgSysFlag(bytes, offset)))
}

export function msgReconsumeTimes(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset + reconsumeTimesAt(msgSysFlag(bytes, offset)))
}

export function msgPreparedTransactionOffset(bytes: Buffer, offset: number): number {
  return readInt64(bytes, offset + preparedTransactionOffsetAt(msgSysFlag(bytes, offset)))
}

export function msgBodyRange(
  bytes: Buffer,
  offset: number,
  out: ByteRange = new ByteRange(),
): ByteRange {
  const lengthAt = offset + bodyLengthAt(msgSysFlag(bytes, offset))
  out.start = lengthAt + 4
  out.end = out.start + bytes.readInt32BE(lengthAt)
  return out
}

export function msgTopicRange(
  bytes: Buffer,
  offset: number,
  out: ByteRange = new ByteRange(),
): ByteRange {
  const lengthAt = msgBodyRange(bytes, offset, out).end
  if (msgMagic(bytes, offset) === MESSAGE_MAGIC_V2) {
    out.start = lengthAt + 2
    out.end = out.start + bytes.readInt16BE(lengthAt)
  } else {
    out.start = lengthAt + 1
    out.end = out.start + bytes.readInt8(lengthAt)
  }
  return out
}

export function msgPropertiesRange(
  bytes: Buffer,
  offset: number,
  out: ByteRange = new ByteRange(),
): ByteRange {
  const lengthAt = msgTopicRange(bytes, offset, out).end
  out.start = lengthAt + 2
  out.end = out.start + bytes.readInt16BE(lengthAt)
  return out
}

/**
 * `short`: the bytes end inside the message. `lengths`: the parts do not add up to the total size.
 */
export type MessageCheck = 'ok' | 'short' | 'magic' | 'size' | 'lengths' | 'bodyCrc'

/** Length of the body when the part before the topic fits into `sizeBytes`, else -1. */
function fittingBodyBytes(bytes: Buffer, offset: number, sizeBytes: number): number {
  const lengthAt = bodyLengthAt(msgSysFlag(bytes, offset))
  if (lengthAt + 4 > sizeBytes) return -1
  const bodyBytes = bytes.readInt32BE(offset + lengthAt)
  return bodyBytes < 0 || lengthAt + 4 + bodyBytes + 3 > sizeBytes ? -1 : bodyBytes
}

function lengthsAddUp(bytes: Buffer, offset: number, sizeBytes: number): boolean {
  const bodyBytes = fittingBodyBytes(bytes, offset, sizeBytes)
  if (bodyBytes < 0) return false
  let at = bodyLengthAt(msgSysFlag(bytes, offset)) + 4 + bodyBytes
  const isV2 = msgMagic(bytes, offset) === MESSAGE_MAGIC_V2
  const topicBytes = isV2 ? bytes.readInt16BE(offset + at) : bytes.readInt8(offset + at)
  at += isV2 ? 2 : 1
  if (topicBytes < 0 || at + topicBytes + 2 > sizeBytes) return false
  at += topicBytes
  const propertiesBytes = bytes.readInt16BE(offset + at)
  return propertiesBytes >= 0 && at + 2 + propertiesBytes === sizeBytes
}

/** Checks the message at `offset`, of which at most `availableBytes` are there. Never throws. */
export function checkMessage(
  bytes: Buffer,
  offset: number,
  availableBytes: number,
  options: { verifyBodyCrc: boolean },
): MessageCheck {
  if (availableBytes < 8) return 'short'
  const sizeBytes = msgTotalSize(bytes, offset)
  const magic = msgMagic(bytes, offset)
  if (magic !== MESSAGE_MAGIC_V1 && magic !== MESSAGE_MAGIC_V2) return 'magic'
  if (sizeBytes < MIN_MESSAGE_BYTES) return 'size'
  if (sizeBytes > availableBytes) return 'short'
  if (!lengthsAddUp(bytes, offset, sizeBytes)) return 'lengths'
  if (!options.verifyBodyCrc) return 'ok'
  const lengthAt = offset + bodyLengthAt(msgSysFlag(bytes, offset))
  const bodyStart = lengthAt + 4
  const crc = crc32(bytes, bodyStart, bodyStart + bytes.readInt32BE(lengthAt)) & 0x7fffffff
  return crc === msgBodyCrc(bytes, offset) ? 'ok' : 'bodyCrc'
}

const STRUCTURE_ONLY = { verifyBodyCrc: false }

/**
 * Decodes the message at `offset`; body and hosts are views of `bytes`. Throws `CORRUPT` when the
 * structure is broken (the body checksum is not verified: use `checkMessage`).
 */
export function decodeMessage(bytes: Buffer, offset: number): StoredMessage {
  const found = checkMessage(bytes, offset, bytes.length - offset, STRUCTURE_ONLY)
  if (found !== 'ok') {
    throw new LedgerError('CORRUPT', `no stored message at byte ${offset}: ${found}`)
  }
  const sysFlag = msgSysFlag(bytes, offset)
  const body = msgBodyRange(bytes, offset)
  const topic = msgTopicRange(bytes, offset)
  const properties = msgPropertiesRange(bytes, offset)
  const propertiesText = bytes.toString('utf8', properties.start, properties.end)
  const bornHostAt = offset + BORN_HOST_AT
  const storeAt = offset + storeHostAt(sysFlag)
  return {
    totalSize: msgTotalSize(bytes, offset),
    magic: msgMagic(bytes, offset),
    bodyCrc: msgBodyCrc(bytes, offset),
    queueId: msgQueueId(bytes, offset),
    flag: msgFlag(bytes, offset),
    queueOffset: msgQueueOffset(bytes, offset),
    physicalOffset: msgPhysicalOffset(bytes, offset),
    sysFlag,
    bornTimestampMs: msgBornTimestamp(bytes, offset),
    bornHost: bytes.subarray(bornHostAt, bornHostAt + bornHostBytes(sysFlag)),
    storeTimestampMs: msgStoreTimestamp(bytes, offset),
    storeHost: bytes.subarray(storeAt, storeAt + storeHostBytes(sysFlag)),
    reconsumeTimes: msgReconsumeTimes(bytes, offset),
    preparedTransactionOffset: msgPreparedTransactionOffset(bytes, offset),
    body: bytes.subarray(body.start, body.end),
    topic: bytes.toString('utf8', topic.start, topic.end),
    propertiesText,
    properties: parseProperties(propertiesText),
  }
}
