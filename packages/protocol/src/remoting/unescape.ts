/** JSON string escapes to raw UTF-8, without making strings. */

const BACKSLASH = 0x5c
const QUOTE = 0x22
const FIRST_PRINTABLE = 0x20
const REFUSED = -1

/** Value of a hex digit, -1 for anything else. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** The unit of the four hex digits at `at`; negative when they are not all digits. */
function hexUnit(bytes: Buffer, at: number): number {
  // One bad digit is -1, which keeps the sign bit through all shifts.
  return (
    (hexDigit(bytes[at] as number) << 12) |
    (hexDigit(bytes[at + 1] as number) << 8) |
    (hexDigit(bytes[at + 2] as number) << 4) |
    hexDigit(bytes[at + 3] as number)
  )
}

/** The byte a one-letter escape stands for; -1 for `u` and for what JSON does not know. */
function simpleEscape(letter: number): number {
  switch (letter) {
    case 0x22:
    case 0x2f:
    case BACKSLASH:
      return letter
    case 0x62:
      return 8
    case 0x66:
      return 12
    case 0x6e:
      return 10
    case 0x72:
      return 13
    case 0x74:
      return 9
    default:
      return REFUSED
  }
}

/**
 * Code point of the `\u` escape whose backslash is at `at`; negative when malformed or a lone
 * surrogate. A code point above 0xffff took two escapes.
 */
function unicodeEscape(bytes: Buffer, at: number, end: number): number {
  if (at + 6 > end) return REFUSED
  const unit = hexUnit(bytes, at + 2)
  if (unit < 0xd800 || unit > 0xdfff) return unit
  if (unit > 0xdbff || at + 12 > end) return REFUSED
  if (bytes[at + 6] !== BACKSLASH || bytes[at + 7] !== 0x75) return REFUSED
  const low = hexUnit(bytes, at + 8)
  if (low < 0xdc00 || low > 0xdfff) return REFUSED
  return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
}

/** True for `\u0001` and `\u0002`, by far the most frequent escapes: they separate properties. */
function isSeparator(bytes: Buffer, at: number, end: number): boolean {
  return (
    at + 6 <= end &&
    bytes[at + 2] === 0x30 &&
    bytes[at + 3] === 0x30 &&
    bytes[at + 4] === 0x30 &&
    (bytes[at + 5] === 0x31 || bytes[at + 5] === 0x32)
  )
}

/** Writes a code point as UTF-8; returns the offset behind it. */
function writeUtf8(target: Buffer, offset: number, codePoint: number): number {
  let at = offset
  if (codePoint < 0x80) {
    target[at++] = codePoint
    return at
  }
  if (codePoint < 0x800) {
    target[at++] = 0xc0 | (codePoint >>> 6)
  } else {
    if (codePoint < 0x10000) {
      target[at++] = 0xe0 | (codePoint >>> 12)
    } else {
      target[at++] = 0xf0 | (codePoint >>> 18)
      target[at++] = 0x80 | ((codePoint >>> 12) & 0x3f)
    }
    target[at++] = 0x80 | ((codePoint >>> 6) & 0x3f)
  }
  target[at++] = 0x80 | (codePoint & 0x3f)
  return at
}

/**
 * Writes the text of a JSON string's inside `bytes[start..end)` as raw UTF-8 at `targetOffset`;
 * returns the bytes written (never more than `end - start`). -1 when it is not the inside of a JSON
 * string, or holds a lone surrogate, or the target has less than `end - start` bytes of room.
 */
export function unescapeJson(
  bytes: Buffer,
  start: number,
  end: number,
  target: Buffer,
  targetOffset: number,
): number {
  if (end - start > target.length - targetOffset) return REFUSED
  let at = start
  let to = targetOffset
  while (at < end) {
    const byte = bytes[at] as number
    if (byte !== BACKSLASH) {
      if (byte < FIRST_PRINTABLE || byte === QUOTE) return REFUSED
      target[to++] = byte
      at++
      continue
    }
    if (at + 1 >= end) return REFUSED
    const letter = bytes[at + 1] as number
    if (letter !== 0x75) {
      const plain = simpleEscape(letter)
      if (plain < 0) return REFUSED
      target[to++] = plain
      at += 2
      continue
    }
    if (isSeparator(bytes, at, end)) {
      target[to++] = (bytes[at + 5] as number) - 0x30
      at += 6
      continue
    }
    const codePoint = unicodeEscape(bytes, at, end)
    if (codePoint < 0) return REFUSED
    to = writeUtf8(target, to, codePoint)
    at += codePoint > 0xffff ? 12 : 6
  }
  return to - targetOffset
}
