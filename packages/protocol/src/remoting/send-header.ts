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
const MAX_DIGITS = 15

/** Letters of the short form; the bit of field x is `1 << (x - a)`. */
const LETTER_A = 0x61
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
const LONG_NAMES: ReadonlyArray<readonly [name: Buffer, letter: number]> = [
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
].map(([name, letter]) => [Buffer.from(name as string), (letter as string).charCodeAt(0)] as const)

const CODE = Buffer.from('code')
const OPAQUE = Buffer.from('opaque')
const FLAG = Buffer.from('flag')
const VERSION = Buffer.from('version')
const EXT_FIELDS = Buffer.from('extFields')
const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')

function bits(letters: string): number {
  let mask = 0
  for (const letter of letters) mask |= 1 << (letter.charCodeAt(0) - LETTER_A)
  return mask
}

// One scan runs at a time on a thread; these carry what a function found beside the next position.
let valueStart = 0
let valueEnd = 0
let numberValue = 0
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

/** A decimal integer without sign `+` or needless zeros; returns the place behind it. */
function scanDigits(bytes: Buffer, at: number, end: number): number {
  const negative = bytes[at] === MINUS
  const start = negative ? at + 1 : at
  let next = start
  let value = 0
  for (; next < end; next++) {
    const digit = (bytes[next] as number) - ZERO
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  const digits = next - start
  if (digits === 0 || digits > MAX_DIGITS) return FAILED
  if (bytes[start] === ZERO && (digits > 1 || negative)) return FAILED
  numberValue = negative ? -value : value
  return next
}

function scanInt(bytes: Buffer, at: number, end: number): number {
  const next = scanDigits(bytes, at, end)
  return next !== FAILED && (numberValue | 0) === numberValue ? next : FAILED
}

/** An integer, quoted (Java, Go) or not (ali-ons). */
function scanExtNumber(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] !== QUOTE) return scanDigits(bytes, at, end)
  const next = scanDigits(bytes, at + 1, end)
  return next !== FAILED && bytes[next] === QUOTE ? next + 1 : FAILED
}

function scanExtInt(bytes: Buffer, at: number, end: number): number {
  const next = scanExtNumber(bytes, at, end)
  return next !== FAILED && (numberValue | 0) === numberValue ? next : FAILED
}

/** `true` or `false`, quoted or not. */
function scanExtBoolean(bytes: Buffer, at: number): number {
  const quotes = bytes[at] === QUOTE ? 1 : 0
  const start = at + quotes
  booleanValue = wordAt(bytes, start, TRUE)
  if (!booleanValue && !wordAt(bytes, start, FALSE)) return FAILED
  const next = start + (booleanValue ? 4 : 5)
  if (quotes === 0) return next
  return bytes[next] === QUOTE ? next + 1 : FAILED
}

/** Any value that is no object or array, of a member nobody asks for. */
function skipValue(bytes: Buffer, at: number, end: number): number {
  if (bytes[at] === QUOTE) return scanPlainString(bytes, at, end)
  if (wordAt(bytes, at, TRUE) || wordAt(bytes, at, NULL)) return at + 4
  if (wordAt(bytes, at, FALSE)) return at + 5
  return scanDigits(bytes, at, end)
}

function isLetter(byte: number): boolean {
  return byte >= LETTER_A && byte <= 0x7a
}

/** Letter of the long name `bytes[start..end)`, 0 for one that does not matter. */
function letterOf(bytes: Buffer, start: number, end: number): number {
  for (const [name, letter] of LONG_NAMES) {
    if (name.length === end - start && wordAt(bytes, start, name)) {
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
      out.defaultTopicQueueNums = numberValue
      return next
    case 0x65:
      next = scanExtInt(bytes, at, end)
      out.queueId = numberValue
      return next
    case 0x66:
      next = scanExtInt(bytes, at, end)
      out.sysFlag = numberValue
      return next
    case 0x67:
      next = scanExtNumber(bytes, at, end)
      out.bornTimestampMs = numberValue
      return next
    case 0x68:
      next = scanExtInt(bytes, at, end)
      out.messageFlag = numberValue
      return next
    case 0x69:
      if ((next = scanEscapedString(bytes, at, end)) !== FAILED) setRange(out.properties)
      return next
    case 0x6a:
      next = scanExtInt(bytes, at, end)
      out.reconsumeTimes = numberValue
      return next
    case 0x6b:
      next = scanExtBoolean(bytes, at)
      out.unitMode = booleanValue
      return next
    case 0x6c:
      next = scanExtInt(bytes, at, end)
      out.maxReconsumeTimes = numberValue
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
  if (member === SEEN_CODE) out.code = numberValue
  else if (member === SEEN_OPAQUE) out.opaque = numberValue
  else if (member === SEEN_FLAG) out.flag = numberValue
  else out.version = numberValue
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
