/**
 * One look over a message's property bytes before it is stored: may the core thread take it by
 * itself, and where is its unique key. Invariant: whatever changes routing or needs broker state
 * makes the answer "not plain".
 */

const NAME_END = 1
const VALUE_END = 2

/** Properties that only the broker thread can serve, by their first bytes. */
const NOT_PLAIN = [
  'DELAY',
  'TIMER_',
  'TRAN_MSG',
  'INNER_',
  'POP_CK',
  'MSG_TYPE',
  'REAL_',
  'CORRELATION_ID',
  'E_T',
  'RETRY_TOPIC',
  'MSG_REGION',
  'TRACE_ON',
  'CLUSTER',
  '__CRC32#',
].map((name) => Buffer.from(name))
const UNIQUE_KEY = Buffer.from('UNIQ_KEY')

const notPlainByFirstByte = new Map<number, Buffer[]>()
for (const name of NOT_PLAIN) {
  const first = name[0] as number
  notPlainByFirstByte.set(first, [...(notPlainByFirstByte.get(first) ?? []), name])
}

export interface PropertyScan {
  /** Where the value of UNIQ_KEY starts, -1 when the message has none. */
  uniqueKeyStart: number
  uniqueKeyBytes: number
  /** Whether the bytes end with the separator that a following property needs before it. */
  terminated: boolean
}

/** False: the broker thread must look at this message. Fills `scan` otherwise. */
export function scanPlainProperties(
  bytes: Buffer,
  start: number,
  end: number,
  scan: PropertyScan,
): boolean {
  scan.uniqueKeyStart = -1
  scan.uniqueKeyBytes = 0
  scan.terminated = end === start || bytes[end - 1] === VALUE_END
  let at = start
  while (at < end) {
    const nameStart = at
    while (at < end && bytes[at] !== NAME_END && bytes[at] !== VALUE_END) at++
    if (at >= end || bytes[at] === VALUE_END) {
      at++
      continue
    }
    const nameEnd = at
    const first = bytes[nameStart] as number
    const suspects = notPlainByFirstByte.get(first)
    if (suspects !== undefined) {
      for (const name of suspects) if (startsWith(bytes, nameStart, nameEnd, name)) return false
    }
    at++
    const valueStart = at
    while (at < end && bytes[at] !== VALUE_END) at++
    if (
      nameEnd - nameStart === UNIQUE_KEY.length &&
      startsWith(bytes, nameStart, nameEnd, UNIQUE_KEY)
    ) {
      scan.uniqueKeyStart = valueStart
      scan.uniqueKeyBytes = at - valueStart
    }
    at++
  }
  return true
}

function startsWith(bytes: Buffer, start: number, end: number, name: Buffer): boolean {
  if (end - start < name.length) return false
  for (let at = 0; at < name.length; at++) if (bytes[start + at] !== name[at]) return false
  return true
}
