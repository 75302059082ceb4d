/**
 * Finds where the entries of a log lie. Owns the rule that no index unit is believed alone: it has
 * no checksum, so the header of its entry must say the same. Where one does not, the entries are
 * walked from the nearest one whose unit and header agree, by their checksums, and the place is
 * told, so that the unit is made anew.
 */
import {
  ENTRY_HEADER_BYTES,
  entryChainCrc,
  entryIndex,
  entryMagic,
  entryPosition,
  entrySize,
  entryTerm,
  MAGIC_BLANK,
  MAGIC_NORMAL,
} from '@ringledger/protocol'
import type { EntryScan, ScannedData } from './entry-scan.ts'
import { isPlausible, startsBehind } from './holes.ts'
import type { IndexTable } from './index-table.ts'
import { type LogEnd, UNKNOWN_CHAIN } from './resume-mark.ts'

/** How far a walk goes: it holds up the thread that looks something up. */
const MAX_WALK_BYTES: number = 16 * 1024 ** 2
/** How many units beside a damaged one are tried one by one for a sound one. */
const MAX_UNITS_TRIED = 256

/** Where an entry lies; reused, so take the numbers at once. */
export interface EntryPlace {
  index: number
  position: number
  sizeBytes: number
}

export interface FirstEntry {
  readonly position: number
  readonly index: number
}

export interface PlacesData extends ScannedData {
  readonly firstPosition: number
}

export interface PlacesParts {
  readonly data: PlacesData
  readonly table: IndexTable
  /** Forgets what it has read whenever a walk begins. */
  readonly scan: EntryScan
  first(): FirstEntry | undefined
  /** The entry at `position`, or its unit, is not what was written; told once a lookup. */
  damaged(position: number): void
}

export class EntryPlaces {
  /** What was found last. */
  readonly place: EntryPlace = { index: -1, position: 0, sizeBytes: 0 }
  readonly #parts: PlacesParts
  readonly #header: HeaderReader
  #end: LogEnd = { position: 0, index: -1, term: -1, chainCrc: UNKNOWN_CHAIN }
  #told = false

  constructor(parts: PlacesParts) {
    this.#parts = parts
    this.#header = new HeaderReader(parts.data)
  }

  /** Whether unit and header of entry `index` agree; its place then is in {@link place}. */
  sound(index: number): boolean {
    const { table } = this.#parts
    if (!table.read(index)) return false
    const { position, sizeBytes, term } = table.unit
    const { view } = this.#header
    const agrees =
      this.#header.read(position) &&
      entryMagic(view, 0) === MAGIC_NORMAL &&
      entryPosition(view, 0) === position &&
      entrySize(view, 0) === sizeBytes &&
      entryIndex(view, 0) === index &&
      entryTerm(view, 0) === term
    if (!agrees) return false
    this.#take(index, position, sizeBytes)
    this.#end = { position: position + sizeBytes, index, term, chainCrc: entryChainCrc(view, 0) }
    return true
  }

  /** Finds entry `index`; false when it is not there, or what leads to it is damaged. */
  byIndex(index: number): boolean {
    if (this.sound(index)) return true
    this.#begin()
    const first = this.#parts.first()
    if (first === undefined || index < first.index) return false
    const lowest = Math.max(first.index, index - MAX_UNITS_TRIED)
    let from = index - 1
    while (from >= lowest && !this.sound(from)) from--
    if (from < lowest) this.#startBefore(Number.POSITIVE_INFINITY, first, lowest - 1)
    const limit = this.#end.position + MAX_WALK_BYTES
    while (this.#end.index < index && this.#end.position < limit) if (!this.#step()) return false
    return this.#end.index === index || this.#tell(this.#end.position)
  }

  /**
   * Finds the last entry that starts at or below `position`; false when there is none, or what
   * leads to it is damaged.
   */
  byPosition(position: number): boolean {
    const { table, first } = this.#parts
    const start = first()
    if (start === undefined || position < start.position) return false
    const found = table.indexAt(position, start.index)
    if (found >= 0 && this.#isLastBefore(position, found)) return true
    this.#begin()
    this.#startBefore(position, start, table.lastIndex)
    return this.#walkTo(position)
  }

  #isLastBefore(position: number, index: number): boolean {
    if (!this.sound(index)) return false
    const { position: start, sizeBytes } = this.place
    if (position < start) return false
    if (position < start + sizeBytes) return true
    const isNextBehind = this.sound(index + 1) && this.place.position > position
    this.#take(index, start, sizeBytes)
    return isNextBehind
  }

  #walkTo(position: number): boolean {
    const limit = this.#end.position + MAX_WALK_BYTES
    let { index, position: start, sizeBytes } = this.place
    while (this.#end.position <= position && this.#end.position < limit) {
      const isNext = this.#step()
      if (!isNext || this.place.position > position) {
        if (index < 0) return false
        this.#take(index, start, sizeBytes)
        return true
      }
      ;({ index, position: start, sizeBytes } = this.place)
    }
    return this.#end.position > position || this.#tell(this.#end.position)
  }

  /**
   * A walk begins behind the last sound entry up to `high` that starts at or below `position`, of
   * those a search comes by; else with the first one.
   */
  #startBefore(position: number, first: FirstEntry, high: number): void {
    let found = -1
    let from = first.index
    let to = high
    while (from <= to) {
      const middle = Math.floor((from + to) / 2)
      const limit = Math.min(to, middle + MAX_UNITS_TRIED)
      let probe = middle
      while (probe <= limit && !this.sound(probe)) probe++
      if (probe > middle && probe <= limit) this.#tell(this.place.position)
      if (probe <= limit && this.place.position <= position) {
        found = probe
        from = probe + 1
      } else {
        to = middle - 1
      }
    }
    if (found >= 0 && this.sound(found)) return
    this.#take(-1, first.position, 0)
    const chainCrc = first.position === 0 ? 0 : UNKNOWN_CHAIN
    this.#end = { position: first.position, index: first.index - 1, term: -1, chainCrc }
  }

  #begin(): void {
    this.#parts.scan.forget()
    this.#told = false
  }

  /**
   * Goes on to the next entry: one that is whole, or else one whose unit fits behind what was there
   * before. False at the log's end, and at damage without bounds.
   */
  #step(): boolean {
    const { scan, table, data } = this.#parts
    const { position, index, term, chainCrc } = this.#end
    const seed = chainCrc < 0 ? undefined : chainCrc
    const start = { position, index: index + 1, term, chainCrc: seed }
    const visit = (at: number, sizeBytes: number): void => this.#take(index + 1, at, sizeBytes)
    const { end, entries, stop, stopPosition } = scan.run(start, visit, position + 1)
    const { unit } = table
    const hasUnit = table.read(index + 1)
    if (entries > 0) {
      this.#end = end
      const { position: at, sizeBytes } = this.place
      const fits = hasUnit && unit.position === at && unit.sizeBytes === sizeBytes
      if (!fits || unit.term !== end.term) this.#tell(at)
      return true
    }
    if (hasUnit && isPlausible(unit, this.#end, data.segmentBytes)) {
      const { position: at, sizeBytes } = unit
      this.#take(index + 1, at, sizeBytes)
      const behind = { position: at + sizeBytes, index: index + 1, term: unit.term }
      this.#end = { ...behind, chainCrc: UNKNOWN_CHAIN }
      this.#tell(at)
      return true
    }
    if (stop === 'unused' || stop === 'filler' || !this.#header.read(stopPosition)) return false
    return this.#tell(stopPosition)
  }

  #take(index: number, position: number, sizeBytes: number): void {
    this.place.index = index
    this.place.position = position
    this.place.sizeBytes = sizeBytes
  }

  #tell(position: number): false {
    if (!this.#told) this.#parts.damaged(position)
    this.#told = true
    return false
  }
}

/**
 * The first entry of the files. Nothing before it vouches for the index in its header, so the unit
 * or the entry behind must agree; undefined when none does.
 */
export function findFirst(
  data: PlacesData,
  table: IndexTable,
  scan: EntryScan,
): FirstEntry | undefined {
  const header = new HeaderReader(data)
  const { view } = header
  let position = data.firstPosition
  if (!header.read(position)) return undefined
  // Only a log of Apache's that was cut from the front begins with a filler, and never with two.
  if (entryMagic(view, 0) === MAGIC_BLANK) {
    position += Math.max(0, entrySize(view, 0))
    if (!header.read(position)) return undefined
  } else if (position === 0) return { position, index: 0 }
  const index = entryIndex(view, 0)
  if (Number.isSafeInteger(index) && table.read(index) && table.unit.position === position) {
    return { position, index }
  }
  scan.forget()
  const own = scan.single(position)
  const starts = own === undefined ? [] : startsBehind(own.position, data.segmentBytes)
  for (const start of starts) {
    const next = scan.single(start)
    if (next === undefined || !table.read(next.index) || table.unit.position !== start) continue
    return { position, index: next.index - 1 }
  }
  const named = table.indexAt(position, 0)
  if (named >= 0 && table.unit.position === position) return { position, index: named }
  return own === undefined ? undefined : { position, index: own.index }
}

/** Headers one by one, from where damaged numbers may lead. */
class HeaderReader {
  readonly view: DataView
  readonly #bytes: Buffer = Buffer.alloc(ENTRY_HEADER_BYTES)
  readonly #data: PlacesData

  constructor(data: PlacesData) {
    this.#data = data
    this.view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, ENTRY_HEADER_BYTES)
  }

  read(position: number): boolean {
    if (!Number.isSafeInteger(position) || position < 0) return false
    return this.#data.readAt(position, this.#bytes, 0, ENTRY_HEADER_BYTES) === ENTRY_HEADER_BYTES
  }
}
