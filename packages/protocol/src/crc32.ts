/**
 * CRC-32 (IEEE, as zlib). Owns the choice between the table (short ranges) and zlib's native code
 * (long ranges, where the call and the view it needs are paid back). Both give the same numbers.
 */
import { crc32 as zlibCrc32 } from 'node:zlib'

/** Up to here four table look-ups a word beat the call of zlib and the view it needs. */
const SHORT_RANGE_BYTES = 128
const TABLE_0 = createTable()
const TABLE_1 = nextTable(TABLE_0)
const TABLE_2 = nextTable(TABLE_1)
const TABLE_3 = nextTable(TABLE_2)

/** Entry b: the remainder of byte b. Signed, so that no look-up leaves the small integers. */
function createTable(): Int32Array {
  const table = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    table[byte] = value
  }
  return table
}

/** Entry b: the remainder of byte b followed by one more zero byte than in `table`. */
function nextTable(table: Int32Array): Int32Array {
  return table.map((value) => (value >>> 8) ^ (TABLE_0[value & 0xff] as number))
}

/** CRC-32 of `bytes[start..end)`, continued from `seed`; unsigned. */
export function crc32(bytes: Buffer, start: number, end: number, seed = 0): number {
  if (end - start > SHORT_RANGE_BYTES) return zlibCrc32(bytes.subarray(start, end), seed)
  return crc32OfShort(bytes, start, end, seed)
}

/** The same by table, for ranges known to be short (headers). */
export function crc32OfShort(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let crc = ~seed
  let at = start
  for (; at + 4 <= end; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (TABLE_3[crc & 0xff] as number) ^
      (TABLE_2[(crc >>> 8) & 0xff] as number) ^
      (TABLE_1[(crc >>> 16) & 0xff] as number) ^
      (TABLE_0[crc >>> 24] as number)
  }
  for (; at < end; at++) {
    crc = (crc >>> 8) ^ (TABLE_0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  }
  return ~crc >>> 0
}
