/**
 * Opens a store. Owns the rule what may be dropped at a start: a tail that no sync has answered
 * for. Three things prove that an entry was durable: the resume mark, an index unit of it (units
 * are written after the sync), an index unit behind it. Such an entry that is unreadable now is
 * kept as a hole in the log, to be repaired (decision 0004); where its bounds are not certain the
 * node does not start (CORRUPT). What is kept is synced before it is reported, because a killed
 * process may leave it in the page cache only; what is dropped is zeroed durably, so that it never
 * comes back.
 */
import { LedgerError } from '@ringledger/base'
import { INDEX_UNIT_BYTES } from '@ringledger/protocol'
import { type StoreConfig, type StoreLayout, storeLayout } from './config.ts'
import type { Disk, StoreLock } from './disk.ts'
import { NodeDisk } from './disk-node.ts'
import { EntryScan, SCAN_WINDOW_BYTES, type ScanResult, type ScanStart } from './entry-scan.ts'
import { FillerMender } from './filler-mender.ts'
import { HardStateFile } from './hard-state.ts'
import { findHole } from './holes.ts'
import { IndexTable, IndexWriter } from './index-table.ts'
import { resetLog } from './log-reset.ts'
import { LogStore } from './log-store.ts'
import { LostFile } from './lost-file.ts'
import { readPropertyFile, wholeNumber } from './property-file.ts'
import { type Damage, type Hole, type Recovered, refuseDamage, type TermSpan } from './recovered.ts'
import { firstSeed, type LogEnd, MarkFile, MarkState, type ResumeMark } from './resume-mark.ts'
import { SegmentFiles } from './segment-files.ts'
import { refuseLost, SlotFileState } from './slot-file.ts'
import { findSpans } from './term-spans.ts'

/** How far behind a broken entry index units are looked for: more than one group can hold. */
const PROOF_UNITS = 262_144
/** More damaged entries than this are a lost disk, not rot. */
const MAX_HOLES = 1024
const SINGLE_WINDOW_BYTES: number = 64 * 1024

/**
 * Opens the store of `config` for this process alone, making it if there is none.
 * @throws LedgerError BAD_REQUEST when another process has it, BAD_CONFIG, CORRUPT when
 * acknowledged data is unreadable, DISK_FAILED, DISK_FULL
 */
export function openStore(
  config: StoreConfig,
  disk: Disk = new NodeDisk(),
): { store: LogStore; recovered: Recovered } {
  const layout = storeLayout(config)
  disk.makeDirectory(layout.directory)
  const lock = disk.lock(layout.lockPath)
  try {
    return new Recovery(disk, layout, lock).run()
  } catch (error) {
    lock.release()
    throw error
  }
}

interface Committed {
  readonly position: number
  /** Of the last committed entry; one below the first index when there is none. */
  readonly index: number
}

const NOTHING_COMMITTED: Committed = { position: 0, index: -1 }

/** What a scan of the log, from the mark or from its start, came to. */
interface FoundLog {
  readonly firstPosition: number
  readonly firstIndex: number
  readonly scannedFrom: number
  readonly result: ScanResult
  readonly holes: readonly Hole[]
  /** End of the good log before the first hole: the mark must not move beyond. */
  readonly sound: LogEnd
}

class Recovery {
  readonly #disk: Disk
  readonly #layout: StoreLayout
  readonly #lock: StoreLock
  readonly #data: SegmentFiles
  readonly #index: SegmentFiles
  readonly #table: IndexTable
  readonly #scan: EntryScan
  readonly #hardState: HardStateFile
  readonly #markFile: MarkFile
  readonly #lost: LostFile
  readonly #report: string[] = []
  readonly #damage: Damage[] = []
  /** The mark as found: an entry it names was durable. */
  #marked: ResumeMark | undefined

  constructor(disk: Disk, layout: StoreLayout, lock: StoreLock) {
    this.#disk = disk
    this.#layout = layout
    this.#lock = lock
    const { dataDirectory, segmentBytes, directWrites } = layout
    this.#data = new SegmentFiles(disk, dataDirectory, segmentBytes, directWrites)
    this.#index = new SegmentFiles(disk, layout.indexDirectory, layout.indexSegmentBytes)
    this.#table = new IndexTable(this.#index)
    this.#scan = new EntryScan(this.#data, Math.min(SCAN_WINDOW_BYTES, layout.segmentBytes))
    this.#hardState = new HardStateFile(disk, layout)
    this.#markFile = new MarkFile(disk, layout)
    this.#lost = new LostFile(disk, layout)
  }

  run(): { store: LogStore; recovered: Recovered } {
    const { state, mark: noted } = this.#markFile.read()
    const ours = state !== SlotFileState.ABSENT
    if (ours && !this.#disk.exists(this.#layout.hardStatePath)) {
      throw refuseLost(this.#layout.hardStatePath, 'term and vote')
    }
    this.#report.push(...this.#hardState.open())
    this.#lost.open()
    this.#checkSegmentBytes(noted)
    this.#report.push(...this.#data.load(noted !== undefined), ...this.#index.load(true))
    const mark = this.#finishReset(noted)
    this.#marked = mark
    if (state === SlotFileState.LOST) {
      this.#report.push(`${this.#layout.markPath} is unreadable: checking the whole log`)
    }
    if (mark?.state === MarkState.TRUNCATING) this.#finishCut(mark)
    const found = this.#findLog(mark)
    const end = found.result.end
    const clean = mark?.state === MarkState.CLEAN && found.result.entries === 0
    const untouched = clean && found.result.stop === 'unused' && end.position === mark.end.position
    if (!untouched) this.#settleTail(found, state)
    const spans = this.#spans(found)
    const committed = this.#committed(mark, found)
    // From here on nothing may claim an orderly end. Either the mark was there or settling the tail
    // made it.
    this.#markFile.replace(this.#markOf(MarkState.RUNNING, found.sound, committed))
    const store = new LogStore({
      disk: this.#disk,
      layout: this.#layout,
      lock: this.#lock,
      data: this.#data,
      index: this.#index,
      hardState: this.#hardState,
      mark: this.#markFile,
      lost: this.#lost,
      firstPosition: found.firstPosition,
      firstIndex: found.firstIndex,
      end,
      holes: found.holes,
      sound: found.sound,
      zeroedTo: untouched ? mark.zeroedTo : end.position,
      committedPosition: committed.position,
      committedIndex: committed.index,
    })
    return { store, recovered: this.#recovered(found, spans, committed, untouched) }
  }

  #recovered(
    found: FoundLog,
    spans: TermSpan[],
    committed: Committed,
    cleanShutdown: boolean,
  ): Recovered {
    const end = found.result.end
    return {
      tail: {
        firstPosition: found.firstPosition,
        firstIndex: found.firstIndex,
        endPosition: end.position,
        lastIndex: end.index,
        lastTerm: end.term,
        spans,
      },
      lastChainCrc: end.chainCrc,
      hardState: this.#hardState.current,
      committedPosition: committed.position,
      committedIndex: committed.index,
      cleanShutdown,
      report: this.#report,
      damage: this.#damage,
      holes: found.holes,
      ...(this.#lost.lost === undefined ? {} : { lost: this.#lost.lost }),
    }
  }

  #checkSegmentBytes(mark: ResumeMark | undefined): void {
    const configured = this.#layout.segmentBytes
    if (mark === undefined || mark.segmentBytes === configured) return
    throw new LedgerError(
      'BAD_CONFIG',
      `mappedFileSizeCommitLog is ${configured}, but the store in ${this.#layout.directory} was ` +
        `made with ${mark.segmentBytes}; it must stay as it is, and be equal on all nodes`,
    )
  }

  /** A crash interrupted the beginning of a new log: whatever is there is void. */
  #finishReset(mark: ResumeMark | undefined): ResumeMark | undefined {
    const start = this.#lost.resetTo
    if (start === undefined) return mark
    const end = resetLog(this.#data, this.#index, start)
    const committed = { position: start.position, index: start.index - 1 }
    const fresh = this.#markOf(MarkState.RUNNING, end, committed)
    if (mark === undefined) this.#markFile.create(fresh)
    else this.#markFile.replace(fresh)
    this.#lost.filling()
    this.#report.push(`finished to begin the log anew at ${start.position}`)
    return fresh
  }

  /** A crash interrupted a cut that nobody was told about yet: what lies behind is void. */
  #finishCut(mark: ResumeMark): void {
    // The note itself may be in the page cache only, and an older mark would miss what is cut now.
    this.#markFile.replace(mark)
    const { end } = mark
    this.#data.cut(end.position)
    this.#index.cut((end.index + 1) * INDEX_UNIT_BYTES)
    this.#report.push(`finished an interrupted cut of the log at ${end.position}`)
  }

  #findLog(mark: ResumeMark | undefined): FoundLog {
    if (this.#data.fileCount === 0) {
      if (mark !== undefined && mark.end.index >= 0) {
        throw this.#corrupt(mark.end.position, mark.end.index, 'all data segments are missing')
      }
      this.#data.ensure(this.#layout.beginsAt)
    }
    if (mark !== undefined) {
      const resumed = this.#resume(mark.end)
      if (resumed !== undefined) return resumed
      this.#report.push(`the log does not fit its mark at ${mark.end.position}: checking all of it`)
    }
    const found = this.#scanAll()
    const end = found.result.end
    if (mark !== undefined && end.position < mark.end.position) {
      throw this.#corrupt(found.result.stopPosition, end.index + 1, found.result.stop)
    }
    return found
  }

  /**
   * Scans behind the mark; undefined when the mark does not fit the files and everything must be
   * looked at.
   */
  #resume(marked: LogEnd): FoundLog | undefined {
    const first = this.#firstEntry()
    const firstIndex = first?.index ?? marked.index + 1
    const firstPosition = first?.position ?? this.#data.firstPosition
    if (!this.#indexReaches(firstIndex)) return undefined
    const from = this.#resumeFrom(marked, firstPosition)
    if (from === undefined || (marked.term >= 0 && first === undefined)) return undefined
    const scanned = this.#scanWithHoles(from)
    return { firstPosition, firstIndex, scannedFrom: from.position, ...scanned }
  }

  /** Behind the marked entry; before it when it, or its unit, is damaged. */
  #resumeFrom(marked: LogEnd, firstPosition: number): ScanStart | undefined {
    if (marked.term < 0) {
      if (marked.position !== firstPosition) return undefined
      // The entry before the first one kept is gone, and its checksum with it.
      const chainCrc = firstSeed(marked.index + 1)
      return { ...marked, index: marked.index + 1, chainCrc }
    }
    if (this.#isEntryAtMark(marked)) return { ...marked, index: marked.index + 1 }
    if (!this.#table.read(marked.index - 1)) return undefined
    const { position, sizeBytes, term } = this.#table.unit
    const before = this.#scan.single(position)
    const precedes =
      before?.index === marked.index - 1 &&
      before.term === term &&
      before.position === position + sizeBytes
    return precedes ? startBehind(before) : undefined
  }

  /**
   * The first entry, or where its index unit says that it stands. Its header has no entry before it
   * to vouch for the index, so the unit must agree.
   */
  #firstEntry(): { position: number; index: number } | undefined {
    const start = this.#data.firstPosition
    const found = this.#scan.firstEntry(start)
    if (start === 0 && this.#table.read(0)) return { position: 0, index: 0 }
    if (start === 0) return found === undefined ? undefined : { position: 0, index: 0 }
    const isAgreed = found !== undefined && this.#table.read(found.index)
    if (isAgreed && this.#table.unit.position === found.position) return found
    const index = this.#table.indexAt(start, 0)
    if (index < 0 || this.#table.unit.position !== start) return found
    return { position: start, index }
  }

  #isEntryAtMark(marked: LogEnd): boolean {
    if (!this.#table.read(marked.index)) return false
    const entry = this.#scan.single(this.#table.unit.position)
    return (
      entry !== undefined &&
      entry.position === marked.position &&
      entry.index === marked.index &&
      entry.term === marked.term &&
      entry.chainCrc === marked.chainCrc
    )
  }

  #scanAll(): FoundLog {
    const first = this.#firstEntry()
    const firstPosition = first?.position ?? this.#data.firstPosition
    // A broken first entry of a log that lost its beginning to retention: its index unit still
    // knows its index.
    const firstIndex = first?.index ?? Math.max(0, this.#table.indexAt(firstPosition, 0))
    if (!this.#indexReaches(firstIndex)) this.#index.removeAll()
    const scanned = this.#scanWithHoles({
      position: firstPosition,
      index: firstIndex,
      term: -1,
      chainCrc: firstSeed(firstIndex),
    })
    return { firstPosition, firstIndex, scannedFrom: firstPosition, ...scanned }
  }

  /** Scans past entries that were durable and are damaged, as long as their place is certain. */
  #scanWithHoles(from: ScanStart): Pick<FoundLog, 'result' | 'holes' | 'sound'> {
    const proven = this.#marked === undefined ? [] : [this.#marked.end]
    const search = { table: this.#table, segmentBytes: this.#data.segmentBytes, proven }
    const holes: Hole[] = []
    let result = this.#scanAndIndex(from)
    let sound = result.end
    let entries = result.entries
    while (this.#isDurable(result)) {
      if (new FillerMender(this.#data, this.#table, this.#scan).mend(result.end)) {
        this.#scan.forget()
        this.#report.push(`a damaged filler behind ${result.end.position} is made anew`)
        result = this.#scanAndIndex(startBehind(result.end))
      } else {
        const { end, stop, stopPosition } = result
        const hole = findHole(search, end, stop)
        if (hole === undefined || holes.length === MAX_HOLES) {
          throw this.#corrupt(stopPosition, end.index + 1, stop)
        }
        holes.push(hole)
        result = this.#scanBehind(hole)
      }
      entries += result.entries
      if (holes.length === 0) sound = result.end
    }
    return { result: { ...result, entries }, holes, sound }
  }

  /** Was the entry that ended the scan durable once? */
  #isDurable({ end }: ScanResult): boolean {
    const mark = this.#marked
    if (mark === undefined && !this.#disk.exists(this.#layout.markPath)) return false
    if (mark !== undefined && end.position < mark.end.position) return true
    return this.#table.namesAnyFrom(end.index + 1, end.position, PROOF_UNITS)
  }

  #scanBehind(hole: Hole): ScanResult {
    const writer = new IndexWriter(this.#index)
    writer.add(hole.position, hole.endPosition - hole.position, hole.index, hole.term)
    writer.flush()
    const { endPosition, index, term } = hole
    const known = this.#marked?.end.index === index ? this.#marked.end.chainCrc : undefined
    return this.#scanAndIndex({ position: endPosition, index: index + 1, term, chainCrc: known })
  }

  /**
   * Whether the index files, if there are any, begin at or below `firstIndex` and end behind it.
   */
  #indexReaches(firstIndex: number): boolean {
    const position = firstIndex * INDEX_UNIT_BYTES
    if (this.#index.fileCount === 0) return true
    return position >= this.#index.firstPosition && position <= this.#index.endPosition
  }

  /**
   * Scans, and writes the index units of what it meets, whatever stood there. First comes a sync: a
   * killed process may have left entries in the page cache only, and an index unit must never
   * outlive its entry. Entries without a unit may be what a failed sync left in the page cache: no
   * later sync would write them, so they are written anew.
   */
  #scanAndIndex(start: ScanStart): ScanResult {
    this.#data.syncFrom(start.position)
    const writer = new IndexWriter(this.#index)
    /** Behind the last entry that a unit proves. */
    let proven = start
    let complete = true
    const result = this.#scan.run(start, (position, sizeBytes, index, term, chainCrc) => {
      complete = complete && this.#hasUnit(position, sizeBytes, index, term)
      if (!complete) return
      writer.add(position, sizeBytes, index, term)
      proven = { position: position + sizeBytes, index: index + 1, term, chainCrc }
    })
    writer.flush()
    if (complete) return result
    this.#data.writeAnew(proven.position, result.end.position)
    this.#scan.run(proven, (position, sizeBytes, index, term) => {
      writer.add(position, sizeBytes, index, term)
    })
    writer.flush()
    return result
  }

  #hasUnit(position: number, sizeBytes: number, index: number, term: number): boolean {
    const { unit } = this.#table
    if (!this.#table.read(index)) return false
    return unit.position === position && unit.sizeBytes === sizeBytes && unit.term === term
  }

  /** Judges what stands behind the end, cuts it off, and makes durable what is kept. */
  #settleTail(found: FoundLog, state: SlotFileState): void {
    const { end, entries, stop, stopPosition } = found.result
    const next = end.index + 1
    if (stop !== 'unused') {
      this.#damage.push({ position: stopPosition, index: next, reason: stop })
      this.#report.push(
        `cut the log at ${end.position}: entry ${next}, never acknowledged, is not whole (${stop})`,
      )
    }
    if (entries > 0) {
      this.#report.push(
        `checked ${entries} entries from position ${found.scannedFrom} to ${end.position}`,
      )
    }
    // Without a mark a second crash would meet a half-cut file and could not tell it from a foreign
    // one.
    if (state !== SlotFileState.VALID) {
      this.#index.sync()
      this.#markFile.create(this.#markOf(MarkState.TRUNCATING, end, NOTHING_COMMITTED))
    }
    this.#index.cut(next * INDEX_UNIT_BYTES)
    this.#index.sync()
    this.#data.cut(end.position)
  }

  /**
   * The runs of equal terms, by binary search over the index units; rebuilds the index if a unit
   * does not answer.
   */
  #spans(found: FoundLog): TermSpan[] {
    const { firstIndex, firstPosition, result } = found
    const spans = this.#trySpans(firstIndex, firstPosition, result.end)
    if (spans !== undefined) return spans
    this.#report.push('the index files do not fit the log: rebuilding them')
    const again = this.#scanAll()
    if (again.result.end.position < result.end.position) {
      throw this.#corrupt(again.result.stopPosition, again.result.end.index + 1, again.result.stop)
    }
    this.#index.sync()
    const rebuilt = this.#trySpans(again.firstIndex, again.firstPosition, again.result.end)
    if (rebuilt === undefined) {
      throw this.#corrupt(firstPosition, firstIndex, 'the index just built is unreadable')
    }
    return rebuilt
  }

  #trySpans(firstIndex: number, firstPosition: number, end: LogEnd): TermSpan[] | undefined {
    return findSpans({
      data: this.#data,
      index: this.#index,
      table: this.#table,
      scan: new EntryScan(this.#data, SINGLE_WINDOW_BYTES),
      firstIndex,
      firstPosition,
      end,
      report: this.#report,
    })
  }

  /**
   * What was committed for certain: our mark's word, else Apache's checkpoint; cut down to what is
   * there.
   */
  #committed(mark: ResumeMark | undefined, found: FoundLog): Committed {
    const { end } = found.result
    if (mark !== undefined && mark.committedPosition >= found.firstPosition) {
      if (mark.committedPosition > end.position) return { position: end.position, index: end.index }
      return { position: mark.committedPosition, index: mark.committedIndex }
    }
    const values = readPropertyFile(this.#disk, this.#layout.checkpointPath)
    const index = Math.min(wholeNumber(values?.get('committedIndex')) ?? -1, end.index)
    if (index >= found.firstIndex && this.#table.read(index)) {
      return { position: this.#table.unit.position + this.#table.unit.sizeBytes, index }
    }
    return { position: found.firstPosition, index: found.firstIndex - 1 }
  }

  #markOf(state: MarkState, end: LogEnd, committed: Committed): ResumeMark {
    return {
      state,
      end,
      committedPosition: committed.position,
      committedIndex: committed.index,
      zeroedTo: end.position,
      segmentBytes: this.#layout.segmentBytes,
    }
  }

  #corrupt(position: number, index: number, reason: string): LedgerError {
    return refuseDamage(this.#data.pathOf(position), this.#layout, { position, index, reason })
  }
}

function startBehind({ position, index, term, chainCrc }: LogEnd): ScanStart {
  return { position, index: index + 1, term, chainCrc: chainCrc < 0 ? undefined : chainCrc }
}
