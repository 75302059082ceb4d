/**
 * The index files as a table: unit k at byte k * 32 says where entry k lies. Owns nothing on disk;
 * what it reads is checked against its own place (a unit names its index), and an unused unit
 * counts as behind the log's end.
 */
import { assert } from '@ringledger/base'
import {
  getInt64,
  INDEX_UNIT_BYTES,
  indexUnitPosition,
  indexUnitSize,
  MAGIC_NORMAL,
  writeIndexUnit,
} from '@ringledger/protocol'

/** Where units are read from: the segments of the store, or a read-only view of them. */
export interface UnitSource {
  readonly firstPosition: number
  readonly endPosition: number
  readAt(position: number, target: Uint8Array, offset: number, sizeBytes: number): number
}

const BLOCK_UNITS = 2048
const INDEX_AT = 16
const TERM_AT = 24

/** The unit last read; reused, so take the numbers at once. */
export interface UnitCursor {
  position: number
  sizeBytes: number
  term: number
}

export class IndexTable {
  readonly unit: UnitCursor = { position: 0, sizeBytes: 0, term: 0 }
  readonly #source: UnitSource
  readonly #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_UNITS * INDEX_UNIT_BYTES)
  readonly #view: DataView

  constructor(source: UnitSource) {
    this.#source = source
    this.#view = new DataView(this.#block.buffer, this.#block.byteOffset, this.#block.length)
  }

  /** The last one that the files have room for. */
  get lastIndex(): number {
    return Math.floor(this.#source.endPosition / INDEX_UNIT_BYTES) - 1
  }

  /**
   * Reads unit `index` into {@link unit}; false when it is not there or not a unit of that index.
   */
  read(index: number): boolean {
    if (index < 0 || !Number.isSafeInteger(index)) return false
    const count = this.#source.readAt(index * INDEX_UNIT_BYTES, this.#block, 0, INDEX_UNIT_BYTES)
    return count === INDEX_UNIT_BYTES && this.#take(0, index)
  }

  /**
   * First index in [low, high] whose entry has at least `term`; the unit at `high` has. -1 when a
   * unit is unreadable.
   */
  firstOfTerm(term: number, low: number, high: number): number {
    let from = low
    let to = high
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      if (!this.read(middle)) return -1
      if (this.unit.term >= term) to = middle
      else from = middle + 1
    }
    return from
  }

  /**
   * Largest index of at least `low` whose entry starts at or below `position`, in {@link unit}; -1
   * when there is none. One damaged unit can lead the search astray: {@link EntryPlaces} finds out.
   */
  indexAt(position: number, low: number): number {
    let found = -1
    let from = Math.max(low, Math.ceil(this.#source.firstPosition / INDEX_UNIT_BYTES))
    let to = this.lastIndex
    while (from <= to) {
      const middle = Math.floor((from + to) / 2)
      if (this.read(middle) && this.unit.position <= position) {
        found = middle
        from = middle + 1
      } else {
        to = middle - 1
      }
    }
    if (found >= 0) this.read(found)
    return found
  }

  /**
   * The last entry from `index` on that ends at or below `limit`; -1 when entry `index` does not.
   * Reads block by block.
   */
  lastWithin(index: number, limit: number): number {
    let last = -1
    for (let next = index; ; next += BLOCK_UNITS) {
      const size = this.#source.readAt(next * INDEX_UNIT_BYTES, this.#block, 0, this.#block.length)
      const units = Math.floor(size / INDEX_UNIT_BYTES)
      for (let i = 0; i < units; i++) {
        if (!this.#take(i * INDEX_UNIT_BYTES, next + i)) return last
        if (this.unit.position + this.unit.sizeBytes > limit) return last
        last = next + i
      }
      if (units < BLOCK_UNITS) return last
    }
  }

  /** Whether any of the `count` units from `index` on names an entry at or behind `position`. */
  namesAnyFrom(index: number, position: number, count: number): boolean {
    for (let done = 0; done < count; done += BLOCK_UNITS) {
      const first = index + done
      const size = this.#source.readAt(first * INDEX_UNIT_BYTES, this.#block, 0, this.#block.length)
      const units = Math.floor(size / INDEX_UNIT_BYTES)
      for (let i = 0; i < units; i++) {
        if (this.#take(i * INDEX_UNIT_BYTES, first + i) && this.unit.position >= position) {
          return true
        }
      }
      if (units < BLOCK_UNITS) return false
    }
    return false
  }

  #take(offset: number, index: number): boolean {
    const view = this.#view
    if (view.getInt32(offset) !== MAGIC_NORMAL) return false
    if (getInt64(view, offset + INDEX_AT) !== index) return false
    this.unit.position = indexUnitPosition(view, offset)
    this.unit.sizeBytes = indexUnitSize(view, offset)
    this.unit.term = getInt64(view, offset + TERM_AT)
    return true
  }
}

/** Where units are written to. */
export interface UnitTarget {
  writeAt(position: number, bytes: Uint8Array, offset: number, sizeBytes: number): void
}

/** Gathers units of entries that follow one another and writes them in long runs. */
export class IndexWriter {
  readonly #target: UnitTarget
  readonly #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_UNITS * INDEX_UNIT_BYTES)
  readonly #view: DataView
  #first = 0
  #count = 0

  constructor(target: UnitTarget) {
    this.#target = target
    this.#view = new DataView(this.#block.buffer, this.#block.byteOffset, this.#block.length)
  }

  add(position: number, sizeBytes: number, index: number, term: number): void {
    if (this.#count === BLOCK_UNITS) this.flush()
    if (this.#count === 0) this.#first = index
    assert(index === this.#first + this.#count, 'index units are written without a gap')
    writeIndexUnit(this.#view, this.#count * INDEX_UNIT_BYTES, position, sizeBytes, index, term)
    this.#count++
  }

  /**
   * Hands what is gathered to the files. After a throw it is forgotten, and the run is to be added
   * anew.
   */
  flush(): void {
    const count = this.#count
    if (count === 0) return
    this.#count = 0
    this.#target.writeAt(this.#first * INDEX_UNIT_BYTES, this.#block, 0, count * INDEX_UNIT_BYTES)
  }

  /** Forgets what was added since the last flush. */
  discard(): void {
    this.#count = 0
  }
}
