/**
 * Remoting frames: int32 length of what follows, one byte header type, 24-bit header length,
 * header, body (reference rocketmq-remoting.md §1.1). Owns the size limit and the check of both
 * lengths; what passed `nextFrame` has its header and body inside the frame.
 */

/** Limit of the length field, both ways. */
export const MAX_FRAME_BYTES = 16_777_216
export const FRAME_HEADER_AT = 8
export const NEED_MORE = -1
export const BAD_FRAME = -2

/** Header types. */
export const SerializeType = { JSON: 0, ROCKETMQ: 1 } as const

/**
 * Bytes of the frame that begins at `start` (length field included) when it is complete before
 * `end`; else `NEED_MORE`, or `BAD_FRAME` when it can never be valid and the connection must be
 * closed.
 */
export function nextFrame(view: DataView, start: number, end: number): number {
  if (end - start < 4) return NEED_MORE
  const lengthBytes = view.getUint32(start)
  if (lengthBytes < 4 || lengthBytes > MAX_FRAME_BYTES) return BAD_FRAME
  if (end - start < 8) return NEED_MORE
  if ((view.getUint32(start + 4) & 0xffffff) > lengthBytes - 4) return BAD_FRAME
  return end - start < 4 + lengthBytes ? NEED_MORE : 4 + lengthBytes
}

/** Whole frame's size as its length field says, once 4 bytes are there; to size a buffer for it. */
export function announcedFrameBytes(view: DataView, start: number): number {
  return 4 + view.getUint32(start)
}

/** Header type of a complete frame: 0 JSON, 1 binary. */
export function frameSerializeType(bytes: Uint8Array, frameStart: number): number {
  return bytes[frameStart + 4] as number
}

/** Header length of a complete frame; the header begins at `frameStart + FRAME_HEADER_AT`. */
export function frameHeaderBytes(bytes: Uint8Array, frameStart: number): number {
  const high = bytes[frameStart + 5] as number
  const middle = bytes[frameStart + 6] as number
  return (high << 16) | (middle << 8) | (bytes[frameStart + 7] as number)
}

/** Where the body of a complete frame begins; it ends with the frame. */
export function frameBodyStart(bytes: Uint8Array, frameStart: number): number {
  return frameStart + FRAME_HEADER_AT + frameHeaderBytes(bytes, frameStart)
}
