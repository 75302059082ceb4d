/**
 * Lays entries at the end of the log arena in their disk format: header, body, checksums, and the
 * blank where an entry does not fit into the segment. Owns the end of the local log: position,
 * index, term and chain checksum. Invariant: between two calls the bytes below `endPosition` are
 * complete, sealed entries.
 */
import { assert } from '@ringledger/base'
import {
  blankNeeded,
  CHANNEL_NORMAL,
  ENTRY_HEADER_BYTES,
  sealEntry,
  writeBlank,
  writeEntryHeader,
} from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'

/** Why an entry cannot be laid now; nothing was written. */
export const ClaimRefusal = {
  /** The arena holds bytes that are not durable, not committed or not yet sent. */
  BUSY: -1,
  /** The entry fits no segment or not into the arena's largest entry. */
  TOO_LARGE: -2,
  /** Leadership is being handed over: the next leader will take it. */
  HANDING_OVER: -3,
} as const

export interface LogEnd {
  /** Position right behind the last entry. */
  endPosition: number
  /** Index of the last entry, -1 for none. */
  lastIndex: number
  /** Term of the last entry, -1 for none. */
  lastTerm: number
  /** `chainCrc` of the last entry, 0 for none, -1 when it is not known. */
  lastChainCrc: number
}

export class EntryWriter {
  readonly #arena: LogArena
  readonly #segmentBytes: number
  #end: LogEnd
  /** The claimed entry's position and arena offset, -1 while none is claimed. */
  #claimedPosition = -1
  #claimedOffset = -1
  #claimedBodyBytes = 0
  readonly #header = { index: 0, term: 0, position: 0, bodyBytes: 0, channel: CHANNEL_NORMAL }

  constructor(arena: LogArena, segmentBytes: number, end: LogEnd) {
    this.#arena = arena
    this.#segmentBytes = segmentBytes
    this.#end = { ...end }
  }

  get endPosition(): number {
    return this.#end.endPosition
  }

  get lastIndex(): number {
    return this.#end.lastIndex
  }

  get lastTerm(): number {
    return this.#end.lastTerm
  }

  get lastChainCrc(): number {
    return this.#end.lastChainCrc
  }

  /** Position of the claimed entry's first byte. */
  get claimedPosition(): number {
    assert(this.#claimedPosition >= 0, 'an entry is claimed')
    return this.#claimedPosition
  }

  /**
   * Makes room for an entry with a body of `bodyBytes`. Returns the arena offset of the body, to be
   * filled before `seal`, or a `ClaimRefusal`. A claimed entry that is not sealed is forgotten by
   * the next claim.
   */
  claim(bodyBytes: number): number {
    const entryBytes = ENTRY_HEADER_BYTES + bodyBytes
    if (entryBytes > this.#arena.maxEntryBytes || entryBytes + 8 > this.#segmentBytes) {
      return ClaimRefusal.TOO_LARGE
    }
    const end = this.#end.endPosition
    const blank = blankNeeded(end % this.#segmentBytes, entryBytes, this.#segmentBytes)
    if (blank > 0 && !this.#layBlank(end, blank)) return ClaimRefusal.BUSY
    const position = end + blank
    const offset = this.#arena.claim(position, entryBytes)
    if (offset < 0) return ClaimRefusal.BUSY
    this.#claimedPosition = position
    this.#claimedOffset = offset
    this.#claimedBodyBytes = bodyBytes
    return offset + ENTRY_HEADER_BYTES
  }

  /** Where an entry with a body of `bodyBytes` would end. */
  endAfter(bodyBytes: number): number {
    const entryBytes = ENTRY_HEADER_BYTES + bodyBytes
    const end = this.#end.endPosition
    return end + blankNeeded(end % this.#segmentBytes, entryBytes, this.#segmentBytes) + entryBytes
  }

  /** Completes the claimed entry as the log's next one. */
  seal(term: number, channel: number = CHANNEL_NORMAL): void {
    assert(this.#claimedPosition >= 0, 'an entry is claimed')
    assert(term >= this.#end.lastTerm, 'terms never fall along the log')
    assert(this.#end.lastChainCrc >= 0, 'a leader knows its last entry')
    const header = this.#header
    header.index = this.#end.lastIndex + 1
    header.term = term
    header.position = this.#claimedPosition
    header.bodyBytes = this.#claimedBodyBytes
    header.channel = channel
    const { bytes, view } = this.#arena
    writeEntryHeader(view, this.#claimedOffset, header)
    this.#end.lastChainCrc = sealEntry(bytes, view, this.#claimedOffset, this.#end.lastChainCrc)
    this.#end.lastIndex = header.index
    this.#end.lastTerm = term
    this.#end.endPosition = header.position + ENTRY_HEADER_BYTES + header.bodyBytes
    this.#claimedPosition = -1
  }

  /**
   * Copies the checked entries behind the log's end: `source` holds the run from `sourcePosition`
   * on at `start`, and `pieceEnds` cuts it into what is contiguous in the arena. False: the arena
   * has no room, and the log ends where it did.
   */
  copyRun(
    source: Buffer,
    start: number,
    sourcePosition: number,
    pieceEnds: readonly number[],
    after: LogEnd,
  ): boolean {
    let from = this.#end.endPosition
    assert(from >= sourcePosition, 'the run covers the log end')
    for (const end of pieceEnds) {
      if (end <= from) continue
      const offset = this.#arena.claim(from, end - from)
      if (offset < 0) return false
      const at = start + (from - sourcePosition)
      source.copy(this.#arena.bytes, offset, at, at + (end - from))
      from = end
    }
    assert(from === after.endPosition, 'the pieces cover the run')
    this.#end = { ...after }
    this.#claimedPosition = -1
    return true
  }

  /** The log's end, to come back to with `takeBack`. */
  get end(): LogEnd {
    return { ...this.#end }
  }

  /** Forgets the entries laid since `end` was noted; none of them may have been published. */
  takeBack(end: LogEnd): void {
    assert(end.endPosition >= this.#arena.appended, 'what was published stays')
    this.#end = { ...end }
    this.#claimedPosition = -1
  }

  /** The last entry was damaged and is known again. */
  learnChain(lastChainCrc: number): void {
    if (this.#end.lastChainCrc < 0) this.#end.lastChainCrc = lastChainCrc
  }

  /** The log was dropped, and an empty one begins at `end`. */
  beginAnew(end: LogEnd): void {
    this.#end = { ...end }
    this.#claimedPosition = -1
    this.#arena.reset(end.endPosition)
  }

  /** The log was cut: its end is now `end`. */
  cut(end: LogEnd): void {
    this.#end = { ...end }
    this.#claimedPosition = -1
    this.#arena.truncate(end.endPosition)
  }

  #layBlank(position: number, sizeBytes: number): boolean {
    const offset = this.#arena.claim(position, sizeBytes)
    if (offset < 0) return false
    writeBlank(this.#arena.bytes, this.#arena.view, offset, sizeBytes)
    return true
  }
}
