/**
 * Where the fields of a stored message lie (reference rocketmq-store.md §1.2). Owns every offset
 * and the rule which of them move with IPv6 hosts.
 */
import { MessageSysFlag } from './sys-flag.ts'

export const MESSAGE_MAGIC_V1: number = 0xdaa320a7 | 0
/** Topic length in two bytes; only for topics longer than 127 bytes. */
export const MESSAGE_MAGIC_V2: number = 0xdaa320ab | 0
/** The bytes with which the magic of either kind begins. */
export const MESSAGE_MAGIC_START: Buffer = Buffer.from([0xda, 0xa3, 0x20])
/** End-of-file filler of a plain commit log. */
export const PLAIN_LOG_BLANK_MAGIC: number = 0xcbd43194 | 0

export const MAX_TOPIC_BYTES_V1 = 127
export const MAX_PROPERTIES_BYTES = 32_767

export const TOTAL_SIZE_AT = 0
export const MAGIC_AT = 4
export const BODY_CRC_AT = 8
export const QUEUE_ID_AT = 12
export const FLAG_AT = 16
export const QUEUE_OFFSET_AT = 20
export const PHYSICAL_OFFSET_AT = 28
export const SYS_FLAG_AT = 36
export const BORN_TIMESTAMP_AT = 40
export const BORN_HOST_AT = 48

/** A message with V4 hosts, empty body, topic and properties (V1). */
export const MIN_MESSAGE_BYTES = 91

const HOST_V4_BYTES = 8
const HOST_V6_BYTES = 20

export function bornHostBytes(sysFlag: number): number {
  return sysFlag & MessageSysFlag.BORNHOST_V6 ? HOST_V6_BYTES : HOST_V4_BYTES
}

export function storeHostBytes(sysFlag: number): number {
  return sysFlag & MessageSysFlag.STOREHOST_V6 ? HOST_V6_BYTES : HOST_V4_BYTES
}

/** Offset of the store timestamp; the store host follows it. */
export function storeTimestampAt(sysFlag: number): number {
  return BORN_HOST_AT + bornHostBytes(sysFlag)
}

export function storeHostAt(sysFlag: number): number {
  return storeTimestampAt(sysFlag) + 8
}

/** Offset of reconsumeTimes; the prepared transaction offset follows it. */
export function reconsumeTimesAt(sysFlag: number): number {
  return storeHostAt(sysFlag) + storeHostBytes(sysFlag)
}

export function preparedTransactionOffsetAt(sysFlag: number): number {
  return reconsumeTimesAt(sysFlag) + 4
}

/** Offset of the int32 body length; the body follows it. */
export function bodyLengthAt(sysFlag: number): number {
  return preparedTransactionOffsetAt(sysFlag) + 8
}

/** Bytes of a stored message with these parts. */
export function messageSizeOf(
  topicBytes: number,
  bodyBytes: number,
  propertiesBytes: number,
  sysFlag: number,
): number {
  const topicLengthBytes = topicBytes > MAX_TOPIC_BYTES_V1 ? 2 : 1
  return bodyLengthAt(sysFlag) + 4 + bodyBytes + topicLengthBytes + topicBytes + 2 + propertiesBytes
}
