/**
 * Answers written by hand from constants and digits, for the send path (reference
 * rocketmq-remoting.md §3.2). Owns their shape: complete JSON frames without body, no string made
 * on the way.
 */
import { copyBytes } from '../bytes.ts'
import { writeDecimal, writeHex, writeHexInt64 } from '../digits.ts'
import { OWN_VERSION } from './codes.ts'
import { FRAME_HEADER_AT } from './frame.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

const CODE = Buffer.from('{"code":')
const OPAQUE = Buffer.from(',"flag":1,"language":"JAVA","opaque":')
const SUCCESS_OPAQUE = Buffer.concat([CODE, Buffer.from('0'), OPAQUE])
const EXT_QUEUE_ID = Buffer.from(',"extFields":{"queueId":"')
const MESSAGE_ID = Buffer.from('","msgId":"')
const QUEUE_OFFSET = Buffer.from('","queueOffset":"')
const TRANSACTION_ID = Buffer.from('","transactionId":"')
const REMARK = Buffer.from(',"remark":"')
const REMARK_END = Buffer.from('"')
const END = Buffer.from(`,"serializeTypeCurrentRPC":"JSON","version":${OWN_VERSION}}`)
const HEX_DIGITS = Buffer.from('0123456789abcdef')

const MAX_MESSAGE_ID_BYTES = 57
const MAX_ESCAPED_BYTES = 6

/** How every answer to a send ends, made once from the configuration. */
export interface SendExtConstants {
  /** Behind other ext fields: begins with the closing quote of the field before it. */
  readonly last: Buffer
  /** Where they are the only ext fields. */
  readonly alone: Buffer
}

export function sendExtConstants(regionId: string, traceOn: boolean): SendExtConstants {
  const fields = `"MSG_REGION":${JSON.stringify(regionId)},"TRACE_ON":"${traceOn}"}`
  return {
    last: Buffer.concat([Buffer.from(`",${fields}`), END]),
    alone: Buffer.concat([Buffer.from(`,"extFields":{${fields}`), END]),
  }
}

const DEFAULT_EXT: SendExtConstants = sendExtConstants('DefaultRegion', true)
const NO_BYTES = Buffer.alloc(0)

/** What a successful send answers; reuse one object per thread. */
export class SendResponse {
  opaque = 0
  /** 0, or a code that also means "stored": 10, 11, 12. */
  code = 0
  queueId = 0
  /** Of a batch: the first message's. */
  queueOffset = 0
  /** 8 or 20 bytes: the advertised address, part of the message id. */
  storeHost: Buffer = NO_BYTES
  physicalOffset = 0
  /** Of a batch: the physical offsets of messages 2 to `batchCount`, at indices 1 and up. */
  batchOffsets: Float64Array | undefined = undefined
  batchCount = 1
  /**
   * UNIQ_KEY of the message: `transactionId[transactionIdStart..transactionIdEnd)`, may be empty.
   */
  transactionId: Buffer = NO_BYTES
  transactionIdStart = 0
  transactionIdEnd = 0
  ext: SendExtConstants = DEFAULT_EXT
}

function append(target: Buffer, offset: number, constant: Buffer): number {
  copyBytes(constant, 0, constant.length, target, offset)
  return offset + constant.length
}

function appendOpening(target: Buffer, offset: number, code: number, opaque: number): number {
  let at: number
  if (code === 0) {
    at = append(target, offset, SUCCESS_OPAQUE)
  } else {
    at = append(target, offset, CODE)
    at += writeDecimal(target, at, code)
    at = append(target, at, OPAQUE)
  }
  return at + writeDecimal(target, at, opaque)
}

/** Writes bytes as the inside of a JSON string, escaped where needed; returns the bytes written. */
export function writeJsonText(
  target: Buffer,
  offset: number,
  bytes: Buffer,
  start: number,
  end: number,
): number {
  let at = offset
  for (let from = start; from < end; from++) {
    const byte = bytes[from] as number
    if (byte === QUOTE || byte === BACKSLASH) {
      target[at++] = BACKSLASH
      target[at++] = byte
    } else if (byte >= 0x20) {
      target[at++] = byte
    } else {
      target[at++] = BACKSLASH
      target[at++] = 0x75
      target[at++] = 0x30
      target[at++] = 0x30
      target[at++] = 0x30 + (byte >>> 4)
      target[at++] = HEX_DIGITS[byte & 15] as number
    }
  }
  return at - offset
}

function writeMessageIds(target: Buffer, offset: number, response: SendResponse): number {
  const { storeHost, batchOffsets } = response
  let at = offset
  at += writeHex(target, at, storeHost, 0, storeHost.length)
  at += writeHexInt64(target, at, response.physicalOffset)
  if (batchOffsets === undefined) return at
  for (let i = 1; i < response.batchCount; i++) {
    target[at++] = COMMA
    at += writeHex(target, at, storeHost, 0, storeHost.length)
    at += writeHexInt64(target, at, batchOffsets[i] as number)
  }
  return at
}

/** Fills both length fields of a frame that has only a header; returns the frame's bytes. */
function finishFrame(target: Buffer, offset: number, end: number): number {
  target.writeUInt32BE(end - offset - 4, offset)
  target.writeUInt32BE(end - offset - FRAME_HEADER_AT, offset + 4)
  return end - offset
}

/** Upper bound of what `writeSendResponse` will write. */
export function sendResponseMaxBytes(response: SendResponse): number {
  return (
    320 +
    response.ext.last.length +
    response.batchCount * MAX_MESSAGE_ID_BYTES +
    (response.transactionIdEnd - response.transactionIdStart) * MAX_ESCAPED_BYTES
  )
}

/** Writes the whole answer to a stored send; returns its bytes (see `sendResponseMaxBytes`). */
export function writeSendResponse(target: Buffer, offset: number, response: SendResponse): number {
  const { transactionId, transactionIdStart, transactionIdEnd } = response
  let at = appendOpening(target, offset + FRAME_HEADER_AT, response.code, response.opaque)
  at = append(target, at, EXT_QUEUE_ID)
  at += writeDecimal(target, at, response.queueId)
  at = append(target, at, MESSAGE_ID)
  at = writeMessageIds(target, at, response)
  at = append(target, at, QUEUE_OFFSET)
  at += writeDecimal(target, at, response.queueOffset)
  if (transactionIdEnd > transactionIdStart) {
    at = append(target, at, TRANSACTION_ID)
    at += writeJsonText(target, at, transactionId, transactionIdStart, transactionIdEnd)
  }
  return finishFrame(target, offset, append(target, at, response.ext.last))
}

/** Upper bound of what `writeErrorResponse` will write. */
export function errorResponseMaxBytes(remarkBytes: number, ext?: SendExtConstants): number {
  return 160 + remarkBytes * MAX_ESCAPED_BYTES + (ext?.alone.length ?? END.length)
}

/**
 * Writes an answer without body: `remark` is UTF-8 text (empty: no remark); `ext` adds the fields a
 * send's answer carries also when it failed. Returns the bytes written.
 */
export function writeErrorResponse(
  target: Buffer,
  offset: number,
  opaque: number,
  code: number,
  remark: Buffer,
  ext?: SendExtConstants,
): number {
  let at = appendOpening(target, offset + FRAME_HEADER_AT, code, opaque)
  if (remark.length > 0) {
    at = append(target, at, REMARK)
    at += writeJsonText(target, at, remark, 0, remark.length)
    at = append(target, at, REMARK_END)
  }
  return finishFrame(target, offset, append(target, at, ext?.alone ?? END))
}
