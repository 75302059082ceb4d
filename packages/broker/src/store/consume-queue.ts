/**
 * One consume queue in Apache's format (rocketmq-store.md §2.1): unit k is the message with queue
 * offset k. Owns the invariants: units [first, max) exist without a hole, in files and, from the
 * buffer's first unit on, in memory; every unit below the buffer's `written` mark is in a file.
 * Appending what is there already changes nothing.
 */
import { rmSync } from 'node:fs'
import { assert, LedgerError } from '@ringledger/base'
import { onDisk, onSync, readFully, syncDirectory, writeFully } from '@ringledger/base/internal'
import {
  type ConsumeQueueUnit,
  CQ_FILLER_SIZE,
  CQ_UNIT_BYTES,
  cqPhysicalOffset,
  cqSizeBytes,
  cqTagsCode,
  writeConsumeQueueUnit,
} from '@ringledger/protocol'
import type { OpenFile } from './open-files.ts'
import { findOffsetByTime, findOldestReadable, type TimeBoundary } from './queue-search.ts'
import type { QueueStorage, Scratch } from './queue-storage.ts'
import { LARGEST_BUFFER_UNITS, SMALLEST_BUFFER_UNITS, UnitBuffer } from './unit-buffer.ts'

/** False stops before this unit: it counts as not read. */
export type UnitVisitor = (
  queueOffset: number,
  physicalOffset: number,
  sizeBytes: number,
  tagsCode: number,
) => boolean

/** A gap of more units than this many files is not filled: the queue starts anew behind it. */
const MAX_GAP_FILES = 2

export class ConsumeQueue {
  readonly topic: string
  readonly queueId: number
  /**
   * Held pulls on this queue, counted by their holder; only when above 0 does dispatch report
   * messages of it.
   */
  waiters = 0
  readonly #storage: QueueStorage
  readonly #files: OpenFile[] = []
  #buffer: UnitBuffer | undefined
  #first = 0
  #max = 0
  #min = 0
  #minFor = -1
  #deleted = false
  #listedUnwritten = false
  #unsyncedFrom = -1
  #madeFiles = false

  constructor(storage: QueueStorage, topic: string, queueId: number) {
    this.#storage = storage
    this.topic = topic
    this.queueId = queueId
  }

  /** True once the topic was deleted: look the queue up again. */
  get deleted(): boolean {
    return this.#deleted
  }

  /** Offset that the next message gets. */
  get maxOffset(): number {
    return this.#max
  }

  /**
   * First unit that is stored, readable or not (a filler, or of a message that retention removed).
   */
  get firstStoredOffset(): number {
    return this.#first
  }

  /** Offset of the first unit whose message the log still has; maxOffset when there is none. */
  get minOffset(): number {
    const logMinPosition = this.#storage.logMinPosition
    if (this.#minFor !== logMinPosition) {
      this.#min = findOldestReadable(this, logMinPosition)
      this.#minFor = logMinPosition
    }
    return this.#min
  }

  /**
   * Offsets below `nextOffset` were given to messages below `logPosition` that the log has no more,
   * nor this queue. Its own newer ones stay.
   */
  raise(nextOffset: number, logPosition: number): void {
    if (nextOffset <= this.#max) return
    const last = nextOffset - 1
    if (last > this.#max) this.#fillTo(last)
    // With a place in the log, unlike other fillers, so that recovery keeps it.
    this.append(last, logPosition, CQ_FILLER_SIZE, 0)
    this.#minFor = -1
  }

  /**
   * Deletes the oldest file if the log has none of its messages any more; never the last one, and
   * not while units of it wait to be written. False: nothing was deleted.
   */
  removeOldestFile(): boolean {
    const storage = this.#storage
    const fileStart = storage.fileStartOf(this.#first)
    const next = (fileStart + storage.fileBytes) / CQ_UNIT_BYTES
    if (next >= this.#max || this.minOffset < next) return false
    if (this.#bufferFirst() < next) {
      // What is in memory only would be written where the file was.
      if (this.#bufferWrittenEnd() < this.#max) return false
      this.#dropBuffer()
    }
    const open = this.#files.find((file) => file.fileStart === fileStart)
    if (open !== undefined) storage.files.close(open)
    onDisk(`removal of the oldest file of queue ${this.#name()}`, () => {
      rmSync(storage.filePath(this.topic, this.queueId, fileStart), { force: true })
      syncDirectory(storage.queueDirectory(this.topic, this.queueId))
    })
    this.#first = next
    return true
  }

  /** Recovery: the files hold the units [first, max). */
  restore(first: number, max: number): void {
    this.#first = first
    this.#setMax(max)
  }

  /**
   * Adds the unit of one message. Throws LedgerError `CORRUPT` for an impossible offset and
   * `DISK_FULL` or `DISK_FAILED` when buffered units cannot be written.
   */
  append(queueOffset: number, physicalOffset: number, sizeBytes: number, tagsCode: number): void {
    if (
      queueOffset !== this.#max &&
      this.#placed(queueOffset, physicalOffset, sizeBytes, tagsCode)
    ) {
      return
    }
    let buffer = this.#buffer
    if (buffer === undefined || buffer.units === buffer.capacity) buffer = this.#makeRoom()
    writeConsumeQueueUnit(
      buffer.view,
      buffer.units * CQ_UNIT_BYTES,
      physicalOffset,
      sizeBytes,
      tagsCode,
    )
    buffer.units++
    if (this.#max++ === this.#first) this.#storage.queueTotal++
    this.#storage.unitTotal++
    if (!this.#listedUnwritten) this.#listUnwritten()
  }

  /**
   * Visits units from `fromOffset` on, at most `maxUnits` (fillers count but are not shown), until
   * `visit` returns false. Returns the offset to go on at: behind the last unit seen, or the one
   * that `visit` refused.
   */
  read(fromOffset: number, maxUnits: number, visit: UnitVisitor): number {
    let at = Math.max(fromOffset, this.#first)
    const end = Math.min(this.#max, at + maxUnits)
    const scratch = this.#storage.takeScratch()
    try {
      while (at < end) {
        const buffer = this.#buffer
        const bufferFirst = this.#bufferFirst()
        const inBuffer = at >= bufferFirst
        const count = inBuffer ? end - at : this.#load(at, Math.min(end, bufferFirst), scratch)
        const view = inBuffer ? buffer!.view : scratch.view
        const viewAt = inBuffer ? (at - bufferFirst) * CQ_UNIT_BYTES : 0
        const seen = visitUnits(view, viewAt, at, count, visit)
        at += seen
        if (seen < count) break
      }
    } finally {
      this.#storage.returnScratch()
    }
    return at
  }

  /** False when there is no unit (below the first file, from maxOffset on, or a filler). */
  unitAt(queueOffset: number, out: ConsumeQueueUnit): boolean {
    if (queueOffset < this.#first || queueOffset >= this.#max) return false
    const bufferFirst = this.#bufferFirst()
    if (queueOffset >= bufferFirst) {
      readUnit(this.#buffer!.view, (queueOffset - bufferFirst) * CQ_UNIT_BYTES, out)
      return out.sizeBytes !== CQ_FILLER_SIZE
    }
    const scratch = this.#storage.takeScratch()
    try {
      this.#load(queueOffset, queueOffset + 1, scratch)
      readUnit(scratch.view, 0, out)
    } finally {
      this.#storage.returnScratch()
    }
    return out.sizeBytes !== CQ_FILLER_SIZE
  }

  /** Repair: the unit of a stored offset is written anew, in memory and in its file. */
  rewriteUnit(
    queueOffset: number,
    physicalOffset: number,
    sizeBytes: number,
    tagsCode: number,
  ): void {
    assert(queueOffset >= this.#first && queueOffset < this.#max, 'only what is there is repaired')
    this.#overwrite(queueOffset, physicalOffset, sizeBytes, tagsCode)
    this.#minFor = -1
  }

  /**
   * lower: the smallest offset whose message was stored at `timestampMs` or later; upper: the
   * largest stored not later. Behind the newest message: maxOffset (rocketmq-remoting.md §5.5).
   * `storeTimestampOf` gives -1 for a message it cannot read.
   */
  offsetByTime(
    timestampMs: number,
    boundary: TimeBoundary,
    storeTimestampOf: (physicalOffset: number, sizeBytes: number) => number,
  ): number {
    return findOffsetByTime(this, timestampMs, boundary, storeTimestampOf)
  }

  /** Hands buffered units to the kernel; frees the buffer of a quiet queue. */
  writeOut(): void {
    const buffer = this.#buffer
    this.#listedUnwritten = false
    if (buffer === undefined) return
    this.#write(buffer)
    if (buffer.units * 4 < buffer.capacity) this.#dropBuffer()
  }

  /**
   * Syncs one file; true while more of this queue is unsynced. Unwritten units are not its
   * business.
   */
  syncOne(): boolean {
    const storage = this.#storage
    const fileStart = this.#unsyncedFrom
    if (fileStart < 0 || this.#deleted) return false
    const file = this.#file(fileStart, false)
    if (file !== undefined) {
      onSync(`sync of queue ${this.#name()}`, () => storage.files.sync(file))
    }
    if (this.#madeFiles) {
      this.#madeFiles = false
      for (const path of storage.directoriesOf(this.topic, this.queueId)) syncDirectory(path)
    }
    const next = fileStart + storage.fileBytes
    const more = next <= storage.fileStartOf(this.#bufferWrittenEnd() - 1)
    this.#unsyncedFrom = more ? next : -1
    return more
  }

  /** The topic is deleted: forgets everything. The caller removes the files. */
  drop(): void {
    this.#forget()
    this.#deleted = true
  }

  #placed(
    queueOffset: number,
    physicalOffset: number,
    sizeBytes: number,
    tagsCode: number,
  ): boolean {
    if (!Number.isSafeInteger(queueOffset) || queueOffset < 0) {
      throw new LedgerError('CORRUPT', `queue ${this.#name()}: ${queueOffset} is no queue offset`)
    }
    if (queueOffset > this.#max) {
      this.#fillTo(queueOffset)
      return false
    }
    const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
    const known = this.unitAt(queueOffset, unit)
    if (queueOffset < this.#first || (known && queueOffset === 0 && differs())) {
      this.#startAnew(queueOffset, 'its offsets start again in the log')
      return false
    }
    if (known && differs()) {
      const places = `${unit.physicalOffset} and ${physicalOffset}`
      this.#storage.log(`queue ${this.#name()}: offset ${queueOffset} given twice, at ${places}`)
    }
    this.#overwrite(queueOffset, physicalOffset, sizeBytes, tagsCode)
    return true

    function differs(): boolean {
      return unit.physicalOffset !== physicalOffset
    }
  }

  /**
   * Fillers up to `queueOffset`, as Apache does when the log's beginning or a queue's files were
   * lost.
   */
  #fillTo(queueOffset: number): void {
    const storage = this.#storage
    const isEmpty = this.#max === this.#first
    if (isEmpty || queueOffset - this.#max > MAX_GAP_FILES * storage.unitsPerFile) {
      this.#startAnew(queueOffset, `begins at offset ${queueOffset}`)
      return
    }
    storage.log(`queue ${this.#name()}: offsets ${this.#max} to ${queueOffset - 1} are missing`)
    this.#fillers(queueOffset)
  }

  #startAnew(queueOffset: number, why: string): void {
    const storage = this.#storage
    storage.log(`queue ${this.#name()}: ${why}`)
    const hadUnits = this.#max > this.#first
    this.#forget()
    if (hadUnits) {
      const directory = storage.queueDirectory(this.topic, this.queueId)
      onDisk(`removal of queue ${this.#name()}`, () =>
        rmSync(directory, { recursive: true, force: true }),
      )
    }
    this.#first = storage.fileStartOf(queueOffset) / CQ_UNIT_BYTES
    this.#setMax(this.#first)
    this.#fillers(queueOffset)
  }

  #fillers(toOffset: number): void {
    while (this.#max < toOffset) this.append(this.#max, 0, CQ_FILLER_SIZE, 0)
    this.#minFor = -1
  }

  #forget(): void {
    this.#dropBuffer()
    for (const file of [...this.#files]) this.#storage.files.close(file)
    if (this.#max > this.#first) this.#storage.queueTotal--
    this.#first = 0
    this.#setMax(0)
    this.#unsyncedFrom = -1
    this.#minFor = -1
  }

  /** Keeps the totals; counts a queue that has units from now on. */
  #setMax(max: number): void {
    const storage = this.#storage
    if (max > this.#first && this.#max === 0) storage.queueTotal++
    storage.unitTotal += max - this.#max
    this.#max = max
    this.#minFor = -1
  }

  #overwrite(
    queueOffset: number,
    physicalOffset: number,
    sizeBytes: number,
    tagsCode: number,
  ): void {
    const buffer = this.#buffer
    const at = queueOffset - this.#bufferFirst()
    if (buffer !== undefined && at >= 0) {
      writeConsumeQueueUnit(buffer.view, at * CQ_UNIT_BYTES, physicalOffset, sizeBytes, tagsCode)
      buffer.written = Math.min(buffer.written, at)
      if (!this.#listedUnwritten) this.#listUnwritten()
      return
    }
    const storage = this.#storage
    const scratch = storage.takeScratch()
    writeConsumeQueueUnit(scratch.view, 0, physicalOffset, sizeBytes, tagsCode)
    storage.returnScratch()
    this.#writePiece(scratch.bytes, 0, queueOffset, 1)
  }

  #makeRoom(): UnitBuffer {
    const storage = this.#storage
    const buffer = this.#buffer
    if (buffer === undefined) {
      storage.bufferBytes += SMALLEST_BUFFER_UNITS * CQ_UNIT_BYTES
      return (this.#buffer = new UnitBuffer(SMALLEST_BUFFER_UNITS, this.#max))
    }
    const growth = buffer.capacity * 3
    const mayGrow = storage.bufferBytes + growth * CQ_UNIT_BYTES <= storage.bufferLimitBytes
    if (buffer.capacity < LARGEST_BUFFER_UNITS && mayGrow) {
      storage.bufferBytes += growth * CQ_UNIT_BYTES
      return (this.#buffer = buffer.grown(buffer.capacity + growth))
    }
    this.#write(buffer)
    buffer.first = this.#max
    buffer.units = 0
    buffer.written = 0
    return buffer
  }

  #write(buffer: UnitBuffer): void {
    while (buffer.written < buffer.units) {
      const queueOffset = buffer.first + buffer.written
      const leftInFile = this.#storage.unitsPerFile - (queueOffset % this.#storage.unitsPerFile)
      const count = Math.min(buffer.units - buffer.written, leftInFile)
      this.#writePiece(buffer.bytes, buffer.written * CQ_UNIT_BYTES, queueOffset, count)
      buffer.written += count
    }
  }

  #writePiece(bytes: Buffer, offset: number, queueOffset: number, units: number): void {
    const storage = this.#storage
    const fileStart = storage.fileStartOf(queueOffset)
    const file = this.#file(fileStart, true)!
    const position = queueOffset * CQ_UNIT_BYTES - fileStart
    const sizeBytes = units * CQ_UNIT_BYTES
    writeFully(file.descriptor, bytes, offset, sizeBytes, position, 'consume queue')
    onSync(`sync of queue ${this.#name()}`, () => storage.files.wrote(file, sizeBytes))
    if (file.created) {
      file.created = false
      this.#madeFiles = true
    }
    if (this.#unsyncedFrom < 0) storage.unsynced.push(this)
    if (this.#unsyncedFrom < 0 || fileStart < this.#unsyncedFrom) this.#unsyncedFrom = fileStart
  }

  /**
   * Reads units from `at` on into scratch memory, not beyond `end` or the file's end; returns how
   * many.
   */
  #load(at: number, end: number, scratch: Scratch): number {
    const storage = this.#storage
    const fileStart = storage.fileStartOf(at)
    const leftInFile = storage.unitsPerFile - (at % storage.unitsPerFile)
    const roomUnits = scratch.bytes.length / CQ_UNIT_BYTES
    const count = Math.min(end - at, leftInFile, roomUnits)
    const file = this.#file(fileStart, false)
    const position = at * CQ_UNIT_BYTES - fileStart
    const sizeBytes = count * CQ_UNIT_BYTES
    if (
      file === undefined ||
      readFully(file.descriptor, scratch.bytes, 0, sizeBytes, position, 'consume queue') < sizeBytes
    ) {
      throw new LedgerError('CORRUPT', `queue ${this.#name()}: the file of offset ${at} is gone`)
    }
    return count
  }

  #file(fileStart: number, create: boolean): OpenFile | undefined {
    const storage = this.#storage
    return storage.files.use(
      this.#files,
      fileStart,
      () => storage.filePath(this.topic, this.queueId, fileStart),
      storage.fileBytes,
      create,
    )
  }

  #listUnwritten(): void {
    this.#listedUnwritten = true
    this.#storage.unwritten.push(this)
  }

  #dropBuffer(): void {
    if (this.#buffer === undefined) return
    this.#storage.bufferBytes -= this.#buffer.capacity * CQ_UNIT_BYTES
    this.#buffer = undefined
  }

  #bufferFirst(): number {
    const buffer = this.#buffer
    return buffer === undefined || buffer.units === 0 ? this.#max : buffer.first
  }

  #bufferWrittenEnd(): number {
    const buffer = this.#buffer
    return buffer === undefined ? this.#max : buffer.first + buffer.written
  }

  #name(): string {
    return `${this.topic}/${this.queueId}`
  }
}

function visitUnits(
  view: DataView,
  viewAt: number,
  queueOffset: number,
  count: number,
  visit: UnitVisitor,
): number {
  for (let unit = 0, at = viewAt; unit < count; unit++, at += CQ_UNIT_BYTES) {
    const sizeBytes = cqSizeBytes(view, at)
    if (sizeBytes === CQ_FILLER_SIZE) continue
    if (!visit(queueOffset + unit, cqPhysicalOffset(view, at), sizeBytes, cqTagsCode(view, at))) {
      return unit
    }
  }
  return count
}

function readUnit(view: DataView, at: number, out: ConsumeQueueUnit): void {
  out.physicalOffset = cqPhysicalOffset(view, at)
  out.sizeBytes = cqSizeBytes(view, at)
  out.tagsCode = cqTagsCode(view, at)
}
