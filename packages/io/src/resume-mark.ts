/**
 * `ringledger-durable`: from where recovery may resume. Owns the invariant that whatever a mark on
 * disk says was durable before the mark was written: log and index units below `position`, and
 * nothing behind it once `TRUNCATING` is noted.
 */
import { assert } from '@ringledger/base'
import { getInt64, setInt64 } from '@ringledger/protocol'
import type { StoreLayout } from './config.ts'
import type { Disk } from './disk.ts'
import { SlotFile, SlotFileState } from './slot-file.ts'

export const MarkState = {
  /** The log goes on behind `position`. */
  RUNNING: 0,
  /** A cut at `position` was begun: what lies behind is void, whatever it looks like. */
  TRUNCATING: 1,
  /** Closed in order: the log ends at `position`, and only zeros follow. */
  CLEAN: 2,
} as const
export type MarkState = (typeof MarkState)[keyof typeof MarkState]

/** Stands for a `chainCrc` that cannot be known: the entry is damaged, or was dropped. */
export const UNKNOWN_CHAIN = -1

/** End of a log, or of a checked part of it. */
export interface LogEnd {
  /** Right behind the last entry. */
  readonly position: number
  /** Of the last entry; one below the first index when there is none. */
  readonly index: number
  /** Of the last entry; -1 when there is none. */
  readonly term: number
  /** Of the last entry; 0 when there is none or Apache wrote it; or {@link UNKNOWN_CHAIN}. */
  readonly chainCrc: number
}

export interface ResumeMark {
  readonly state: MarkState
  readonly end: LogEnd
  readonly committedPosition: number
  readonly committedIndex: number
  /** End of the zero-filled space in front of the log; meaningful when CLEAN. */
  readonly zeroedTo: number
  /** The data segments' length: positions mean nothing under another one. */
  readonly segmentBytes: number
}

const MARK_MAGIC = 0x52_4c_44_4d
const MARK_BYTES = 64

export class MarkFile {
  readonly #layout: StoreLayout
  readonly #slots: SlotFile
  readonly #payload: Buffer = Buffer.alloc(MARK_BYTES)
  readonly #view: DataView

  constructor(disk: Disk, layout: StoreLayout) {
    this.#layout = layout
    this.#slots = new SlotFile(disk, layout.markPath, MARK_MAGIC)
    this.#view = new DataView(this.#payload.buffer, this.#payload.byteOffset, MARK_BYTES)
  }

  read(): { state: SlotFileState; mark: ResumeMark | undefined } {
    const { state, payload } = this.#slots.read()
    if (state !== SlotFileState.VALID) return { state, mark: undefined }
    assert(payload.length === MARK_BYTES, 'a checked mark is complete')
    payload.copy(this.#payload)
    return { state, mark: this.#decode() }
  }

  create(mark: ResumeMark): void {
    this.#encode(mark)
    this.#slots.create(this.#payload, this.#layout.directory)
  }

  /** Costs no sync of its own: an older mark is as true as a newer one. */
  advance(mark: ResumeMark): void {
    this.#encode(mark)
    this.#slots.writeLazily(this.#payload)
  }

  /** For marks that take something back: no older one is left. */
  replace(mark: ResumeMark): void {
    this.#encode(mark)
    this.#slots.writeBoth(this.#payload)
  }

  /** Damaged copies of the mark. */
  damagedCopies(): number {
    return this.#slots.damagedCopies()
  }

  close(): void {
    this.#slots.close()
  }

  #encode(mark: ResumeMark): void {
    const view = this.#view
    view.setUint32(0, mark.state)
    view.setUint32(4, mark.end.chainCrc)
    setInt64(view, 8, mark.end.position)
    setInt64(view, 16, mark.end.index)
    setInt64(view, 24, mark.end.term)
    setInt64(view, 32, mark.committedPosition)
    setInt64(view, 40, mark.committedIndex)
    setInt64(view, 48, mark.zeroedTo)
    setInt64(view, 56, mark.segmentBytes)
  }

  #decode(): ResumeMark {
    const view = this.#view
    const state = view.getUint32(0)
    assert(state <= MarkState.CLEAN, 'a checked mark has a known state')
    return {
      state: state as MarkState,
      end: {
        position: getInt64(view, 8),
        index: getInt64(view, 16),
        term: getInt64(view, 24),
        chainCrc: view.getUint32(4),
      },
      committedPosition: getInt64(view, 32),
      committedIndex: getInt64(view, 40),
      zeroedTo: getInt64(view, 48),
      segmentBytes: getInt64(view, 56),
    }
  }
}

/** What the first kept entry's chain begins with; unknown when entries before it were dropped. */
export function firstSeed(firstIndex: number): number | undefined {
  return firstIndex === 0 ? 0 : undefined
}
