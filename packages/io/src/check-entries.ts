/**
 * Checks a run of whole entries, as it was read from files, before anybody gets it. Owns the rule
 * that no byte of the log leaves a node unchecked.
 */
import {
  BLANK_HEADER_BYTES,
  checkEntry,
  entryChainCrc,
  entryIndex,
  entryMagic,
  entrySize,
  MAGIC_BLANK,
} from '@ringledger/protocol'

export interface CheckedPlace {
  readonly segmentBytes: number
  /** Of the entry before; undefined when it is not known. */
  readonly previousChainCrc: number | undefined
  /** Of the last entry of the run, if it is known. */
  readonly lastIndex: number | undefined
}

export interface CheckedRun {
  /** Where the first entry starts that is not as it was written; -1 for none. */
  readonly damagedAt: number
  readonly reason: string
  /** Of the last entry. */
  readonly chainCrc: number
}

/** `bytes` begins with [from, to) of the log. */
export function checkEntries(
  bytes: Buffer,
  from: number,
  to: number,
  place: CheckedPlace,
): CheckedRun {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const sizeBytes = to - from
  let seed = place.previousChainCrc
  let index: number | undefined
  let last = from
  for (let at = 0; at < sizeBytes; ) {
    const position = from + at
    const left = place.segmentBytes - (position % place.segmentBytes)
    const isBlank = sizeBytes - at >= BLANK_HEADER_BYTES && entryMagic(view, at) === MAGIC_BLANK
    if (isBlank && entrySize(view, at) === left && at + left < sizeBytes) {
      // Behind an entry of ours a filler holds zeros.
      if (seed !== 0 && !isZero(bytes, at + BLANK_HEADER_BYTES, at + left)) {
        return { damagedAt: position, reason: 'filler', chainCrc: 0 }
      }
      at += left
      continue
    }
    const expected = { position, index, previousChainCrc: seed }
    const found = checkEntry(bytes, view, at, Math.min(left, sizeBytes - at), expected)
    if (found !== 'ok' && found !== 'legacy') {
      return { damagedAt: position, reason: found, chainCrc: 0 }
    }
    seed = entryChainCrc(view, at)
    index = entryIndex(view, at) + 1
    last = position
    at += entrySize(view, at)
  }
  if (place.lastIndex !== undefined && index !== place.lastIndex + 1) {
    return { damagedAt: last, reason: 'index', chainCrc: 0 }
  }
  return { damagedAt: -1, reason: '', chainCrc: seed ?? 0 }
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0) return false
  return true
}
