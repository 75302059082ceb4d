/**
 * An open store: data and index segments, term and vote, resume mark. Owns the order of writes that
 * recovery relies on: data, then its sync, then index units (so a unit proves that its entry was
 * durable), then, now and then, a sync of the index and a mark. Used by one thread; every method
 * may throw `DiskError`, after which only `DISK_FULL` may be retried.
 */
import { assert, LedgerError } from '@ringledger/base'
import {
  BLANK_HEADER_BYTES,
  entryChainCrc,
  entryIndex,
  entryMagic,
  entryPosition,
  entrySize,
  entryTerm,
  INDEX_UNIT_BYTES,
  MAGIC_BLANK,
  MAGIC_NORMAL,
} from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { StoreLayout } from './config.ts'
import { type Disk, isNoSpace, type StoreLock } from './disk.ts'
import { EntryPlaces, type FirstEntry, findFirst } from './entry-places.ts'
import { repairEntry } from './entry-repair.ts'
import { EntryScan } from './entry-scan.ts'
import { FillerMender } from './filler-mender.ts'
import type { HardStateFile } from './hard-state.ts'
import { HoleList } from './hole-list.ts'
import { IndexTable, IndexWriter } from './index-table.ts'
import { resetLog } from './log-reset.ts'
import type { LogStart, LostFile } from './lost-file.ts'
import { writePropertyFile } from './property-file.ts'
import type { Hole, LostLog } from './recovered.ts'
import {
  type LogEnd,
  type MarkFile,
  MarkState,
  type ResumeMark,
  UNKNOWN_CHAIN,
} from './resume-mark.ts'
import { Scrub } from './scrub.ts'
import type { SegmentFiles } from './segment-files.ts'
import type { CareParts, Finding } from './store-parts.ts'
import { ZeroAhead } from './zero-ahead.ts'

/** A scrub reads the log in windows of this size. */
const CARE_WINDOW_BYTES: number = 256 * 1024

export interface StoreParts {
  readonly disk: Disk
  readonly layout: StoreLayout
  readonly lock: StoreLock
  readonly data: SegmentFiles
  readonly index: SegmentFiles
  readonly hardState: HardStateFile
  readonly mark: MarkFile
  readonly lost: LostFile
  readonly holes: readonly Hole[]
  /** End of the good log before the first hole. */
  readonly sound: LogEnd
  /** Where the oldest kept entry starts. */
  readonly firstPosition: number
  readonly firstIndex: number
  readonly end: LogEnd
  readonly zeroedTo: number
  readonly committedPosition: number
  readonly committedIndex: number
}

export class LogStore {
  readonly layout: StoreLayout
  readonly hardState: HardStateFile
  readonly zeroAhead: ZeroAhead
  readonly holes: HoleList
  readonly scrub: Scrub
  /** Told what was not as it must be. */
  onFinding: (finding: Finding) => void = () => {}
  readonly #care: CareParts
  readonly #lost: LostFile
  readonly #disk: Disk
  readonly #lock: StoreLock
  readonly #data: SegmentFiles
  readonly #index: SegmentFiles
  readonly #table: IndexTable
  readonly #indexWriter: IndexWriter
  readonly #mark: MarkFile
  #firstIndex: number
  #firstPosition: number
  #end: LogEnd
  #walked: { position: number; index: number; term: number; chainCrc: number }
  #arena: LogArena | undefined
  /** Index units below this index are synced. */
  #indexSyncedTo: LogEnd
  #markedEnd: LogEnd
  #committedPosition: number
  #committedIndex: number
  #checkpointBehind = true
  /** A group that met a full disk left bytes and units behind the end. */
  #leftBehind = false

  constructor(parts: StoreParts) {
    this.layout = parts.layout
    this.hardState = parts.hardState
    this.#disk = parts.disk
    this.#lock = parts.lock
    this.#data = parts.data
    this.#index = parts.index
    this.#table = new IndexTable(parts.index)
    this.#indexWriter = new IndexWriter(parts.index)
    this.#mark = parts.mark
    this.#firstIndex = parts.firstIndex
    this.#firstPosition = parts.firstPosition
    this.#end = parts.end
    this.#walked = { ...parts.end }
    this.#indexSyncedTo = parts.end
    this.#markedEnd = parts.end
    this.#committedPosition = parts.committedPosition
    this.#committedIndex = parts.committedIndex
    this.zeroAhead = new ZeroAhead(parts.data, parts.layout.zeroAheadBytes, parts.zeroedTo)
    this.#lost = parts.lost
    this.holes = new HoleList(parts.holes, parts.sound)
    this.#care = this.#careParts()
    this.scrub = new Scrub(this.#care)
  }

  /** End of what is durable, index units written. */
  get end(): LogEnd {
    return this.#end
  }

  /**
   * Writes the arena's [end, to) to the data files and syncs it, then its index units. May be
   * repeated after DISK_FULL.
   */
  append(arena: LogArena, to: number): void {
    const from = this.#end.position
    assert(to > from, 'a group is not empty')
    this.#arena = arena
    this.#leftBehind = true
    arena.forEachPiece(from, to, this.#writePiece)
    this.#data.sync()
    this.zeroAhead.written(to, to - from)
    this.#indexWriter.discard()
    this.#walked = { ...this.#end }
    arena.forEachPiece(from, to, this.#addUnits)
    this.#indexWriter.flush()
    assert(this.#walked.position === to, 'a group ends with an entry')
    this.#end = this.#walked
    this.#leftBehind = false
  }

  /**
   * The log ends at `position`, a boundary of entries, from now on; durable on return, stale bytes
   * are gone for good.
   */
  truncate(position: number): LogEnd {
    assert(position <= this.#end.position, 'truncation does not lengthen the log')
    const end = this.#endAt(position)
    if (position === this.#end.position && !this.#leftBehind) return end
    if (this.#committedPosition > position) {
      this.#committedPosition = position
      this.#committedIndex = end.index
    }
    this.#mark.replace(this.#markOf(MarkState.TRUNCATING, end))
    this.#data.cut(position)
    this.#index.cut((end.index + 1) * INDEX_UNIT_BYTES)
    this.zeroAhead.cut(position)
    this.#end = end
    this.#indexSyncedTo = end
    this.#mark.replace(this.#markOf(MarkState.RUNNING, end))
    this.#markedEnd = end
    this.holes.forget(position)
    this.#leftBehind = false
    return end
  }

  /**
   * Forgets the whole log and begins an empty one; durable on return. What may be missing then is
   * noted first, until `healed`.
   */
  reset(start: LogStart, lost: LostLog): LogEnd {
    this.#lost.resetting(lost, start)
    const end = resetLog(this.#data, this.#index, start)
    this.holes.forget(0)
    this.#firstPosition = start.position
    this.#firstIndex = start.index
    this.#committedPosition = start.position
    this.#committedIndex = start.index - 1
    this.#end = end
    this.#indexSyncedTo = end
    this.#markedEnd = end
    this.zeroAhead.cut(start.position)
    this.#mark.replace(this.#markOf(MarkState.RUNNING, end))
    this.#lost.filling()
    return end
  }

  /** Everything that was lost is there again. */
  healed(): void {
    this.#lost.healed()
  }

  /**
   * Puts an entry of a peer in the place of the damaged one at `position`; durable on return. Says
   * why it does not, '' when it is whole again.
   */
  repair(position: number, bytes: Buffer): string {
    const hole = this.holes.at(position)
    if (hole === undefined) return 'nothing is known to be damaged there'
    const refusal = repairEntry(this.#care, hole, bytes)
    if (refusal === '' && hole.index === this.#end.index) this.#end = this.#endAt(hole.endPosition)
    return refusal
  }

  /** What the group knows to be committed; kept for the next start and for Apache. */
  checkpoint(committedPosition: number, committedIndex: number): void {
    if (committedIndex === this.#committedIndex) return
    this.#committedPosition = committedPosition
    this.#committedIndex = committedIndex
    this.#checkpointBehind = true
  }

  /** Bytes of the log that recovery would have to scan now. */
  get unmarkedBytes(): number {
    return this.#end.position - this.#markedEnd.position
  }

  /** Bytes of the log whose index units are not synced. */
  get unsyncedIndexBytes(): number {
    return this.#end.position - this.#indexSyncedTo.position
  }

  syncIndex(): void {
    const end = this.#end
    this.#index.sync()
    this.#indexSyncedTo = end
  }

  /** Moves the resume mark up to the last synced index unit. */
  advanceMark(): void {
    this.#mark.advance(this.#markOf(MarkState.RUNNING, this.#indexSyncedTo))
    this.#markedEnd = this.#indexSyncedTo
  }

  /** Whether Apache's text files say something old. */
  get textBehind(): boolean {
    return this.#checkpointBehind || this.hardState.textBehind
  }

  /** Brings Apache's `currterm` and `checkpoint` up to date. */
  writeText(): void {
    if (this.hardState.textBehind) this.hardState.writeText()
    if (!this.#checkpointBehind) return
    writePropertyFile(this.#disk, this.layout.checkpointPath, [
      ['committedIndex', String(Math.min(this.#committedIndex, this.#end.index))],
      ['endIndex', String(this.#end.index)],
    ])
    this.#checkpointBehind = false
  }

  /** Says that this process still has the store. @throws LedgerError when it was taken away */
  refreshLock(): void {
    this.#lock.refresh()
  }

  freeBytes(): number {
    return this.#disk.freeBytes(this.#data.directory)
  }

  /** How full the disk is: the data's, or that of the rest of the store if it is fuller. */
  usedRatio(): number {
    const others = this.#disk.usedRatio(this.layout.directory)
    return Math.max(this.#disk.usedRatio(this.#data.directory), others)
  }

  /**
   * Deletes whole data segments that end at or below `position`, and the index segments of their
   * entries; never the last segment. `position` must not be above the committed position. Returns
   * the log's new first position and index.
   */
  removeBelow(position: number): { firstPosition: number; firstIndex: number } {
    assert(position <= this.#committedPosition, 'only committed entries are deleted')
    if (this.#markedEnd.position < position) {
      this.syncIndex()
      this.#markedEnd = this.#end
    }
    // Before anything goes, and in both slots: a mark must not point into a deleted segment.
    this.#mark.replace(this.#markOf(MarkState.RUNNING, this.#markedEnd))
    if (this.#data.removeBelow(position) > 0) {
      const start = this.#data.firstPosition
      const before = this.#table.indexAt(start - 1, this.#firstIndex)
      const first = findFirst(this.#data, this.#table, this.#care.scan)
      this.#firstIndex = first?.index ?? Math.max(this.#firstIndex, before + 1)
      this.#firstPosition = start
      this.#index.removeBelow(this.#firstIndex * INDEX_UNIT_BYTES)
      this.holes.forget(Number.POSITIVE_INFINITY, start)
    }
    return { firstPosition: this.#firstPosition, firstIndex: this.#firstIndex }
  }

  /** Closes in order: the next start scans nothing. */
  closeClean(): void {
    this.#checkpointBehind = true
    this.syncIndex()
    try {
      this.writeText()
    } catch (error) {
      // Apache's texts are a courtesy; a full disk must not turn an orderly end into a crash.
      if (!isNoSpace(error)) throw error
    }
    this.#mark.replace(this.#markOf(MarkState.CLEAN, this.#end))
    this.abandon()
  }

  /** Gives the descriptors and the lock back and writes nothing more. */
  abandon(): void {
    this.#mark.close()
    this.hardState.close()
    this.#lost.close()
    this.#data.close()
    this.#index.close()
    this.#lock.release()
  }

  #endAt(position: number): LogEnd {
    const { end, firstIndex } = { end: this.#end, firstIndex: this.#firstIndex }
    if (position === end.position && end.chainCrc !== UNKNOWN_CHAIN) return end
    if (position === this.#firstPosition) {
      const chainCrc = firstIndex === 0 ? 0 : UNKNOWN_CHAIN
      return { position, index: firstIndex - 1, term: -1, chainCrc }
    }
    const found = this.#entryEndingAt(position) ?? this.holes.endingAt(position)
    if (found !== undefined) return found
    // Index units have no checksum: damaged ones are made anew by this.
    this.scrub.check(position - 1)
    const again = this.#entryEndingAt(position) ?? this.holes.endingAt(position)
    if (again !== undefined) return again
    throw new LedgerError(
      'CORRUPT',
      `${this.#data.pathOf(position - 1)}: no entry is found to end at ${position}`,
    )
  }

  #entryEndingAt(position: number): LogEnd | undefined {
    const { scan, places } = this.#care
    if (!places.byPosition(position - 1)) return undefined
    scan.forget()
    const end = scan.single(places.place.position)
    return end?.position === position && end.index === places.place.index ? end : undefined
  }

  #careParts(): CareParts {
    const { data, index, table } = { data: this.#data, index: this.#index, table: this.#table }
    const scan = new EntryScan(data, Math.min(CARE_WINDOW_BYTES, data.segmentBytes))
    const first = (): FirstEntry => ({ position: this.#firstPosition, index: this.#firstIndex })
    return {
      data,
      index,
      table,
      scan,
      // Whoever asks looks at the damage next.
      places: new EntryPlaces({ data, table, scan, first, damaged: () => {} }),
      filler: new FillerMender(data, table, scan),
      holes: this.holes,
      end: () => this.#end,
      first,
      mendSlots: () => this.#mendSlots(),
      found: (finding) => this.onFinding(finding),
    }
  }

  #mendSlots(): string[] {
    const mended: string[] = []
    if (this.hardState.mend()) mended.push(this.layout.hardStatePath)
    if (this.#lost.mend()) mended.push(this.layout.lostPath)
    if (this.#mark.damagedCopies() > 0) {
      this.#mark.replace(this.#markOf(MarkState.RUNNING, this.#markedEnd))
      mended.push(this.layout.markPath)
    }
    return mended
  }

  readonly #writePiece = (position: number, offset: number, sizeBytes: number): void => {
    assert(this.#arena !== undefined, 'pieces are of an arena')
    this.#data.append(position, this.#arena.bytes, offset, sizeBytes)
  }

  /** Pieces hold whole entries and fillers: the arena cuts only between them. */
  readonly #addUnits = (position: number, offset: number, sizeBytes: number): void => {
    assert(this.#arena !== undefined, 'pieces are of an arena')
    const view = this.#arena.view
    const walked = this.#walked
    let done = 0
    while (done < sizeBytes) {
      const at = offset + done
      const entryBytes = entrySize(view, at)
      const magic = entryMagic(view, at)
      assert(entryBytes >= BLANK_HEADER_BYTES, 'an entry in the arena has a sane size')
      if (magic !== MAGIC_BLANK) {
        assert(magic === MAGIC_NORMAL, 'the arena holds entries and fillers only')
        const index = entryIndex(view, at)
        assert(index === walked.index + 1, 'entries in the arena follow one another')
        assert(entryPosition(view, at) === position + done, 'an entry lies at its position')
        const term = entryTerm(view, at)
        assert(term >= walked.term, 'terms never fall along the log')
        this.#indexWriter.add(position + done, entryBytes, index, term)
        walked.index = index
        walked.term = term
        walked.chainCrc = entryChainCrc(view, at)
        walked.position = position + done + entryBytes
      }
      done += entryBytes
    }
    assert(done === sizeBytes, 'a piece of the arena ends with an entry')
  }

  #markOf(state: MarkState, end: LogEnd): ResumeMark {
    const held = this.holes.markHeldAt
    const isHeld = held !== undefined && held.position < end.position
    return {
      state: isHeld && state === MarkState.CLEAN ? MarkState.RUNNING : state,
      end: isHeld && state !== MarkState.TRUNCATING ? held : end,
      committedPosition: this.#committedPosition,
      committedIndex: this.#committedIndex,
      zeroedTo: this.zeroAhead.zeroedTo,
      segmentBytes: this.layout.segmentBytes,
    }
  }
}
