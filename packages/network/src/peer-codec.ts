/**
 * Raft messages to bytes and back. Append and its reply, which travel with every batch, have a
 * fixed binary form; everything else is MessagePack. Owns the invariant: what comes out of `decode`
 * has the checked types of its fields, and its `from` and `to` are those of the connection, never
 * of the bytes.
 */
import { assert, LedgerError } from '@ringledger/base'
import { Packr } from 'msgpackr'
import type { PeerBatch } from './peer-batch.ts'
import {
  AT_COMMIT_POSITION,
  AT_END_POSITION,
  AT_FLAGS,
  AT_LAST_INDEX,
  AT_OTHER_TERM,
  AT_PREV_POSITION,
  AT_ROUND,
  AT_SPANS,
  AT_TERM,
  AT_TYPE,
  MAX_PEER_FRAME_BYTES,
  PEER_HEADER_BYTES,
  PeerFrameType,
  SPAN_BYTES,
  writePeerHeader,
} from './peer-frame.ts'

/** What every message between peers has; the rest depends on its type. */
export interface PeerMessage {
  readonly type: string
  readonly from: string
  readonly to: string
  readonly term: number
}

interface Span {
  readonly term: number
  readonly firstPosition: number
  readonly firstIndex: number
}

interface AppendFields extends PeerMessage {
  readonly prevPosition: number
  readonly prevTerm: number
  readonly endPosition: number
  readonly lastIndex: number
  readonly spans: readonly Span[]
  readonly commitPosition: number
  readonly round: number
}

interface AppendReplyFields extends PeerMessage {
  readonly accepted: boolean
  readonly matchPosition: number
  readonly endPosition: number
  readonly conflictTerm: number
  readonly round: number
  readonly diskFull: boolean
}

const FLAG_ACCEPTED = 1
const FLAG_DISK_FULL = 2
const MAX_SPANS = 65_535

/** Plain maps and no shared record definitions: every frame can be read alone. */
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true })

/** Writes header and body of a frame; its payload of `payloadBytes` follows. */
export function encodePeerMessage(
  batch: PeerBatch,
  message: PeerMessage,
  payloadBytes: number,
): void {
  if (message.type === 'append' && isBinaryAppend(message as AppendFields)) {
    encodeAppend(batch, message as AppendFields, payloadBytes)
  } else if (message.type === 'appendReply' && isBinaryReply(message as AppendReplyFields)) {
    encodeAppendReply(batch, message as AppendReplyFields, payloadBytes)
  } else {
    encodePacked(batch, PeerFrameType.packed, message, payloadBytes)
  }
}

/** A frame whose body is `value` as MessagePack. */
export function encodePacked(
  batch: PeerBatch,
  type: number,
  value: unknown,
  payloadBytes: number,
): void {
  const body = packr.pack(value)
  assert(
    PEER_HEADER_BYTES + body.length + payloadBytes <= MAX_PEER_FRAME_BYTES,
    'a frame to a peer is at most 32 MiB',
  )
  const offset = batch.claim(PEER_HEADER_BYTES + body.length)
  writePeerHeader(batch.head, offset, type, body.length, payloadBytes)
  body.copy(batch.head, offset + PEER_HEADER_BYTES)
  batch.commit(PEER_HEADER_BYTES + body.length)
}

/** The MessagePack body of a frame. @throws LedgerError CORRUPT. */
export function decodePacked(buffer: Buffer, start: number, bodyBytes: number): unknown {
  try {
    return packr.unpack(
      buffer.subarray(start + PEER_HEADER_BYTES, start + PEER_HEADER_BYTES + bodyBytes),
    )
  } catch (error) {
    throw corrupt('its MessagePack body cannot be read', error)
  }
}

/** The message of the complete frame at `start`. @throws LedgerError CORRUPT. */
export function decodePeerMessage(
  buffer: Buffer,
  start: number,
  payloadStart: number,
  from: string,
  to: string,
): PeerMessage {
  const bodyBytes = payloadStart - start - PEER_HEADER_BYTES
  switch (buffer[start + AT_TYPE]) {
    case PeerFrameType.append:
      return decodeAppend(buffer, start, bodyBytes, from, to)
    case PeerFrameType.appendReply:
      return decodeAppendReply(buffer, start, from, to)
    case PeerFrameType.packed:
      return checkPacked(decodePacked(buffer, start, bodyBytes), from, to)
    default:
      throw corrupt(`unknown type ${buffer[start + AT_TYPE]}`)
  }
}

function isInt32(value: number): boolean {
  return (value | 0) === value
}

function isBinaryAppend(message: AppendFields): boolean {
  return isInt32(message.term) && isInt32(message.prevTerm) && message.spans.length <= MAX_SPANS
}

function isBinaryReply(message: AppendReplyFields): boolean {
  return isInt32(message.term) && isInt32(message.conflictTerm)
}

function encodeAppend(batch: PeerBatch, message: AppendFields, payloadBytes: number): void {
  const { spans } = message
  const bodyBytes = spans.length * SPAN_BYTES
  const offset = batch.claim(PEER_HEADER_BYTES + bodyBytes)
  const { head } = batch
  assert(
    PEER_HEADER_BYTES + bodyBytes + payloadBytes <= MAX_PEER_FRAME_BYTES,
    'a frame to a peer is at most 32 MiB',
  )
  writePeerHeader(head, offset, PeerFrameType.append, bodyBytes, payloadBytes)
  head.writeUInt16LE(spans.length, offset + AT_SPANS)
  head.writeInt32LE(message.term, offset + AT_TERM)
  head.writeInt32LE(message.prevTerm, offset + AT_OTHER_TERM)
  head.writeDoubleLE(message.prevPosition, offset + AT_PREV_POSITION)
  head.writeDoubleLE(message.endPosition, offset + AT_END_POSITION)
  head.writeDoubleLE(message.lastIndex, offset + AT_LAST_INDEX)
  head.writeDoubleLE(message.commitPosition, offset + AT_COMMIT_POSITION)
  head.writeDoubleLE(message.round, offset + AT_ROUND)
  for (let index = 0; index < spans.length; index++) {
    const span = spans[index]!
    const at = offset + PEER_HEADER_BYTES + index * SPAN_BYTES
    head.writeDoubleLE(span.term, at)
    head.writeDoubleLE(span.firstPosition, at + 8)
    head.writeDoubleLE(span.firstIndex, at + 16)
  }
  batch.commit(PEER_HEADER_BYTES + bodyBytes)
}

function decodeAppend(
  buffer: Buffer,
  start: number,
  bodyBytes: number,
  from: string,
  to: string,
): AppendFields {
  const count = buffer.readUInt16LE(start + AT_SPANS)
  if (bodyBytes !== count * SPAN_BYTES) throw corrupt('an Append with a wrong number of spans')
  const spans: Span[] = []
  for (let index = 0; index < count; index++) {
    const at = start + PEER_HEADER_BYTES + index * SPAN_BYTES
    spans.push({
      term: wholeAt(buffer, at),
      firstPosition: wholeAt(buffer, at + 8),
      firstIndex: wholeAt(buffer, at + 16),
    })
  }
  return {
    type: 'append',
    from,
    to,
    term: buffer.readInt32LE(start + AT_TERM),
    prevPosition: wholeAt(buffer, start + AT_PREV_POSITION),
    prevTerm: buffer.readInt32LE(start + AT_OTHER_TERM),
    endPosition: wholeAt(buffer, start + AT_END_POSITION),
    lastIndex: wholeAt(buffer, start + AT_LAST_INDEX),
    spans,
    commitPosition: wholeAt(buffer, start + AT_COMMIT_POSITION),
    round: wholeAt(buffer, start + AT_ROUND),
  }
}

function encodeAppendReply(
  batch: PeerBatch,
  message: AppendReplyFields,
  payloadBytes: number,
): void {
  const offset = batch.claim(PEER_HEADER_BYTES)
  const { head } = batch
  writePeerHeader(head, offset, PeerFrameType.appendReply, 0, payloadBytes)
  head[offset + AT_FLAGS] =
    (message.accepted ? FLAG_ACCEPTED : 0) | (message.diskFull ? FLAG_DISK_FULL : 0)
  head.writeInt32LE(message.term, offset + AT_TERM)
  head.writeInt32LE(message.conflictTerm, offset + AT_OTHER_TERM)
  head.writeDoubleLE(message.matchPosition, offset + AT_PREV_POSITION)
  head.writeDoubleLE(message.endPosition, offset + AT_END_POSITION)
  head.writeDoubleLE(message.round, offset + AT_ROUND)
  batch.commit(PEER_HEADER_BYTES)
}

function decodeAppendReply(
  buffer: Buffer,
  start: number,
  from: string,
  to: string,
): AppendReplyFields {
  return {
    type: 'appendReply',
    from,
    to,
    term: buffer.readInt32LE(start + AT_TERM),
    accepted: (buffer[start + AT_FLAGS]! & FLAG_ACCEPTED) !== 0,
    matchPosition: wholeAt(buffer, start + AT_PREV_POSITION),
    endPosition: wholeAt(buffer, start + AT_END_POSITION),
    conflictTerm: buffer.readInt32LE(start + AT_OTHER_TERM),
    round: wholeAt(buffer, start + AT_ROUND),
    diskFull: (buffer[start + AT_FLAGS]! & FLAG_DISK_FULL) !== 0,
  }
}

function checkPacked(value: unknown, from: string, to: string): PeerMessage {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw corrupt('its body is not a map')
  }
  const { type, term } = value as Partial<PeerMessage>
  if (typeof type !== 'string' || !Number.isSafeInteger(term)) {
    throw corrupt('its body lacks type or term')
  }
  return { ...(value as PeerMessage), from, to }
}

function wholeAt(buffer: Buffer, offset: number): number {
  const value = buffer.readDoubleLE(offset)
  if (!Number.isSafeInteger(value)) throw corrupt('a number that is not whole')
  return value
}

function corrupt(reason: string, cause?: unknown): LedgerError {
  return new LedgerError('CORRUPT', `a frame of a peer is not usable: ${reason}`, { cause })
}
