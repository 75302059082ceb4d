/**
 * Reads the log from its files, on any thread, beside the IO thread that writes them. Owns only
 * descriptors, a bounded number. It does not know where the log ends: ask only below a position
 * that the arena's `durable` has passed. After a cut call `forget`, or an unlinked file would still
 * be read.
 */
import { join } from 'node:path'
import { assert, LedgerError } from '@ringledger/base'
import {
  ENTRY_HEADER_BYTES,
  entryChainCrc,
  entryIndex,
  fileNameOfOffset,
  offsetOfFileName,
} from '@ringledger/protocol'
import { checkEntries } from './check-entries.ts'
import { type StoreConfig, storeLayout } from './config.ts'
import { BLOCK_BYTES, type Disk, DiskError, type DiskFile, OpenMode } from './disk.ts'
import { NodeDisk } from './disk-node.ts'
import { EntryPlaces, type FirstEntry, findFirst } from './entry-places.ts'
import { EntryScan } from './entry-scan.ts'
import { IndexTable, type UnitSource } from './index-table.ts'

const MAX_OPEN_FILES = 4
/** What {@link LogFileReader.readEntriesPastCache} may read before and behind a range. */
export const BLOCKS_AROUND_BYTES: number = 2 * BLOCK_BYTES
/** Read at once where index units are damaged. */
const SCAN_BYTES: number = 64 * 1024

interface OpenSegment {
  readonly file: DiskFile
  /** Asynchronous reads under way; a descriptor in use is never closed. */
  users: number
  dropped: boolean
}

/** One directory of segments, opened as they are read. */
class SegmentView implements UnitSource {
  readonly #disk: Disk
  readonly #directory: string
  readonly segmentBytes: number
  readonly #mode: OpenMode
  /** In order of last use. */
  readonly #open: Map<number, OpenSegment> = new Map()

  constructor(disk: Disk, directory: string, segmentBytes: number, mode: OpenMode = OpenMode.READ) {
    this.#disk = disk
    this.#directory = directory
    this.segmentBytes = segmentBytes
    this.#mode = mode
  }

  /** Of the first file now on disk. */
  get firstPosition(): number {
    return this.#bases()[0] ?? 0
  }

  /** Behind the last file now on disk. */
  get endPosition(): number {
    const last = this.#bases().at(-1)
    return last === undefined ? 0 : last + this.segmentBytes
  }

  readAt(position: number, target: Uint8Array, offset: number, sizeBytes: number): number {
    let done = 0
    while (done < sizeBytes) {
      const at = position + done
      const inSegment = at % this.segmentBytes
      const segment = this.#segment(at - inSegment)
      if (segment === undefined) break
      const part = Math.min(sizeBytes - done, this.segmentBytes - inSegment)
      const count = segment.file.readAt(target, offset + done, part, inSegment)
      done += count
      if (count < part) break
    }
    return done
  }

  async readAtAsync(
    position: number,
    target: Uint8Array,
    offset: number,
    sizeBytes: number,
  ): Promise<number> {
    let done = 0
    while (done < sizeBytes) {
      const at = position + done
      const inSegment = at % this.segmentBytes
      const segment = this.#segment(at - inSegment)
      if (segment === undefined) break
      const part = Math.min(sizeBytes - done, this.segmentBytes - inSegment)
      segment.users++
      try {
        const count = await segment.file.readAtAsync(target, offset + done, part, inSegment)
        done += count
        if (count < part) break
      } finally {
        segment.users--
        if (segment.dropped && segment.users === 0) segment.file.close()
      }
    }
    return done
  }

  pathOf(position: number): string {
    return join(this.#directory, fileNameOfOffset(position - (position % this.segmentBytes)))
  }

  /** Files that hold positions from `position` on are opened anew at the next read. */
  forget(position: number): void {
    for (const [base, segment] of this.#open) {
      if (base + this.segmentBytes > position) this.#drop(base, segment)
    }
  }

  #segment(base: number): OpenSegment | undefined {
    const known = this.#open.get(base)
    if (known !== undefined) {
      this.#open.delete(base)
      this.#open.set(base, known)
      return known
    }
    const path = join(this.#directory, fileNameOfOffset(base))
    if (!this.#disk.exists(path)) return undefined
    const segment = { file: this.#disk.open(path, this.#mode), users: 0, dropped: false }
    this.#open.set(base, segment)
    for (const [oldBase, old] of this.#open) {
      if (this.#open.size <= MAX_OPEN_FILES) break
      this.#drop(oldBase, old)
    }
    return segment
  }

  #drop(base: number, segment: OpenSegment): void {
    this.#open.delete(base)
    segment.dropped = true
    if (segment.users === 0) segment.file.close()
  }

  #bases(): number[] {
    const names = this.#disk.list(this.#directory)
    return names.map(offsetOfFileName).filter((base) => base !== undefined)
  }
}

/** A run of whole entries, by its end. */
export interface LogRange {
  readonly endPosition: number
  /** Of the entry that ends there. */
  readonly lastIndex: number
}

export class LogFileReader {
  readonly #data: SegmentView
  /** The same segments past the page cache. */
  readonly #blocks: SegmentView
  readonly #index: SegmentView
  readonly #table: IndexTable
  readonly #header: Buffer = Buffer.alloc(ENTRY_HEADER_BYTES)
  readonly #places: EntryPlaces
  readonly #scan: EntryScan
  /** Undefined: not looked up since the last `forget`. */
  #first: FirstEntry | undefined
  /** Of the first file when `#first` was looked up. */
  #firstFile = 0
  /**
   * Where the last range ended, and its last index: catching up asks for the next one from there.
   */
  #lastEnd = -1
  #lastIndex = -1

  /** Told where bytes are not what was written. */
  readonly #onDamage: (position: number) => void
  readonly #segmentBytes: number
  /** End and checksum of the last entry that was read and found whole. */
  #checkedEnd = -1
  #checkedChainCrc = 0

  constructor(
    config: StoreConfig,
    disk: Disk = new NodeDisk(),
    onDamage: (position: number) => void = () => {},
  ) {
    const layout = storeLayout(config)
    this.#onDamage = onDamage
    this.#segmentBytes = layout.segmentBytes
    this.#data = new SegmentView(disk, layout.dataDirectory, layout.segmentBytes)
    const { dataDirectory, segmentBytes } = layout
    this.#blocks = new SegmentView(disk, dataDirectory, segmentBytes, OpenMode.READ_BLOCKS)
    this.#index = new SegmentView(disk, layout.indexDirectory, layout.indexSegmentBytes)
    this.#table = new IndexTable(this.#index)
    this.#scan = new EntryScan(this.#data, Math.min(SCAN_BYTES, layout.segmentBytes))
    this.#places = new EntryPlaces({
      data: this.#data,
      table: this.#table,
      scan: this.#scan,
      first: () => this.#lookUpFirst(),
      damaged: onDamage,
    })
  }

  /**
   * Copies up to `maxBytes` of the log from `position` on into `target`, across segments, as they
   * stand: the caller checks what it uses, and says {@link damaged} when it is wrong. Returns how
   * many: fewer where the files end, 0 where there is none (any more, or yet). @throws DiskError
   */
  read(position: number, target: Uint8Array, targetOffset: number, maxBytes: number): number {
    return this.#data.readAt(position, target, targetOffset, maxBytes)
  }

  /**
   * Fills the start of `target` with [from, to), as it stands, off the event loop; `target` is not
   * to be touched meanwhile.
   * @throws DiskError, or LedgerError BAD_REQUEST when the files do not hold all of it
   */
  async readAsync(from: number, to: number, target: Uint8Array): Promise<void> {
    assert(to - from <= target.length, 'the range fits the target')
    const count = await this.#data.readAtAsync(from, target, 0, to - from)
    if (count < to - from) throw gone(from + count)
  }

  /**
   * As {@link readAsync}, for whole entries, which are checked: their checksums, their place, and
   * the chain as far as the entry before is readable.
   * @throws LedgerError CORRUPT too, when they are damaged, which the IO thread is told of
   */
  async readEntriesAsync(from: number, to: number, target: Buffer): Promise<void> {
    await this.readAsync(from, to, target)
    this.#check(from, to, target)
  }

  /**
   * As {@link readEntriesAsync}, past the page cache where the file system lets it: what is read
   * once, and in long runs, costs the processor a copy less, and nobody else's pages. `target`
   * starts on a page and is {@link BLOCKS_AROUND_BYTES} longer than the range. Returns where the
   * range starts in it.
   */
  async readEntriesPastCache(from: number, to: number, target: Buffer): Promise<number> {
    const inBlock = from % BLOCK_BYTES
    const isRead = await this.#readBlocks(from - inBlock, to, target)
    if (!isRead) await this.readAsync(from, to, target)
    const offset = isRead ? inBlock : 0
    this.#check(from, to, target.subarray(offset, offset + to - from))
    return offset
  }

  /** Whether `target` begins with [start, to), `start` being that of a block. */
  async #readBlocks(start: number, to: number, target: Buffer): Promise<boolean> {
    const sizeBytes = Math.ceil((to - start) / BLOCK_BYTES) * BLOCK_BYTES
    if (this.#segmentBytes % BLOCK_BYTES !== 0 || sizeBytes > target.length) return false
    try {
      return (await this.#blocks.readAtAsync(start, target, 0, sizeBytes)) >= to - start
    } catch (error) {
      // A disk that fails says so again to the read through the page cache, which follows.
      if (error instanceof DiskError) return false
      throw error
    }
  }

  #check(from: number, to: number, entries: Buffer): void {
    const checked = checkEntries(entries, from, to, {
      segmentBytes: this.#segmentBytes,
      previousChainCrc: this.#chainCrcBefore(from),
      lastIndex: to === this.#lastEnd ? this.#lastIndex : undefined,
    })
    if (checked.damagedAt >= 0) throw this.damaged(checked.damagedAt, checked.reason)
    this.#checkedEnd = to
    this.#checkedChainCrc = checked.chainCrc
  }

  /** Tells that the bytes at `position` are not what was written; the error is to be thrown. */
  damaged(position: number, reason: string): LedgerError {
    this.#onDamage(position)
    this.#lastEnd = -1
    return new LedgerError(
      'CORRUPT',
      `${this.#data.pathOf(position)}: the log is damaged at position ${position} (${reason})`,
    )
  }

  /** Where entry `index` starts; -1 when the files do not hold it, or hold nothing that tells. */
  entryPositionOfIndex(index: number): number {
    return this.#places.byIndex(index) ? this.#places.place.position : -1
  }

  /**
   * Index of the entry that covers `position`; a filler belongs to the entry behind it. -1 when the
   * files do not hold it, or hold nothing that tells.
   */
  indexOfPosition(position: number): number {
    const first = this.#lookUpFirst()
    if (first === undefined || position < this.#data.firstPosition) return -1
    if (position < first.position) return first.index
    if (!this.#places.byPosition(position)) return -1
    const { place } = this.#places
    if (position < place.position + place.sizeBytes) return place.index
    const next = place.index + 1
    return this.#places.byIndex(next) && place.position > position ? next : -1
  }

  /**
   * The largest end of an entry in (from, min(limit, from + maxBytes)], or the end of the first
   * entry behind `from` when that is longer, and the index of that entry; less of them around a
   * damaged index unit. `from` is the end of an entry or the log's first position.
   * @throws LedgerError BAD_REQUEST when the files do not hold it, CORRUPT when nothing tells
   */
  range(from: number, limit: number, maxBytes: number): LogRange {
    const first = from === this.#lastEnd ? this.#lastIndex + 1 : this.indexOfPosition(from)
    const end = Math.min(limit, from + maxBytes)
    const last = first < 0 ? -1 : Math.max(first, this.#table.lastWithin(first, end))
    const { place } = this.#places
    const isFound = last >= 0 && (this.#places.sound(last) || this.#places.byIndex(first))
    if (!isFound) {
      const isKnownToBe = limit < Number.POSITIVE_INFINITY && from >= this.#data.firstPosition
      if (!isKnownToBe) throw gone(from)
      throw this.damaged(from, 'an index unit is not readable')
    }
    const endPosition = place.position + place.sizeBytes
    if (endPosition <= from || endPosition > Math.max(limit, from)) {
      throw this.damaged(from, 'an index unit is of another place')
    }
    this.#lastIndex = place.index
    this.#lastEnd = endPosition
    return { endPosition, lastIndex: place.index }
  }

  /** The end of {@link range} without a limit. */
  rangeEnd(from: number, maxBytes: number): number {
    return this.range(from, Number.POSITIVE_INFINITY, maxBytes).endPosition
  }

  /**
   * The log was cut at `position`, or segments were deleted: nothing known about what lies behind
   * is kept.
   */
  forget(position: number): void {
    this.#data.forget(position)
    this.#blocks.forget(position)
    this.#index.forget(0)
    this.#first = undefined
    this.#lastEnd = -1
    this.#checkedEnd = -1
  }

  close(): void {
    this.forget(0)
  }

  /** Undefined when the entry before `from` is gone or its unit does not lead to it. */
  #chainCrcBefore(from: number): number | undefined {
    if (from === 0) return 0
    if (from === this.#checkedEnd) return this.#checkedChainCrc
    if (!this.#places.byPosition(from - 1)) return undefined
    const { index, position, sizeBytes } = this.#places.place
    if (position + sizeBytes !== from) return undefined
    const header = this.#header
    const count = this.#data.readAt(position, header, 0, ENTRY_HEADER_BYTES)
    const view = new DataView(header.buffer, header.byteOffset, ENTRY_HEADER_BYTES)
    if (count < ENTRY_HEADER_BYTES || entryIndex(view, 0) !== index) return undefined
    return entryChainCrc(view, 0)
  }

  #lookUpFirst(): FirstEntry | undefined {
    const firstFile = this.#data.firstPosition
    if (this.#first === undefined || this.#firstFile !== firstFile) {
      this.#first = findFirst(this.#data, this.#table, this.#scan)
      this.#firstFile = firstFile
    }
    return this.#first
  }
}

function gone(position: number): LedgerError {
  return new LedgerError('BAD_REQUEST', `the log files do not hold position ${position}`)
}
