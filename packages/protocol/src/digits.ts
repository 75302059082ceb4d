/** Numbers as ASCII bytes without strings, for hand-written answers. */

const ZERO = 48
const HEX_DIGITS = Buffer.from('0123456789ABCDEF')

/** Writes a safe integer in decimal at `offset`; returns the bytes written. */
export function writeDecimal(target: Uint8Array, offset: number, value: number): number {
  let at = offset
  let rest = value
  if (rest < 0) {
    target[at++] = 45
    rest = -rest
  }
  const end = at + decimalDigits(rest)
  let digit = end - 1
  while (rest > 0x7fffffff) {
    const tenth = Math.floor(rest / 10)
    target[digit--] = ZERO + (rest - tenth * 10)
    rest = tenth
  }
  let small = rest | 0
  while (digit >= at) {
    const tenth = (small / 10) | 0
    target[digit--] = ZERO + (small - tenth * 10)
    small = tenth
  }
  return end - offset
}

function decimalDigits(value: number): number {
  let digits = 1
  for (let limit = 10; value >= limit; limit *= 10) digits++
  return digits
}

/** Writes `bytes[start..end)` as upper-case hex; returns the bytes written (two per byte). */
export function writeHex(
  target: Uint8Array,
  offset: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let at = offset
  for (let from = start; from < end; from++) {
    const byte = bytes[from] as number
    target[at++] = HEX_DIGITS[byte >>> 4] as number
    target[at++] = HEX_DIGITS[byte & 15] as number
  }
  return at - offset
}

/** Writes a non-negative safe integer as 16 upper-case hex digits (an int64); returns 16. */
export function writeHexInt64(target: Uint8Array, offset: number, value: number): number {
  let high = Math.floor(value / 0x1_0000_0000)
  let low = value | 0
  for (let at = offset + 7; at >= offset; at--) {
    target[at + 8] = HEX_DIGITS[low & 15] as number
    target[at] = HEX_DIGITS[high & 15] as number
    low >>>= 4
    high >>>= 4
  }
  return 16
}
