/**
 * CRC-32 (IEEE, as zlib). Owns the choice between the table (short ranges) and zlib's native code
 * (long ranges, where the call and the view it needs are paid back). Both give the same numbers.
 */
import { crc32 as zlibCrc32 } from 'node:zlib'

const SHORT_RANGE_BYTES = 96
const TABLE = createTable()

function createTable(): Uint32Array {
  const table = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    table[byte] = value
  }
  return table
}

/** CRC-32 of `bytes[start..end)`, continued from `seed`; unsigned. */
export function crc32(bytes: Buffer, start: number, end: number, seed = 0): number {
  if (end - start > SHORT_RANGE_BYTES) return zlibCrc32(bytes.subarray(start, end), seed)
  return crc32OfShort(bytes, start, end, seed)
}

/** The same by table, for ranges known to be short (headers). */
export function crc32OfShort(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let crc = ~seed
  for (let i = start; i < end; i++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number)
  }
  return ~crc >>> 0
}
