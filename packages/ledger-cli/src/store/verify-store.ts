/**
 * Checks a stopped store from its first to its last byte. Owns the line between damage and what a
 * crash may leave: bytes that were durable once (the mark or an index unit says so) and are not
 * whole now are damage; a tail behind them was never acknowledged and is cut at the next start.
 */
import { getInt64, INDEX_UNIT_BYTES, MAGIC_NORMAL, readIndexUnit } from '@ringledger/protocol'
import { EntryWalk, type WalkedBreak, type WalkedEntry } from './entry-walk.ts'
import { SegmentReader } from './segment-reader.ts'
import {
  type HardStateRecord,
  type MarkRecord,
  readHardState,
  readLost,
  readMark,
} from './slot-reader.ts'
import type { StoreDirectory } from './store-directory.ts'

/** One thing that is not as it was written. */
export interface StoreDamage {
  readonly kind: 'entry' | 'missing' | 'index' | 'term and vote' | 'mark' | 'lost' | 'segment'
  /** Below the node's directory. */
  readonly file: string
  /** In the data stream; -1 where that means nothing. */
  readonly position: number
  /** Of the first entry that is concerned; -1 where that means nothing. */
  readonly index: number
  /** Of the last one. */
  readonly lastIndex: number
  readonly reason: string
}

export interface StoreReport {
  readonly directory: string
  readonly segments: number
  readonly entries: number
  /** Of whole entries; -1 for none. */
  readonly firstIndex: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly endPosition: number
  readonly bodyBytes: number
  /** Entries that open a leader's term. */
  readonly barriers: number
  /** Entries of Apache, which have no checksums. */
  readonly unsealed: number
  readonly term: number | undefined
  readonly votedFor: string | undefined
  readonly closedInOrder: boolean
  readonly damage: readonly StoreDamage[]
  /** What is worth knowing and no damage. */
  readonly notes: readonly string[]
}

export interface VerifyOptions {
  /** Called now and then with how much of the data was read. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
  /** More damage is counted in the last one's text. */
  readonly maxDamage?: number
}

const DEFAULT_MAX_DAMAGE = 1_000
const UNITS_A_READ = 4_096
/** Index units that differ one after another are one damage. */
type UnitState = 'ok' | 'absent' | 'wrong'

/** Reads all of a store that nobody has open. @throws an error of the file system */
export function verifyStore(store: StoreDirectory, options: VerifyOptions = {}): StoreReport {
  return new Verification(store, options).run()
}

class Verification {
  readonly #store: StoreDirectory
  readonly #options: VerifyOptions
  readonly #hardState: HardStateRecord
  readonly #mark: MarkRecord
  readonly #data: SegmentReader
  readonly #units: UnitReader
  readonly #damage: StoreDamage[] = []
  readonly #notes: string[] = []
  #more = 0
  #breaks: WalkedBreak[] = []
  #entries = 0
  #bodyBytes = 0
  #barriers = 0
  #unsealed = 0
  #first: WalkedEntry | undefined
  #lastTerm = -1
  /** A run of entries whose units are wrong: first and last index. */
  #wrongUnits: [number, number] | undefined

  constructor(store: StoreDirectory, options: VerifyOptions) {
    this.#store = store
    this.#options = options
    this.#hardState = readHardState(store.hardStatePath)
    this.#mark = readMark(store.markPath)
    this.#data = new SegmentReader(store.dataDirectory, this.#mark.segmentBytes)
    this.#units = new UnitReader(new SegmentReader(store.indexDirectory))
  }

  run(): StoreReport {
    try {
      this.#checkSlots()
      this.#checkFiles()
      const end = this.#walk()
      this.#judgeBreaks()
      this.#checkEnd(end)
      return this.#report(end)
    } finally {
      this.#data.close()
      this.#units.close()
    }
  }

  #walk(): { position: number; index: number } {
    const { onProgress } = this.#options
    const { firstPosition, endPosition } = this.#data
    const walk = new EntryWalk(this.#data, {
      entry: (entry) => {
        this.#onEntry(entry)
        return true
      },
      broken: (found) => this.#breaks.push(found),
      progress: (at) => onProgress?.(at - firstPosition, endPosition - firstPosition),
    })
    const end = walk.run()
    this.#endWrongUnits()
    return end
  }

  #onEntry(entry: WalkedEntry): void {
    this.#first ??= { ...entry, body: entry.body.subarray(0, 0) }
    this.#entries++
    this.#bodyBytes += entry.body.length
    if (entry.isBarrier) this.#barriers++
    if (entry.isUnsealed) this.#unsealed++
    this.#lastTerm = entry.term
    const durableIndex = Math.max(this.#mark.index, this.#units.lastIndex)
    const state = this.#units.stateOf(entry)
    if (state === 'ok' || (state === 'absent' && entry.index > durableIndex)) {
      this.#endWrongUnits()
      return
    }
    if (this.#wrongUnits === undefined) this.#wrongUnits = [entry.index, entry.index]
    else this.#wrongUnits[1] = entry.index
  }

  #endWrongUnits(): void {
    if (this.#wrongUnits === undefined) return
    const [index, lastIndex] = this.#wrongUnits
    this.#wrongUnits = undefined
    const reason = 'the index says something else than the entry (remove index/: it is built anew)'
    this.#add({
      kind: 'index',
      file: this.#units.nameAt(index),
      position: -1,
      index,
      lastIndex,
      reason,
    })
  }

  /** What the mark or an index unit proves to have been durable. */
  #judgeBreaks(): void {
    const { position: markPosition } = this.#mark
    const lastUnit = this.#units.lastIndex
    for (const { position, index, reason, resumed } of this.#breaks) {
      const wasDurable = position < markPosition || (index >= 0 && index <= lastUnit)
      const file = this.#data.nameAt(position)
      if (!wasDurable && this.#mark.exists) {
        const what = `${file}: behind entry ${index - 1} stand bytes that were never acknowledged`
        this.#notes.push(`${what} (${reason}); the next start cuts them off`)
        continue
      }
      const lastIndex = resumed === undefined ? Math.max(index, lastUnit) : resumed.index - 1
      const kind = reason.includes('missing') ? 'missing' : 'entry'
      this.#add({ kind, file, position, index, lastIndex: Math.max(index, lastIndex), reason })
    }
  }

  /** A log that ends too early, without a broken byte. */
  #checkEnd(end: { position: number; index: number }): void {
    const { position, index } = this.#mark
    const lastUnit = this.#units.lastIndex
    const isShort = end.position < position || end.index < lastUnit
    if (!isShort || this.#breaks.some((found) => found.resumed === undefined)) return
    const from = end.index + 1
    const reason = `the log ends at position ${end.position}, and more was durable`
    const lastIndex = Math.max(index, lastUnit, from)
    const file = this.#data.nameAt(Math.max(0, end.position))
    this.#add({ kind: 'missing', file, position: end.position, index: from, lastIndex, reason })
  }

  #checkSlots(): void {
    const nowhere = { position: -1, index: -1, lastIndex: -1 }
    const { hardStatePath, markPath, lostPath } = this.#store
    const lost = readLost(lostPath)
    for (const [kind, path, record] of [
      ['term and vote', hardStatePath, this.#hardState],
      ['mark', markPath, this.#mark],
      ['lost', lostPath, lost],
    ] as const) {
      const file = path.slice(this.#store.directory.length + 1)
      if (!record.exists) {
        if (kind === 'lost') continue
        this.#notes.push(`${file} is not there: the store of a DLedger, or one that lost it`)
      } else if (record.payload === undefined) {
        const reason = 'neither of its two copies passes its checksum'
        this.#add({ kind, file, ...nowhere, reason })
      } else if (record.badSlots.length > 0) {
        const reason = `copy ${record.badSlots[0]} fails its checksum; the other one is whole`
        this.#add({ kind, file, ...nowhere, reason })
      }
    }
    if (lost.untilPosition === undefined) return
    const what = `this log was begun anew; what it had up to position ${lost.untilPosition}`
    this.#notes.push(`${what} is not all there again, and the node gives no vote until it is`)
  }

  #checkFiles(): void {
    const nowhere = { index: -1, lastIndex: -1 }
    for (const { base, sizeBytes } of this.#data.oddSizes) {
      const reason = `${sizeBytes} bytes long, others have ${this.#data.segmentBytes}`
      this.#add({
        kind: 'segment',
        file: this.#data.nameAt(base),
        position: base,
        ...nowhere,
        reason,
      })
    }
    for (const { from, to } of this.#data.gaps) {
      const reason = `missing: files go on at ${to}`
      this.#add({
        kind: 'segment',
        file: this.#data.nameAt(from),
        position: from,
        ...nowhere,
        reason,
      })
    }
    for (const name of this.#data.strangers) {
      this.#notes.push(`data/${name} is no segment; DLedger refuses to start with it`)
    }
  }

  #add(damage: StoreDamage): void {
    if (this.#damage.length < (this.#options.maxDamage ?? DEFAULT_MAX_DAMAGE)) {
      this.#damage.push(damage)
    } else {
      this.#more++
    }
  }

  #report(end: { position: number; index: number }): StoreReport {
    if (this.#more > 0) this.#notes.push(`${this.#more} more damages are not listed`)
    return {
      directory: this.#store.directory,
      segments: this.#data.files.length,
      entries: this.#entries,
      firstIndex: this.#first?.index ?? -1,
      lastIndex: end.index,
      lastTerm: this.#lastTerm,
      endPosition: end.position,
      bodyBytes: this.#bodyBytes,
      barriers: this.#barriers,
      unsealed: this.#unsealed,
      term: this.#hardState.term,
      votedFor: this.#hardState.votedFor,
      closedInOrder: this.#mark.state === 'clean',
      damage: this.#damage,
      notes: this.#notes,
    }
  }
}

/** Index units beside the entries, read ahead in blocks. */
class UnitReader {
  readonly #index: SegmentReader
  readonly #block: Buffer = Buffer.alloc(UNITS_A_READ * INDEX_UNIT_BYTES)
  readonly #view: DataView
  #blockIndex = -1
  #blockUnits = 0
  #lastIndex: number | undefined

  constructor(index: SegmentReader) {
    this.#index = index
    this.#view = new DataView(this.#block.buffer, this.#block.byteOffset, this.#block.length)
  }

  /** The highest index that a unit names; -1 for none. Units are written after the entry's sync. */
  get lastIndex(): number {
    this.#lastIndex ??= this.#findLast()
    return this.#lastIndex
  }

  nameAt(index: number): string {
    return this.#index.segmentBytes === 0 ? 'index' : this.#index.nameAt(index * INDEX_UNIT_BYTES)
  }

  stateOf({ index, position, sizeBytes, term }: WalkedEntry): UnitState {
    if (!this.#load(index)) return 'absent'
    const unit = readIndexUnit(this.#view, (index - this.#blockIndex) * INDEX_UNIT_BYTES)
    if (unit.magic === 0 && unit.sizeBytes === 0) return 'absent'
    const fits =
      unit.magic === MAGIC_NORMAL &&
      unit.index === index &&
      unit.position === position &&
      unit.sizeBytes === sizeBytes &&
      unit.term === term
    return fits ? 'ok' : 'wrong'
  }

  close(): void {
    this.#index.close()
  }

  #load(index: number): boolean {
    const inBlock = index - this.#blockIndex
    if (this.#blockIndex >= 0 && inBlock >= 0 && inBlock < this.#blockUnits) return true
    if (this.#index.files.length === 0) return false
    const count = this.#index.readAt(index * INDEX_UNIT_BYTES, this.#block, this.#block.length)
    this.#blockIndex = index
    this.#blockUnits = Math.floor(count / INDEX_UNIT_BYTES)
    return this.#blockUnits > 0
  }

  /** From the last file down: behind the last unit there are zeros. */
  #findLast(): number {
    if (this.#index.files.length === 0) return -1
    const lowest = Math.floor(this.#index.firstPosition / INDEX_UNIT_BYTES)
    let above = Math.floor(this.#index.endPosition / INDEX_UNIT_BYTES)
    while (above > lowest) {
      const unitsAFile = this.#index.segmentBytes / INDEX_UNIT_BYTES
      const fileStart = Math.floor((above - 1) / unitsAFile) * unitsAFile
      const from = Math.max(lowest, above - UNITS_A_READ, fileStart)
      const bytes = (above - from) * INDEX_UNIT_BYTES
      const count = this.#index.readAt(from * INDEX_UNIT_BYTES, this.#block, bytes)
      this.#blockIndex = -1
      for (let unit = Math.floor(count / INDEX_UNIT_BYTES) - 1; unit >= 0; unit--) {
        const offset = unit * INDEX_UNIT_BYTES
        const isUnit = this.#view.getInt32(offset) === MAGIC_NORMAL
        if (isUnit && getInt64(this.#view, offset + 16) === from + unit) return from + unit
      }
      above = from
    }
    return -1
  }
}
