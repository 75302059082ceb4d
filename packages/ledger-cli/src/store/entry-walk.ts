/**
 * Walks the entries of a stopped store from its first to its last byte, past whatever is broken:
 * a second pair of eyes beside the recovery of `@ringledger/io`, which stops at the first break.
 * Owns the rule what it goes on with behind one: an entry that names its own place and whose body
 * fits its checksum.
 */
import {
  BLANK_HEADER_BYTES,
  CHANNEL_BARRIER,
  checkEntry,
  ENTRY_HEADER_BYTES,
  type EntryCheck,
  type ExpectedEntry,
  entryBodyCrc,
  entryChainCrc,
  entryChannel,
  entryIndex,
  entryMagic,
  entrySize,
  entryTerm,
  MAGIC_BLANK,
  MAGIC_NORMAL,
} from '@ringledger/protocol'
import type { SegmentReader } from './segment-reader.ts'

/** A whole entry; `bytes` is its memory, valid during the call. */
export interface WalkedEntry {
  readonly index: number
  readonly term: number
  readonly position: number
  readonly sizeBytes: number
  readonly bodyCrc: number
  readonly chainCrc: number
  readonly isBarrier: boolean
  /** Written by Apache, without checksums. */
  readonly isUnsealed: boolean
  readonly body: Buffer
}

/** Bytes that are no entry where one should be. */
export interface WalkedBreak {
  readonly position: number
  /** The index that the entry here should have; -1 when unknown. */
  readonly index: number
  readonly reason: string
  /** Where good entries go on; undefined when none follow. */
  readonly resumed: { readonly position: number; readonly index: number } | undefined
}

export interface WalkVisitor {
  /** False ends the walk. */
  entry(entry: WalkedEntry): boolean
  broken(found: WalkedBreak): void
  /** Called now and then, with a position that was reached. */
  progress?(position: number): void
}

const WINDOW_BYTES: number = 4 * 1024 ** 2
/** Of the four bytes that begin an entry, the one that is not zero. */
const MAGIC_LAST_AT = 3

/** Why an entry is not taken, in words. */
const REASONS: Readonly<Record<string, string>> = {
  unused: 'zeros where an entry should be',
  short: 'the file ends inside the entry',
  magic: 'no entry begins here',
  size: 'its length is impossible',
  position: 'it belongs to another place',
  index: 'it has another index',
  bodyCrc: 'its body fails its checksum',
  chainCrc: 'its header does not follow from the entry before',
  term: 'its term is below that of the entry before',
  unsealed: 'it has no checksums, and the entries before have',
  filler: 'the space behind the last entry of the segment is not empty',
  gap: 'the segment is missing',
}

interface Place {
  position: number
  index: number
  term: number
  /** Undefined: the entry before is not known. */
  chainCrc: number | undefined
  sealed: boolean
}

export class EntryWalk {
  readonly #data: SegmentReader
  readonly #visitor: WalkVisitor
  readonly #expected: ExpectedEntry = { position: 0 }
  #window: Buffer = Buffer.alloc(WINDOW_BYTES)
  #view: DataView = viewOf(this.#window)
  #windowStart = 0
  #windowBytes = 0
  #ended = false

  constructor(data: SegmentReader, visitor: WalkVisitor) {
    this.#data = data
    this.#visitor = visitor
  }

  /** Walks everything; returns the place behind the last whole entry and its index, -1 for none. */
  run(): { position: number; index: number } {
    const start = this.#data.firstPosition
    const at: Place = {
      position: start,
      index: -1,
      term: -1,
      chainCrc: start === 0 ? 0 : undefined,
      sealed: false,
    }
    const end = { position: start, index: -1 }
    while (!this.#ended && at.position < this.#data.endPosition) {
      const entryAt = this.#behindFiller(at)
      const reason = entryAt < 0 ? 'filler' : this.#take(at, entryAt)
      if (reason === undefined) {
        end.position = at.position
        end.index = at.index - 1
        continue
      }
      if (!this.#goOn(at, Math.max(entryAt, at.position), reason)) break
    }
    return end
  }

  /** Visits the entry at `entryAt` and moves behind it; else says why not. */
  #take(at: Place, entryAt: number): string | undefined {
    const found = this.#check(entryAt, at.index < 0 ? undefined : at.index, at.chainCrc)
    if (this.#windowBytes === 0) return 'gap'
    if (found !== 'ok' && found !== 'legacy') return found
    const offset = entryAt - this.#windowStart
    const term = entryTerm(this.#view, offset)
    if (term < at.term) return 'term'
    const isUnsealed = found === 'legacy'
    if (isUnsealed && at.sealed) return 'unsealed'
    const sizeBytes = entrySize(this.#view, offset)
    const index = entryIndex(this.#view, offset)
    const goesOn = this.#visitor.entry({
      index,
      term,
      position: entryAt,
      sizeBytes,
      bodyCrc: entryBodyCrc(this.#view, offset),
      chainCrc: entryChainCrc(this.#view, offset),
      isBarrier: entryChannel(this.#view, offset) === CHANNEL_BARRIER,
      isUnsealed,
      body: this.#window.subarray(offset + ENTRY_HEADER_BYTES, offset + sizeBytes),
    })
    if (!goesOn) this.#ended = true
    at.position = entryAt + sizeBytes
    at.index = index + 1
    at.term = term
    at.chainCrc = entryChainCrc(this.#view, offset)
    at.sealed ||= !isUnsealed
    return undefined
  }

  /** Looks for the next good entry behind a break. False when there is none: the log ends. */
  #goOn(at: Place, brokenAt: number, reason: string): boolean {
    const { position, index } = at
    const direct = reason === 'bodyCrc' ? this.#behindBody(brokenAt, index) : -1
    const resumeAt = direct >= 0 ? direct : this.#nextEntry(brokenAt + 1)
    if (resumeAt < 0) {
      if (reason === 'unused' && brokenAt === position) return false
      this.#visitor.broken({
        position: brokenAt,
        index,
        reason: wordsOf(reason),
        resumed: undefined,
      })
      return false
    }
    const offset = resumeAt - this.#windowStart
    const resumed = { position: resumeAt, index: entryIndex(this.#view, offset) }
    this.#visitor.broken({ position: brokenAt, index, reason: wordsOf(reason), resumed })
    at.position = resumeAt
    at.index = resumed.index
    at.chainCrc = undefined
    return true
  }

  /** Behind an entry of which only the body is broken, if the next one stands there; else -1. */
  #behindBody(position: number, index: number): number {
    const next = position + entrySize(this.#view, position - this.#windowStart)
    const found = index < 0 ? 'index' : this.#check(next, index + 1, undefined)
    return found === 'ok' ? next : -1
  }

  /** The next position from `from` on at which a whole entry says that it belongs there; -1. */
  #nextEntry(from: number): number {
    let position = from
    while (position < this.#data.endPosition) {
      const rest = this.#data.segmentBytes - (position % this.#data.segmentBytes)
      if (rest < ENTRY_HEADER_BYTES || !this.#load(position, ENTRY_HEADER_BYTES)) {
        position += rest
        continue
      }
      const offset = position - this.#windowStart
      const known = this.#window.subarray(0, this.#windowBytes)
      // Zeros, of which there may be a gigabyte, hold no 1: this runs over them fast.
      const hit = known.indexOf(MAGIC_NORMAL, offset + MAGIC_LAST_AT)
      if (hit < 0) {
        position = this.#windowStart + Math.max(offset + 1, known.length - MAGIC_LAST_AT)
        continue
      }
      position = this.#windowStart + hit - MAGIC_LAST_AT
      if (this.#check(position, undefined, undefined) === 'ok') return position
      position++
    }
    return -1
  }

  /** Where the entry behind a filler stands; `position` itself without one, -1 for a bad filler. */
  #behindFiller({ position, index }: Place): number {
    if (!this.#load(position, BLANK_HEADER_BYTES)) return position
    const offset = position - this.#windowStart
    if (entryMagic(this.#view, offset) !== MAGIC_BLANK) return position
    const sizeBytes = entrySize(this.#view, offset)
    const rest = this.#data.segmentBytes - (position % this.#data.segmentBytes)
    if (sizeBytes === rest)
      return this.#isZeroUpTo(position + rest, position) ? position + rest : -1
    const isLeading = index < 0 && sizeBytes >= BLANK_HEADER_BYTES && sizeBytes < rest
    return isLeading ? position + sizeBytes : -1
  }

  /** Whether a filler at `position` holds nothing but its header. */
  #isZeroUpTo(end: number, position: number): boolean {
    for (let at = position + BLANK_HEADER_BYTES; at < end; ) {
      if (!this.#load(at, 1)) return false
      const from = at - this.#windowStart
      const to = Math.min(this.#windowBytes, end - this.#windowStart)
      for (let offset = from; offset < to; offset++) if (this.#window[offset] !== 0) return false
      at = this.#windowStart + to
    }
    return true
  }

  #check(position: number, index: number | undefined, chainCrc: number | undefined): EntryCheck {
    const expected = this.#expected
    expected.position = position
    expected.index = index
    expected.previousChainCrc = chainCrc
    const rest = this.#data.segmentBytes - (position % this.#data.segmentBytes)
    this.#load(position, Math.min(rest, ENTRY_HEADER_BYTES))
    const found = this.#checkLoaded(position, rest)
    if (found !== 'short' || this.#windowBytes - (position - this.#windowStart) < 8) return found
    const sizeBytes = entrySize(this.#view, position - this.#windowStart)
    if (sizeBytes > rest || !this.#load(position, sizeBytes)) return found
    return this.#checkLoaded(position, rest)
  }

  #checkLoaded(position: number, rest: number): EntryCheck {
    const offset = position - this.#windowStart
    const available = Math.min(this.#windowBytes - offset, rest)
    return checkEntry(this.#window, this.#view, offset, available, this.#expected)
  }

  /** Makes `needBytes` from `position` on visible; false when the file does not have them. */
  #load(position: number, needBytes: number): boolean {
    const start = this.#windowStart
    if (position >= start && position + needBytes <= start + this.#windowBytes) return true
    if (needBytes > this.#window.length) {
      this.#window = Buffer.alloc(needBytes)
      this.#view = viewOf(this.#window)
    }
    this.#windowStart = position
    this.#windowBytes = this.#data.readAt(position, this.#window, this.#window.length)
    this.#visitor.progress?.(position)
    return this.#windowBytes >= needBytes
  }
}

function wordsOf(reason: string): string {
  return REASONS[reason] ?? reason
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
