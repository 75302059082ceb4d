/**
 * Looks through a whole store for bytes that have changed since they were written: entries against
 * their checksums and the chain, fillers, index units against their entries, zeros behind the end,
 * the copies of term, vote and mark. What can be told from the rest is made anew at once; a damaged
 * entry becomes a hole, to be filled by a peer. Owns the cursor, which survives cuts and deletions,
 * and the invariant that what a pass found whole is durable.
 */
import { assert } from '@ringledger/base'
import { INDEX_UNIT_BYTES, writeIndexUnit } from '@ringledger/protocol'
import type { ScanResult } from './entry-scan.ts'
import { findHole } from './holes.ts'
import { type LogEnd, UNKNOWN_CHAIN } from './resume-mark.ts'
import type { SegmentFiles } from './segment-files.ts'
import type { CareParts } from './store-parts.ts'

const MAX_UNITS = 4096
const ZERO_PART_BYTES: number = 256 * 1024
/** What one check may look at, where nothing nearer is known than the log's beginning. */
const MAX_CHECK_BYTES: number = 16 * 1024 ** 2
/** How many index units are tried to find back into the log behind damage without bounds. */
const MAX_UNITS_TRIED = 65_536

const Phase = { ENTRIES: 0, DATA_TAIL: 1, INDEX_TAIL: 2, SLOTS: 3, DONE: 4 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

export class Scrub {
  readonly #parts: CareParts
  readonly #units: Buffer
  readonly #stored: Buffer
  readonly #view: DataView
  readonly #zeros: Buffer
  readonly #part: Buffer
  #phase: Phase = Phase.DONE
  #at: LogEnd = { position: 0, index: -1, term: -1, chainCrc: 0 }
  #tailAt = 0
  #firstUnit = 0
  #unitCount = 0

  constructor(parts: CareParts) {
    this.#parts = parts
    // Small segments, small parts: a store of tests is opened a million times.
    const partBytes = Math.min(ZERO_PART_BYTES, parts.data.segmentBytes)
    const unitBytes = Math.min(MAX_UNITS * INDEX_UNIT_BYTES, partBytes)
    this.#units = Buffer.alloc(unitBytes)
    this.#stored = Buffer.alloc(unitBytes)
    this.#zeros = Buffer.alloc(partBytes)
    this.#part = Buffer.alloc(partBytes)
    this.#view = new DataView(this.#units.buffer, this.#units.byteOffset, this.#units.length)
  }

  get done(): boolean {
    return this.#phase === Phase.DONE
  }

  /** Begins with the first entry. */
  begin(): void {
    this.#phase = Phase.ENTRIES
    this.#at = this.#start()
  }

  /** Looks at about `maxBytes` more; returns how many it were. @throws DiskError */
  step(maxBytes: number): number {
    const { parts, phase } = { parts: this.#parts, phase: this.#phase }
    if (phase === Phase.ENTRIES) return this.#entries(maxBytes)
    if (phase === Phase.DATA_TAIL) {
      return this.#tail(parts.data, parts.end().position, maxBytes, Phase.INDEX_TAIL)
    }
    if (phase === Phase.INDEX_TAIL) {
      const from = (parts.end().index + 1) * INDEX_UNIT_BYTES
      return this.#tail(parts.index, from, maxBytes, Phase.SLOTS)
    }
    if (phase === Phase.SLOTS) {
      this.#phase = Phase.DONE
      for (const path of parts.mendSlots()) {
        const reason = 'a copy was damaged and is written anew'
        parts.found({ path, position: -1, index: -1, reason, repaired: true })
      }
    }
    return 0
  }

  /**
   * Looks at the entries around `position` now, if it is known where one starts; false when only a
   * whole pass can tell.
   */
  check(position: number): boolean {
    const { parts, before } = { parts: this.#parts, before: this.#goodEntryBefore(position) }
    if (before === undefined) return false
    const kept = this.#at
    this.#at = before
    const to = Math.min(position + 1, parts.end().position)
    while (this.#at.position < to) this.#walk(to)
    // The entry behind it says whether the last one's header is right.
    if (this.#at.position < parts.end().position) this.#walk(this.#at.position + 1)
    this.#at = kept
    return true
  }

  #start(): LogEnd {
    const { position, index } = this.#parts.first()
    return { position, index: index - 1, term: -1, chainCrc: position === 0 ? 0 : UNKNOWN_CHAIN }
  }

  #goodEntryBefore(position: number): LogEnd | undefined {
    const { table, scan, end, places } = this.#parts
    const first = this.#start()
    if (position < first.position || position >= end().position) return undefined
    if (!places.byPosition(position)) {
      return position - first.position < MAX_CHECK_BYTES ? first : undefined
    }
    const found = places.place.index
    // Not the entry right before: if its own checksum is damaged, the one asked for seems to be.
    for (let index = found - 2; index > first.index && index > found - 5; index--) {
      if (!table.read(index)) continue
      scan.forget()
      const { sizeBytes, term, position: start } = table.unit
      const entry = scan.single(start)
      const isWhole = entry?.index === index && entry.term === term
      const fits = isWhole && entry.position === start + sizeBytes
      if (fits && entry.position <= position) return entry
    }
    return found - 5 <= first.index ? first : undefined
  }

  #entries(maxBytes: number): number {
    const first = this.#parts.first()
    if (this.#at.position < first.position) this.#at = this.#start()
    const from = this.#at.position
    const end = this.#parts.end()
    if (from >= end.position) {
      this.#makeDurable(first.position, end.position)
      this.#phase = Phase.DATA_TAIL
      this.#tailAt = 0
      return 0
    }
    this.#walk(Math.min(end.position, from + maxBytes))
    return this.#at.position - from
  }

  /**
   * A process that was killed in the middle of a repair leaves it in the page cache only: whole to
   * every reader, and rotten again when power goes.
   */
  #makeDurable(from: number, to: number): void {
    const { data, index } = this.#parts
    data.syncRange(from, to)
    index.syncFrom(this.#parts.first().index * INDEX_UNIT_BYTES)
  }

  /** Checks the entries from the cursor on that begin before `limit`, or up to damage. */
  #walk(limit: number): void {
    const { scan, filler, found } = this.#parts
    scan.forget()
    const { position, index, term, chainCrc } = this.#at
    this.#firstUnit = index + 1
    this.#unitCount = 0
    let end = this.#at
    const start = {
      position,
      index: index + 1,
      term,
      chainCrc: chainCrc < 0 ? undefined : chainCrc,
    }
    const starts: number[] = []
    const result = scan.run(
      start,
      (at, sizeBytes, entryIndex, entryTerm) => {
        if (at !== end.position) starts.push(end.position)
        end = { position: at + sizeBytes, index: entryIndex, term: entryTerm, chainCrc: 0 }
        this.#noteUnit(at, sizeBytes, entryIndex, entryTerm)
      },
      limit,
    )
    this.#compareUnits()
    for (const from of starts) if (filler.fill(from)) this.#foundFiller(from, found)
    this.#at = result.end
    if (result.stop !== 'limit') this.#damaged(result)
  }

  #foundFiller(position: number, found: CareParts['found']): void {
    const path = this.#parts.data.pathOf(position)
    const reason = 'a filler was damaged and is made anew'
    found({ path, position, index: -1, reason, repaired: true })
  }

  #damaged({ end, stop, stopPosition }: ScanResult): void {
    const { table, data, filler, holes, found } = this.#parts
    this.#parts.scan.forget()
    if (filler.mend(end)) {
      this.#foundFiller(end.position, found)
      return
    }
    const last = this.#parts.end()
    const search = { table, segmentBytes: data.segmentBytes, proven: [last] }
    const hole = findHole(search, end, stop)
    const position = hole?.position ?? stopPosition
    const path = data.pathOf(position)
    if (hole === undefined || holes.add(hole)) {
      found({ path, position, index: end.index + 1, reason: stop, repaired: false })
    }
    this.#at = hole === undefined ? this.#backInto(end) : endOf(hole, last)
  }

  /** Behind damage without bounds: the next entry that its unit leads to. */
  #backInto(end: LogEnd): LogEnd {
    const { table, scan } = this.#parts
    const last = this.#parts.end()
    const limit = Math.min(last.index, end.index + MAX_UNITS_TRIED)
    for (let index = end.index + 2; index <= limit; index++) {
      if (!table.read(index) || table.unit.position <= end.position) continue
      const { position } = table.unit
      const entry = scan.single(position)
      if (entry?.index !== index) continue
      return { position, index: index - 1, term: -1, chainCrc: UNKNOWN_CHAIN }
    }
    return last
  }

  #noteUnit(position: number, sizeBytes: number, index: number, term: number): void {
    if ((this.#unitCount + 1) * INDEX_UNIT_BYTES > this.#units.length) this.#compareUnits()
    const offset = this.#unitCount * INDEX_UNIT_BYTES
    writeIndexUnit(this.#view, offset, position, sizeBytes, index, term)
    this.#unitCount++
  }

  #compareUnits(): void {
    const { index, found } = this.#parts
    const sizeBytes = this.#unitCount * INDEX_UNIT_BYTES
    const at = this.#firstUnit * INDEX_UNIT_BYTES
    const firstUnit = this.#firstUnit
    this.#firstUnit += this.#unitCount
    this.#unitCount = 0
    const count = index.readAt(at, this.#stored, 0, sizeBytes)
    assert(count <= sizeBytes, 'no more is read than was asked for')
    if (count === sizeBytes && this.#units.compare(this.#stored, 0, count, 0, count) === 0) return
    index.writeAt(at, this.#units, 0, sizeBytes)
    index.sync()
    const reason = 'index units were damaged and are made anew'
    found({ path: index.pathOf(at), position: -1, index: firstUnit, reason, repaired: true })
  }

  /** Everything from `from` to the last file's end is zero, or is made so. */
  #tail(files: SegmentFiles, from: number, maxBytes: number, next: Phase): number {
    const at = Math.max(from, this.#tailAt)
    const sizeBytes = Math.min(files.endPosition - at, this.#part.length, maxBytes)
    if (sizeBytes <= 0) {
      this.#phase = next
      this.#tailAt = 0
      return 0
    }
    this.#tailAt = at + sizeBytes
    files.readAt(at, this.#part, 0, sizeBytes)
    if (this.#part.compare(this.#zeros, 0, sizeBytes, 0, sizeBytes) === 0) return sizeBytes
    files.writeAt(at, this.#zeros, 0, sizeBytes)
    files.sync()
    const reason = 'bytes behind the end of the log were not zero and are cleared'
    this.#parts.found({ path: files.pathOf(at), position: at, index: -1, reason, repaired: true })
    return sizeBytes
  }
}

function endOf(hole: { endPosition: number; index: number; term: number }, last: LogEnd): LogEnd {
  if (hole.index === last.index) return last
  const { endPosition: position, index, term } = hole
  return { position, index, term, chainCrc: UNKNOWN_CHAIN }
}
