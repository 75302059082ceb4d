/**
 * 64-bit integers as JS numbers, and byte ranges. Invariant: everything we write is a safe integer
 * (below 2^53); what we read from outside may round above that and then fails the caller's
 * comparison.
 */

const TWO_TO_32 = 0x1_0000_0000

/** A half-open range of bytes in a buffer the caller knows. Reuse one per loop on hot paths. */
export class ByteRange {
  start = 0
  end = 0
}

/** Big-endian int64 of a DataView as number (exact below 2^53 in magnitude). */
export function getInt64(view: DataView, offset: number): number {
  return view.getInt32(offset) * TWO_TO_32 + view.getUint32(offset + 4)
}

/** Writes a safe integer as big-endian int64. */
export function setInt64(view: DataView, offset: number, value: number): void {
  view.setInt32(offset, Math.floor(value / TWO_TO_32))
  view.setInt32(offset + 4, value | 0)
}

/** Big-endian int64 of a Buffer as number (exact below 2^53 in magnitude). */
export function readInt64(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset) * TWO_TO_32 + bytes.readUInt32BE(offset + 4)
}

/** Writes a safe integer as big-endian int64. */
export function writeInt64(bytes: Buffer, offset: number, value: number): void {
  bytes.writeInt32BE(Math.floor(value / TWO_TO_32), offset)
  bytes.writeInt32BE(value | 0, offset + 4)
}

/** Up to here a loop is faster than the native call of `Buffer.copy`. */
const SHORT_COPY_BYTES = 48

/** Copies `source[start..end)`; for names, constants and properties, which are mostly short. */
export function copyBytes(
  source: Buffer,
  start: number,
  end: number,
  target: Uint8Array,
  targetOffset: number,
): void {
  if (end - start > SHORT_COPY_BYTES) {
    source.copy(target, targetOffset, start, end)
    return
  }
  for (let from = start, to = targetOffset; from < end; from++, to++) {
    target[to] = source[from] as number
  }
}

/** True when the two ranges hold the same bytes. */
export function equalBytes(
  left: Uint8Array,
  leftStart: number,
  leftEnd: number,
  right: Uint8Array,
  rightStart: number,
  rightEnd: number,
): boolean {
  const sizeBytes = leftEnd - leftStart
  if (sizeBytes !== rightEnd - rightStart) return false
  for (let i = 0; i < sizeBytes; i++) {
    if (left[leftStart + i] !== right[rightStart + i]) return false
  }
  return true
}
