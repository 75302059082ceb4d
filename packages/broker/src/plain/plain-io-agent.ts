/**
 * Brings a plain log from the arena to its files, off all other threads: one write and one
 * fdatasync for all that came meanwhile. Invariants: `arena.durable` is raised after the fdatasync,
 * `written` after the write; a sync that failed is the end of the process, lack of space is not.
 */

import { isNoSpace } from '@ringledger/base/internal'
import type { Disk } from '@ringledger/io'
import { Doorbell, LogArena, type LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import { PlainFiles } from './plain-files.ts'
import { type PlainIoShared, PlainIoWords } from './plain-io-shared.ts'

/** ASYNC_FLUSH: what a loss of power may take, unless the arena fills before. As with Apache. */
const ASYNC_SYNC_MS = 500
const MAX_UNSYNCED_PART = 0.25
const SPACE_CHECK_MS = 1000
/** Above what other processes need to see that the holder of the lock lives. */
const MAX_WAIT_MS = 1000

export interface PlainIoConfig {
  /** storePathCommitLog */
  readonly directories: string
  /** mappedFileSizeCommitLog */
  readonly fileBytes: number
  readonly syncBeforeAck: boolean
  readonly minimumFreeBytes: number
  /** New messages are refused when the disk is used above this part, until it is at the other. */
  readonly fullAboveRatio: number
  readonly fullUntilRatio: number
}

export interface PlainIoParts {
  readonly config: PlainIoConfig
  readonly disk: Disk
  readonly arena: LogArenaShared
  readonly io: PlainIoShared
  readonly coreBell: SharedArrayBuffer
  /** Where the log ended at the start. */
  readonly endPosition: number
  nowMs(): number
}

export class PlainIoAgent {
  readonly #parts: PlainIoParts
  readonly #arena: LogArena
  readonly #words: PlainIoWords
  readonly #coreBell: Doorbell
  readonly #files: PlainFiles
  #written: number
  #durable: number
  #syncedMs: number
  #checkedMs = Number.NEGATIVE_INFINITY
  /** The last write found no space. */
  #stuck = false

  constructor(parts: PlainIoParts) {
    const { config, disk, arena, io, coreBell, endPosition } = parts
    this.#parts = parts
    this.#arena = new LogArena(arena)
    this.#words = new PlainIoWords(io)
    this.#words.written = endPosition
    this.#coreBell = new Doorbell(coreBell)
    this.#files = new PlainFiles(disk, config.directories, config.fileBytes)
    this.#written = endPosition
    this.#durable = endPosition
    this.#syncedMs = parts.nowMs()
  }

  /** Nothing comes any more, and everything is on the disk for which there was space. */
  get done(): boolean {
    return this.#words.closing && !this.hasWork && this.#durable === this.#written
  }

  get hasWork(): boolean {
    return !this.#stuck && this.#lacks
  }

  /** The files lack something of the arena, which is empty until the core thread has begun it. */
  get #lacks(): boolean {
    return this.#arena.appended > this.#written
  }

  /** How long the thread may sleep when nothing arrives. */
  get waitMs(): number {
    if (this.#durable === this.#written) return MAX_WAIT_MS
    return Math.max(0, Math.min(MAX_WAIT_MS, this.#syncedMs + ASYNC_SYNC_MS - this.#parts.nowMs()))
  }

  /** Writes and syncs what there is; true if there was any. @throws DiskError DISK_FAILED */
  duty(): boolean {
    this.#watchSpace()
    const wrote = this.hasWork && this.#write(this.#arena.appended)
    return (this.#syncIsDue() && this.#sync()) || wrote
  }

  close(): void {
    this.#files.close()
  }

  #write(to: number): boolean {
    const { bytes } = this.#arena
    try {
      this.#arena.forEachPiece(this.#written, to, (position, offset, sizeBytes) => {
        this.#files.write(position, bytes, offset, sizeBytes)
      })
    } catch (error) {
      if (!isNoSpace(error)) throw error
      this.#stuck = true
      this.#setFull(true)
      return false
    }
    this.#written = to
    this.#words.written = to
    if (!this.#parts.config.syncBeforeAck) this.#coreBell.ring()
    return true
  }

  #syncIsDue(): boolean {
    const unsynced = this.#written - this.#durable
    if (unsynced === 0) return false
    if (this.#parts.config.syncBeforeAck || this.#words.closing) return true
    if (unsynced > this.#arena.sizeBytes * MAX_UNSYNCED_PART) return true
    return this.#parts.nowMs() - this.#syncedMs >= ASYNC_SYNC_MS
  }

  #sync(): true {
    this.#files.sync()
    this.#durable = this.#written
    this.#syncedMs = this.#parts.nowMs()
    this.#arena.durable = this.#durable
    this.#coreBell.ring()
    return true
  }

  #watchSpace(): void {
    const nowMs = this.#parts.nowMs()
    if (nowMs - this.#checkedMs < SPACE_CHECK_MS) return
    this.#checkedMs = nowMs
    // Tried again, however full the disk is said to be.
    const wasStuck = this.#stuck
    this.#stuck = false
    if (wasStuck && this.#lacks && !this.#write(this.#arena.appended)) return
    this.#setFull(this.#isFull())
  }

  #isFull(): boolean {
    const { disk, config } = this.#parts
    const { minimumFreeBytes, fullAboveRatio, fullUntilRatio } = config
    const limit = this.#words.full ? fullUntilRatio : fullAboveRatio
    return config.directories.split(',').some((directory) => {
      return disk.freeBytes(directory) < minimumFreeBytes || disk.usedRatio(directory) > limit
    })
  }

  #setFull(full: boolean): void {
    if (this.#words.full === full) return
    this.#words.full = full
    this.#coreBell.ring()
  }
}
