/**
 * Walks the entries of the data files and checks each against its place, its checksums and the one
 * before it. Owns the rule where a log ends: at the first entry that does not continue the chain,
 * whatever the bytes behind it look like.
 */
import {
  BLANK_HEADER_BYTES,
  checkEntry,
  ENTRY_HEADER_BYTES,
  type EntryCheck,
  type ExpectedEntry,
  entryChainCrc,
  entryIndex,
  entryMagic,
  entrySize,
  entryTerm,
  MAGIC_BLANK,
} from '@ringledger/protocol'
import { type LogEnd, UNKNOWN_CHAIN } from './resume-mark.ts'

export const SCAN_WINDOW_BYTES: number = 4 * 1024 ** 2

/**
 * Why the walk stopped; `unused`: only zeros where the next entry would be. `filler`: a blank with
 * no entry behind it. `limit`: it was to go no further.
 */
export type ScanStop =
  | Exclude<EntryCheck, 'ok' | 'legacy' | 'blank'>
  | 'term'
  | 'unsealed'
  | 'filler'
  | 'limit'

export interface ScanResult {
  readonly end: LogEnd
  readonly entries: number
  readonly stop: ScanStop
  /**
   * Where the entry that ended the walk would have started: `end.position`, or the next segment's
   * first byte.
   */
  readonly stopPosition: number
}

/** Where to start: behind a known entry, or at the first entry there is. */
export interface ScanStart {
  readonly position: number
  /** Of the first entry to come. */
  readonly index: number
  /** Of the entry before, -1 for none. */
  readonly term: number
  /**
   * Of the entry before; undefined when it is gone and the first entry's chain cannot be checked.
   */
  readonly chainCrc: number | undefined
}

type VisitEntry = (
  position: number,
  sizeBytes: number,
  index: number,
  term: number,
  chainCrc: number,
) => void

/** The data files, or a view of them. */
export interface ScannedData {
  readonly segmentBytes: number
  readAt(position: number, target: Uint8Array, offset: number, sizeBytes: number): number
}

export class EntryScan {
  readonly #data: ScannedData
  #window: Buffer
  #view: DataView
  #windowStart = 0
  #windowBytes = 0
  readonly #expected: ExpectedEntry = { position: 0 }

  /**
   * Reads ahead `windowBytes` at a time; what was read is not looked at anew, so the files must
   * stand still.
   */
  constructor(data: ScannedData, windowBytes: number) {
    this.#data = data
    this.#window = Buffer.alloc(windowBytes)
    this.#view = this.#viewOf(this.#window)
  }

  /** Visits every good entry from `start` on that begins before `limit`. */
  run(start: ScanStart, visit: VisitEntry, limit: number = Number.POSITIVE_INFINITY): ScanResult {
    let { position, index, term, chainCrc: seed } = start
    let entries = 0
    for (;;) {
      if (position >= limit) {
        const end = { position, index: index - 1, term, chainCrc: seed ?? UNKNOWN_CHAIN }
        return { end, entries, stop: 'limit', stopPosition: position }
      }
      const at = this.#behindFiller(position, false)
      const found = at < 0 ? 'size' : this.#check(at, index, seed)
      const stop = this.#stopReason(found, at, position, term, seed ?? 0)
      if (stop !== undefined) {
        const end = { position, index: index - 1, term, chainCrc: seed ?? UNKNOWN_CHAIN }
        return { end, entries, stop, stopPosition: Math.max(at, position) }
      }
      const offset = at - this.#windowStart
      const sizeBytes = entrySize(this.#view, offset)
      term = entryTerm(this.#view, offset)
      seed = entryChainCrc(this.#view, offset)
      visit(at, sizeBytes, index, term, seed)
      position = at + sizeBytes
      index++
      entries++
    }
  }

  /** What was read may have changed since. */
  forget(): void {
    this.#windowBytes = 0
  }

  /**
   * End of the entry that starts at `position` if it is whole; its chain is checked only against
   * `previousChainCrc`, if given.
   */
  single(position: number, previousChainCrc?: number): LogEnd | undefined {
    const found = this.#check(position, undefined, previousChainCrc)
    if (found !== 'ok' && found !== 'legacy') return undefined
    const offset = position - this.#windowStart
    return {
      position: position + entrySize(this.#view, offset),
      index: entryIndex(this.#view, offset),
      term: entryTerm(this.#view, offset),
      chainCrc: entryChainCrc(this.#view, offset),
    }
  }

  /**
   * The first entry at or behind `position`, past a leading filler; undefined if there is no whole
   * one.
   */
  firstEntry(position: number): { position: number; index: number } | undefined {
    const at = this.#behindFiller(position, true)
    const entry = at < 0 ? undefined : this.single(at)
    return entry === undefined ? undefined : { position: at, index: entry.index }
  }

  #stopReason(
    found: EntryCheck,
    at: number,
    position: number,
    term: number,
    previousChainCrc: number,
  ): ScanStop | undefined {
    switch (found) {
      case 'ok':
      case 'legacy': {
        if (entryTerm(this.#view, at - this.#windowStart) < term) return 'term'
        // Apache's unsealed entries are believed only below the first sealed one: behind it they
        // may be a stale tail.
        return found === 'legacy' && previousChainCrc !== 0 ? 'unsealed' : undefined
      }
      case 'unused':
        return at > position ? 'filler' : 'unused'
      case 'blank':
        return 'size'
      default:
        return found
    }
  }

  /**
   * Where the next entry starts: `position`, or the next segment if a sane filler ends this one; -1
   * for a bad filler.
   */
  #behindFiller(position: number, leading: boolean): number {
    if (!this.#load(position, BLANK_HEADER_BYTES)) return position
    const offset = position - this.#windowStart
    if (entryMagic(this.#view, offset) !== MAGIC_BLANK) return position
    const sizeBytes = entrySize(this.#view, offset)
    const segmentBytes = this.#data.segmentBytes
    const remaining = segmentBytes - (position % segmentBytes)
    if (sizeBytes === remaining) return position + sizeBytes
    // A later DLedger, cut from the front, begins its first segment with a filler up to its first
    // entry.
    const isLeading = leading && sizeBytes >= BLANK_HEADER_BYTES && sizeBytes < remaining
    return isLeading ? position + sizeBytes : -1
  }

  #check(position: number, index: number | undefined, seed: number | undefined): EntryCheck {
    const expected = this.#expected
    expected.position = position
    expected.index = index
    expected.previousChainCrc = seed
    const segmentBytes = this.#data.segmentBytes
    const inSegment = segmentBytes - (position % segmentBytes)
    this.#load(position, Math.min(inSegment, ENTRY_HEADER_BYTES))
    let found = this.#checkLoaded(position, inSegment)
    if (found === 'short') {
      const offset = position - this.#windowStart
      const known = this.#windowStart + this.#windowBytes - position >= BLANK_HEADER_BYTES
      const sizeBytes = known ? entrySize(this.#view, offset) : 0
      if (sizeBytes <= inSegment && this.#load(position, sizeBytes)) {
        found = this.#checkLoaded(position, inSegment)
      }
    }
    return found
  }

  #checkLoaded(position: number, inSegment: number): EntryCheck {
    const offset = position - this.#windowStart
    const available = Math.min(this.#windowBytes - offset, inSegment)
    return checkEntry(this.#window, this.#view, offset, available, this.#expected)
  }

  /**
   * Makes at least `needBytes` from `position` on visible in the window; false if the files end
   * before.
   */
  #load(position: number, needBytes: number): boolean {
    const start = this.#windowStart
    if (position >= start && position + needBytes <= start + this.#windowBytes) return true
    if (needBytes > this.#window.length) {
      this.#window = Buffer.alloc(needBytes)
      this.#view = this.#viewOf(this.#window)
    }
    this.#windowStart = position
    this.#windowBytes = this.#data.readAt(position, this.#window, 0, this.#window.length)
    return this.#windowBytes >= needBytes
  }

  #viewOf(bytes: Buffer): DataView {
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }
}
