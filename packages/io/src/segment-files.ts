/**
 * A byte stream cut into files of one length, named by the position of their first byte. Owns the
 * invariants: the files are adjacent, each has its full length from its creation on (sparse, as
 * Apache expects), and bytes behind a `cut` read as zeros for ever. Knows nothing of what the bytes
 * mean.
 */
import { join } from 'node:path'
import { assert, LedgerError } from '@ringledger/base'
import { fileNameOfOffset, offsetOfFileName } from '@ringledger/protocol'
import { DirectSegments, ZEROS } from './direct-segments.ts'
import { type Disk, type DiskFile, OpenMode } from './disk.ts'

/** Descriptors kept open for files that are not waiting for a sync. */
const MAX_OPEN_FILES = 6
const COPY_BYTES: number = 1024 ** 2

export class SegmentFiles {
  readonly segmentBytes: number
  readonly #disk: Disk
  readonly #directory: string
  /** First positions of the files, rising by `segmentBytes`. */
  #bases: number[] = []
  readonly #open: Map<number, DiskFile> = new Map()
  /** Bases of files with written bytes that are not synced; rising. */
  #unsynced: number[] = []
  readonly #direct: DirectSegments | undefined

  /** `directWrites`: {@link append} goes past the page cache where it can. */
  constructor(disk: Disk, directory: string, segmentBytes: number, directWrites = false) {
    this.#disk = disk
    this.#directory = directory
    this.segmentBytes = segmentBytes
    if (!directWrites) return
    const readLog = (position: number, target: Uint8Array, sizeBytes: number): void => {
      const count = this.readAt(position, target, 0, sizeBytes)
      assert(count === sizeBytes, 'what the log ends with can be read')
    }
    this.#direct = new DirectSegments(disk, segmentBytes, (base) => this.#path(base), readLog)
  }

  get directory(): string {
    return this.#directory
  }

  get fileCount(): number {
    return this.#bases.length
  }

  /** Position of the first byte of the first file; 0 while there is none. */
  get firstPosition(): number {
    return this.#bases[0] ?? 0
  }

  /** Position behind the last byte of the last file. */
  get endPosition(): number {
    const last = this.#bases.at(-1)
    return last === undefined ? 0 : last + this.segmentBytes
  }

  /**
   * Takes up what is in the directory; returns lines for the report. A last file that is too short,
   * from a crash while it was made or cut, gets its length back: any, where the store is known to
   * have this segment length, else only an empty one.
   * @throws LedgerError CORRUPT for foreign files, gaps and wrong lengths: nothing was changed
   */
  load(lengthIsKnown: boolean): string[] {
    this.#disk.makeDirectory(this.#directory)
    // What a killed process removed or made is decided from here on.
    this.#disk.syncDirectory(this.#directory)
    for (const name of this.#disk.list(this.#directory)) {
      const base = offsetOfFileName(name)
      if (base === undefined || base % this.segmentBytes !== 0) {
        throw this.#refuse(`${name} is no segment of ${this.segmentBytes} bytes`)
      }
      const last = this.#bases.at(-1)
      if (last !== undefined && base !== last + this.segmentBytes) {
        throw this.#refuse(`between ${fileNameOfOffset(last)} and ${name} files are missing`)
      }
      this.#bases.push(base)
    }
    return this.#checkLengths(lengthIsKnown)
  }

  /** Reads up to `sizeBytes`, across files; stops early behind the last file. */
  readAt(position: number, target: Uint8Array, offset: number, sizeBytes: number): number {
    let done = 0
    while (done < sizeBytes) {
      const at = position + done
      if (at < this.firstPosition || at >= this.endPosition) break
      const base = at - (at % this.segmentBytes)
      const part = Math.min(sizeBytes - done, base + this.segmentBytes - at)
      const count = this.#file(base).readAt(target, offset + done, part, at - base)
      done += count
      if (count < part) break
    }
    return done
  }

  /** Writes across files, making those that are missing at the end. Durable at the next `sync`. */
  writeAt(position: number, bytes: Uint8Array, offset: number, sizeBytes: number): void {
    this.#direct?.forget()
    let done = 0
    while (done < sizeBytes) {
      const at = position + done
      const base = at - (at % this.segmentBytes)
      const part = Math.min(sizeBytes - done, base + this.segmentBytes - at)
      this.ensure(base)
      this.#markUnsynced(base)
      this.#file(base).writeAt(bytes, offset + done, part, at - base)
      done += part
    }
  }

  /**
   * As {@link writeAt} for what comes next in a log, from memory in which it lies on pages as it
   * does in the log. Durable at the next `sync` at the latest.
   */
  append(position: number, bytes: Buffer, offset: number, sizeBytes: number): void {
    let done = 0
    while (done < sizeBytes) {
      const at = position + done
      const base = at - (at % this.segmentBytes)
      const part = Math.min(sizeBytes - done, base + this.segmentBytes - at)
      this.ensure(base)
      if (this.#direct?.append(base, at, bytes, offset + done, part) !== true) {
        this.writeAt(at, bytes, offset + done, part)
      }
      done += part
    }
  }

  /** Zeros in one file behind the log's end, at most {@link MAX_ZEROS_BYTES}; durable on return. */
  writeZeros(position: number, sizeBytes: number): void {
    const base = position - (position % this.segmentBytes)
    this.ensure(base)
    if (this.#direct?.writeZeros(base, position, sizeBytes) === true) return
    this.writeAt(position, ZEROS, 0, sizeBytes)
    this.sync()
  }

  /** Makes the file that holds `position` if it is not there, durable with its name and length. */
  ensure(position: number): void {
    const base = position - (position % this.segmentBytes)
    if (this.#bases.length > 0 && base < this.endPosition) {
      assert(base >= this.firstPosition, 'nothing is written below the first segment')
      return
    }
    assert(this.#bases.length === 0 || base === this.endPosition, 'segments are made in order')
    const path = this.#path(base)
    const file = this.#disk.open(path, OpenMode.CREATE)
    try {
      file.setLength(this.segmentBytes)
      file.syncMetadata()
      this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      file.close()
      this.#disk.remove(path)
      throw error
    }
    this.#bases.push(base)
    this.#open.set(base, file)
    this.#closeSpareFiles()
  }

  /** Makes every written byte durable. */
  sync(): void {
    for (const base of this.#unsynced) this.#file(base).sync()
    this.#unsynced.length = 0
  }

  /** Path of the file that holds `position`, for messages. */
  pathOf(position: number): string {
    return this.#path(position - (position % this.segmentBytes))
  }

  /** Makes bytes durable that this process may not have written itself, as recovery must. */
  syncFrom(position: number): void {
    this.syncRange(position, this.endPosition)
  }

  /** As {@link syncFrom}, of the files that hold a byte of [from, to). */
  syncRange(from: number, to: number): void {
    for (const base of this.#bases) {
      if (base < to && base + this.segmentBytes > from) this.#file(base).sync()
    }
  }

  /** Writes what [from, to) holds once more, and makes it durable. */
  writeAnew(from: number, to: number): void {
    const bytes = Buffer.alloc(Math.min(to - from, COPY_BYTES))
    for (let position = from; position < to; ) {
      const sizeBytes = this.readAt(position, bytes, 0, Math.min(to - position, bytes.length))
      assert(sizeBytes > 0, 'what was just scanned can be read')
      this.writeAt(position, bytes, 0, sizeBytes)
      position += sizeBytes
    }
    this.sync()
  }

  /**
   * Everything from `position` on reads as zeros; later files are gone. Durable on return. The
   * space is given back too, so this costs the same for one byte and for a gigabyte.
   */
  cut(position: number): void {
    this.#direct?.close()
    const keep = position - (position % this.segmentBytes)
    const later = this.#bases.filter((base) => base > keep)
    for (const base of later.reverse()) this.#removeFile(base)
    this.#bases = this.#bases.filter((base) => base <= keep)
    this.#unsynced = this.#unsynced.filter((base) => base <= keep)
    // Before the length of the last file changes for a moment: only a last file may be found too
    // short.
    if (later.length > 0) this.#disk.syncDirectory(this.#directory)
    if (this.#bases.at(-1) !== keep) return
    const file = this.#file(keep)
    file.setLength(position - keep)
    file.setLength(this.segmentBytes)
    file.syncMetadata()
  }

  /** Deletes every file; the stream may start anywhere again. */
  removeAll(): void {
    this.#direct?.close()
    for (const base of [...this.#bases].reverse()) this.#removeFile(base)
    this.#bases = []
    this.#unsynced = []
    this.#disk.syncDirectory(this.#directory)
  }

  /** Deletes the files that lie wholly below `position`, never the last one. Returns how many. */
  removeBelow(position: number): number {
    let removed = 0
    while (this.#bases.length > 1 && this.#bases[0]! + this.segmentBytes <= position) {
      const base = this.#bases[0]!
      this.#removeFile(base)
      this.#bases.shift()
      removed++
    }
    if (removed > 0) this.#disk.syncDirectory(this.#directory)
    return removed
  }

  close(): void {
    this.#direct?.close()
    for (const file of this.#open.values()) file.close()
    this.#open.clear()
  }

  #path(base: number): string {
    return join(this.#directory, fileNameOfOffset(base))
  }

  #markUnsynced(base: number): void {
    if (this.#unsynced.at(-1) === base || this.#unsynced.includes(base)) return
    this.#unsynced.push(base)
  }

  #file(base: number): DiskFile {
    const open = this.#open.get(base)
    if (open !== undefined) return open
    const file = this.#disk.open(this.#path(base), OpenMode.WRITE)
    this.#open.set(base, file)
    this.#closeSpareFiles()
    return file
  }

  /** The oldest descriptors go first; the last two segments are in use all the time. */
  #closeSpareFiles(): void {
    const kept = this.endPosition - 2 * this.segmentBytes
    for (const [base, file] of this.#open) {
      if (this.#open.size <= MAX_OPEN_FILES) return
      if (base >= kept || this.#unsynced.includes(base)) continue
      file.close()
      this.#open.delete(base)
    }
  }

  #removeFile(base: number): void {
    this.#open.get(base)?.close()
    this.#open.delete(base)
    this.#disk.remove(this.#path(base))
  }

  #checkLengths(lengthIsKnown: boolean): string[] {
    const report: string[] = []
    const last = this.#bases.at(-1)
    for (const base of this.#bases) {
      const file = this.#file(base)
      const sizeBytes = file.sizeBytes()
      if (sizeBytes === this.segmentBytes) continue
      const repairable = sizeBytes === 0 || (lengthIsKnown && sizeBytes < this.segmentBytes)
      if (base !== last || !repairable) {
        throw this.#refuse(
          `${fileNameOfOffset(base)} has ${sizeBytes} bytes, configured are ${this.segmentBytes}`,
        )
      }
      file.setLength(this.segmentBytes)
      file.syncMetadata()
      report.push(`${file.path} had ${sizeBytes} bytes and got its full length back`)
    }
    return report
  }

  #refuse(what: string): LedgerError {
    return new LedgerError('CORRUPT', `${this.#directory}: ${what}; nothing was changed`)
  }
}
