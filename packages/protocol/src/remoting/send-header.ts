/**
 * Reads the JSON header of a send (codes 310, 320, 10) by bytes, in the shapes the Java, Go and
 * ali-ons clients write, without making an object or string. Owns one rule: it either agrees with
 * `decodeCommand` in every field or returns false, and the caller decodes the slow way.
 */
import { ByteRange } from '../bytes.ts'
import { RequestCode } from './codes.ts'

/** What `scanSendHeader` found; reuse one object per thread. Ranges are offsets into the input. */
export class SendHeader {
  code = 0
  opaque = 0
  /** Of the remoting header: bit 1 set means no answer may be sent. */
  flag = 0
  version = 0
  queueId = 0
  sysFlag = 0
  bornTimestampMs = 0
  /** The user's flag of the message. */
  messageFlag = 0
  reconsumeTimes = 0
  /** -1 when absent. */
  maxReconsumeTimes = -1
  defaultTopicQueueNums = 0
  /** Code 320, or the field `batch`: the body is a batch. */
  batch = false
  unitMode = false
  readonly producerGroup: ByteRange = new ByteRange()
  readonly topic: ByteRange = new ByteRange()
  readonly defaultTopic: ByteRange = new ByteRange()
  /** Still with JSON escapes: `unescapeJson` gives the bytes to store. Empty when absent. */
  readonly properties: ByteRange = new ByteRange()
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const ZERO = 0x30
const OPEN = 0x7b
const CLOSE = 0x7d
const FAILED = -1
/** So many digits always fit an int32. */
const SAFE_INT_DIGITS = 9
const MAX_INT_TENTH = 214_748_364
const MAX_LONG_DIGITS = 15

/** Letters of the short form; the bit of field x is `1 << (x - a)`. */
const LETTER_A = 0x61
const LETTER_E = 0x65
const LETTER_M = 0x6d
const REQUIRED = bits('abcdefgh')
/** Bits above the letters': which forms occurred, and which members of the header. */
const LONG_FORM = 1 << 16
const SHORT_FORM = 1 << 17
const SEEN_CODE = 1 << 18
const SEEN_OPAQUE = 1 << 19
const SEEN_FLAG = 1 << 20
const SEEN_VERSION = 1 << 21
const SEEN_EXT = 1 << 22
interface LongName {
  readonly name: Buffer
  readonly letter: number
}
const LONG_NAMES: readonly LongName[] = (
  [
    ['producerGroup', 'a'],
    ['topic', 'b'],
    ['defaultTopic', 'c'],
    ['defaultTopicQueueNums', 'd'],
    ['queueId', 'e'],
    ['sysFlag', 'f'],
    ['bornTimestamp', 'g'],
    ['flag', 'h'],
    ['properties', 'i'],
    ['reconsumeTimes', 'j'],
    ['unitMode', 'k'],
    ['maxReconsumeTimes', 'l'],
    ['batch', 'm'],
  ] as const
).map(([name, letter]) => ({ name: Buffer.from(name), letter: letter.charCodeAt(0) }))
const LONGEST_NAME_BYTES = 21
/** The long names of each length: at most two, so that one comparison mostly decides. */
const LONG_NAMES_BY_LENGTH: ReadonlyArray<readonly LongName[]> = Array.from(
  { length: LONGEST_NAME_BYTES + 1 },
  (_, length) => LONG_NAMES.filter(({ name }) => name.length === length),
)

const CODE = Buffer.from('code')
const OPAQUE = Buffer.from('opaque')
const FLAG = Buffer.from('flag')
const VERSION = Buffer.from('version')
const EXT_FIELDS = Buffer.from('extFields')
const NULL = Buffer.from('null')

function bits(letters: string): number {
  let mask = 0
  for (const letter of letters) mask |= 1 << (letter.charCodeAt(0) - LETTER_A)
  return mask
}

// One scan runs at a time on a thread; these carry what a function found beside the next position.
let valueStart = 0
let valueEnd = 0
let intValue = 0
/** An array, since a number beyond int32 in a variable would be an allocation each time. */
const longValue = new Float64Array(1)
let booleanValue = false
let seen = 0

function wordAt(bytes: Buffer, at: number, word: Buffer): boolean {
  for (let i = 0; i < word.length; i++) {
    if (bytes[at + i] !== word[i]) return false
  }
  return true
}

/** `at` is on the opening quote; returns the place behind the closing one. Plain ASCII only. */
function scanPlainString(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] !== QUOTE) return FAILED
  let next = at + 1
  for (; next < end; next++) {
    const byte = bytes[next] as number
    if (byte === QUOTE) break
    if (byte < 0x20 || byte === BACKSLASH || byte >= 0x80) return FAILED
  }
  if (next >= end) return FAILED
  valueStart = at + 1
  valueEnd = next
  return next + 1
}

/** The same for a string that may hold escapes and UTF-8; the escapes are not looked into. */
function scanEscapedString(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] !== QUOTE) return FAILED
  let next = at + 1
  while (next < end) {
    const byte = bytes[next] as number
    if (byte === QUOTE) break
    if (byte < 0x20) return FAILED
    next += byte === BACKSLASH ? 2 : 1
  }
  if (next >= end) return FAILED
  valueStart = at + 1
  valueEnd = next
  return next + 1
}

/** An int32 in decimal, without sign `+` or needless zeros; returns the place behind it. */
function scanInt(bytes: Buffer, at: number, end: number): number {
  const negative = bytes[at] === MINUS
  const start = negative ? at + 1 : at
  const last = Math.min(start + SAFE_INT_DIGITS, end)
  let next = start
  let value = 0
  for (; next < last; next++) {
    const digit = (bytes[next] as number) - ZERO
    if (digit < 0 || digit > 9) break
    value = (value * 10 + digit) | 0
  }
  if (next === start) return FAILED
  if (bytes[start] === ZERO && (next > start + 1 || negative)) return FAILED
  if (next === last && next < end) {
    const digit = (bytes[next] as number) - ZERO
    if (digit >= 0 && digit <= 9) {
      const largestDigit = negative ? 8 : 7
      if (value > MAX_INT_TENTH || (value === MAX_INT_TENTH && digit > largestDigit)) return FAILED
      value = (value * 10 + digit) | 0
      next++
    }
  }
  intValue = negative ? -value | 0 : value
  return next
}

/** A non-negative integer of at most 15 digits; the value goes to `longValue`. */
function scanLong(bytes: Buffer, at: number, end: number): number {
  let next = at
  let value = 0
  for (; next < end; next++) {
    const digit = (bytes[next] as number) - ZERO
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  const digits = next - at
  if (digits === 0 || digits > MAX_LONG_DIGITS) return FAILED
  if (bytes[at] === ZERO && digits > 1) return FAILED
  longValue[0] = value
  return next
}

/** An int32, quoted (Java, Go) or not (ali-ons). */
function scanExtInt(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] !== QUOTE) return scanInt(bytes, at, end)
  const digit = (bytes[at + 1] as number) - ZERO
  if (digit >= 0 && digit <= 9 && bytes[at + 2] === QUOTE) {
    intValue = digit
    return at + 3
  }
  const next = scanInt(bytes, at + 1, end)
  return next !== FAILED && bytes[next] === QUOTE ? next + 1 : FAILED
}

function scanExtLong(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] !== QUOTE) return scanLong(bytes, at, end)
  const next = scanLong(bytes, at + 1, end)
  return next !== FAILED && bytes[next] === QUOTE ? next + 1 : FAILED
}

function isTrue(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === 0x74 &&
    bytes[at + 1] === 0x72 &&
    bytes[at + 2] === 0x75 &&
    bytes[at + 3] === LETTER_E
  )
}

function isFalse(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === 0x66 &&
    bytes[at + 1] === LETTER_A &&
    bytes[at + 2] === 0x6c &&
    bytes[at + 3] === 0x73 &&
    bytes[at + 4] === LETTER_E
  )
}

/** `true` or `false`, quoted or not. */
function scanExtBoolean(bytes: Buffer, at: number): number {
  const quotes = bytes[at] === QUOTE ? 1 : 0
  const start = at + quotes
  booleanValue = isTrue(bytes, start)
  if (!booleanValue && !isFalse(bytes, start)) return FAILED
  const next = start + (booleanValue ? 4 : 5)
  if (quotes === 0) return next
  return bytes[next] === QUOTE ? next + 1 : FAILED
}

/** Any value that is no object or array, of a member nobody asks for. */
function skipValue(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] === QUOTE) return scanPlainString(bytes, at, end)
  if (isTrue(bytes, at) || wordAt(bytes, at, NULL)) return at + 4
  if (isFalse(bytes, at)) return at + 5
  return scanInt(bytes, at, end)
}

function isLetter(byte: number): boolean {
  return byte >= LETTER_A && byte <= 0x7a
}

/** Letter of the long name `bytes[start..end)`, 0 for one that does not matter. */
function letterOf(bytes: Buffer, start: number, end: number): number {
  if (end - start > LONGEST_NAME_BYTES) return 0
  const candidates = LONG_NAMES_BY_LENGTH[end - start] as readonly LongName[]
  for (let i = 0; i < candidates.length; i++) {
    const { name, letter } = candidates[i] as LongName
    if (wordAt(bytes, start, name)) {
      seen |= LONG_FORM
      return letter
    }
  }
  return 0
}

function setRange(range: ByteRange): void {
  range.start = valueStart
  range.end = valueEnd
}

/** Reads the value of ext field `letter` into `out`; returns the place behind it. */
function scanExtValue(
  bytes: Buffer,
  at: number,
  end: number,
  letter: number,
  out: SendHeader,
): number {
  let next = FAILED
  switch (letter) {
    case 0x61:
      if ((next = scanPlainString(bytes, at, end)) !== FAILED) setRange(out.producerGroup)
      return next
    case 0x62:
      if ((next = scanPlainString(bytes, at, end)) !== FAILED) setRange(out.topic)
      return next
    case 0x63:
      if ((next = scanPlainString(bytes, at, end)) !== FAILED) setRange(out.defaultTopic)
      return next
    case 0x64:
      next = scanExtInt(bytes, at, end)
      out.defaultTopicQueueNums = intValue
      return next
    case 0x65:
      next = scanExtInt(bytes, at, end)
      out.queueId = intValue
      return next
    case 0x66:
      next = scanExtInt(bytes, at, end)
      out.sysFlag = intValue
      return next
    case 0x67:
      next = scanExtLong(bytes, at, end)
      out.bornTimestampMs = longValue[0] as number
      return next
    case 0x68:
      next = scanExtInt(bytes, at, end)
      out.messageFlag = intValue
      return next
    case 0x69:
      if ((next = scanEscapedString(bytes, at, end)) !== FAILED) setRange(out.properties)
      return next
    case 0x6a:
      next = scanExtInt(bytes, at, end)
      out.reconsumeTimes = intValue
      return next
    case 0x6b:
      next = scanExtBoolean(bytes, at)
      out.unitMode = booleanValue
      return next
    case 0x6c:
      next = scanExtInt(bytes, at, end)
      out.maxReconsumeTimes = intValue
      return next
    case 0x6d:
      next = scanExtBoolean(bytes, at)
      out.batch = booleanValue
      return next
    default:
      return skipValue(bytes, at, end)
  }
}

/** The extFields object from its brace on; marks in `seen` which fields were there. */
function scanExtFields(bytes: Buffer, offset: number, end: number, out: SendHeader): number {
  if (bytes[offset] !== OPEN) return FAILED
  let at = offset + 1
  while (at < end) {
    let letter = bytes[at + 1] as number
    if (bytes[at] === QUOTE && bytes[at + 2] === QUOTE && isLetter(letter)) {
      at += 3
      seen |= letter <= LETTER_M ? SHORT_FORM : 0
    } else {
      at = scanPlainString(bytes, at, end)
      if (at === FAILED) return FAILED
      letter = letterOf(bytes, valueStart, valueEnd)
    }
    if (bytes[at] !== COLON) return FAILED
    if (letter !== 0 && letter <= LETTER_M) {
      const bit = 1 << (letter - LETTER_A)
      if ((seen & bit) !== 0) return FAILED
      seen |= bit
    }
    at = scanExtValue(bytes, at + 1, end, letter, out)
    if (at === FAILED) return FAILED
    if (bytes[at] === CLOSE) return at + 1
    if (bytes[at] !== COMMA) return FAILED
    at++
  }
  return FAILED
}

/** The bit of a member of the header that is read, 0 for one that is not. */
function memberBit(bytes: Buffer, start: number, end: number): number {
  switch (end - start) {
    case 4:
      if (wordAt(bytes, start, CODE)) return SEEN_CODE
      return wordAt(bytes, start, FLAG) ? SEEN_FLAG : 0
    case 6:
      return wordAt(bytes, start, OPAQUE) ? SEEN_OPAQUE : 0
    case 7:
      return wordAt(bytes, start, VERSION) ? SEEN_VERSION : 0
    case 9:
      return wordAt(bytes, start, EXT_FIELDS) ? SEEN_EXT : 0
    default:
      return 0
  }
}

function scanMember(
  bytes: Buffer,
  at: number,
  end: number,
  member: number,
  out: SendHeader,
): number {
  if (member === 0) return skipValue(bytes, at, end)
  if ((seen & member) !== 0) return FAILED
  seen |= member
  if (member === SEEN_EXT) return scanExtFields(bytes, at, end, out)
  const next = scanInt(bytes, at, end)
  if (member === SEEN_CODE) out.code = intValue
  else if (member === SEEN_OPAQUE) out.opaque = intValue
  else if (member === SEEN_FLAG) out.flag = intValue
  else out.version = intValue
  return next
}

function reset(out: SendHeader): void {
  seen = 0
  out.opaque = 0
  out.flag = 0
  out.version = 0
  out.reconsumeTimes = 0
  out.maxReconsumeTimes = -1
  out.batch = false
  out.unitMode = false
  out.properties.start = 0
  out.properties.end = 0
}

/** All required fields in exactly the form that belongs to the code. */
function isComplete(out: SendHeader): boolean {
  const needed = REQUIRED | SEEN_CODE | SEEN_EXT
  if ((seen & needed) !== needed) return false
  const form = seen & (LONG_FORM | SHORT_FORM)
  if (out.code === RequestCode.SEND_MESSAGE) return form === LONG_FORM
  return (
    form === SHORT_FORM &&
    (out.code === RequestCode.SEND_MESSAGE_V2 || out.code === RequestCode.SEND_BATCH_MESSAGE)
  )
}

/**
 * Scans the JSON header `bytes[offset..offset + length)` of a send into `out`. False: not a send,
 * or not in the usual shape (`out` is then undefined); use `decodeCommand`. Properties are only
 * delimited: when `unescapeJson` refuses them, use `decodeCommand` as well.
 */
export function scanSendHeader(
  bytes: Buffer,
  offset: number,
  length: number,
  out: SendHeader,
): boolean {
  const end = offset + length
  if (length < 2 || end > bytes.length || bytes[offset] !== OPEN) return false
  reset(out)
  let at = offset + 1
  while (at < end) {
    at = scanPlainString(bytes, at, end)
    if (at === FAILED || bytes[at] !== COLON) return false
    const member = memberBit(bytes, valueStart, valueEnd)
    at = scanMember(bytes, at + 1, end, member, out)
    if (at === FAILED) return false
    const separator = bytes[at]
    at++
    if (separator === CLOSE) {
      out.batch ||= out.code === RequestCode.SEND_BATCH_MESSAGE
      return at === end && isComplete(out)
    }
    if (separator !== COMMA) return false
  }
  return false
}
