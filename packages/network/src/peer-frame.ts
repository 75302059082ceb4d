/**
 * Frames between nodes of a group. Owns the byte layout of their header (all numbers
 * little-endian):
 *
 *   0  'RLP1'            4  u8 type    5  u8 flags   6  u16 spans
 *   8  u32 body bytes   12  u32 payload bytes
 *   16 i32 term         20 i32 prevTerm | conflictTerm
 *   24 f64 prevPosition | matchPosition
 *   32 f64 endPosition  40 f64 lastIndex   48 f64 commitPosition   56 f64 round
 *   64 body: spans of 24 bytes (f64 term, firstPosition, firstIndex), or MessagePack
 *      payload: raw log bytes
 */
import { NEED_MORE, NOT_A_FRAME } from './frame-reader.ts'

export const PEER_HEADER_BYTES = 64
export const SPAN_BYTES = 24
export const MAX_PEER_FRAME_BYTES: number = 32 * 1024 * 1024
/** Longest body before the peer has said who it is. */
export const MAX_HELLO_BYTES = 4096
/** 'RLP1' as it reads little-endian. */
export const PEER_MAGIC = 0x31_50_4c_52
export const PEER_MAGIC_FIRST_BYTE = 0x52

export const PeerFrameType = { hello: 1, append: 2, appendReply: 3, packed: 4, ping: 5 } as const

export const AT_TYPE = 4
export const AT_FLAGS = 5
export const AT_SPANS = 6
export const AT_BODY_BYTES = 8
export const AT_PAYLOAD_BYTES = 12
export const AT_TERM = 16
export const AT_OTHER_TERM = 20
export const AT_PREV_POSITION = 24
export const AT_END_POSITION = 32
export const AT_LAST_INDEX = 40
export const AT_COMMIT_POSITION = 48
export const AT_ROUND = 56

/** Total bytes of the frame at `start`. */
export function peerFrameLength(buffer: Buffer, start: number, end: number): number {
  if (end === start) return NEED_MORE
  if (buffer[start] !== PEER_MAGIC_FIRST_BYTE) return NOT_A_FRAME
  if (end - start < PEER_HEADER_BYTES) return NEED_MORE
  if (buffer.readUInt32LE(start) !== PEER_MAGIC) return NOT_A_FRAME
  const bytes =
    PEER_HEADER_BYTES +
    buffer.readUInt32LE(start + AT_BODY_BYTES) +
    buffer.readUInt32LE(start + AT_PAYLOAD_BYTES)
  return bytes > MAX_PEER_FRAME_BYTES ? NOT_A_FRAME : bytes
}

/** The same for a peer that has not said who it is: only a short HELLO. */
export function helloFrameLength(buffer: Buffer, start: number, end: number): number {
  const bytes = peerFrameLength(buffer, start, end)
  if (bytes > 0) {
    const isHello = buffer[start + AT_TYPE] === PeerFrameType.hello
    if (!isHello || bytes > PEER_HEADER_BYTES + MAX_HELLO_BYTES) return NOT_A_FRAME
  }
  return bytes
}

/** Where the payload of a complete frame starts; it ends with the frame. */
export function peerPayloadStart(buffer: Buffer, start: number): number {
  return start + PEER_HEADER_BYTES + buffer.readUInt32LE(start + AT_BODY_BYTES)
}

/** A header with nothing but type and sizes. */
export function writePeerHeader(
  target: Buffer,
  offset: number,
  type: number,
  bodyBytes: number,
  payloadBytes: number,
): void {
  target.fill(0, offset, offset + PEER_HEADER_BYTES)
  target.writeUInt32LE(PEER_MAGIC, offset)
  target[offset + AT_TYPE] = type
  target.writeUInt32LE(bodyBytes, offset + AT_BODY_BYTES)
  target.writeUInt32LE(payloadBytes, offset + AT_PAYLOAD_BYTES)
}
