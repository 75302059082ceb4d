/**
 * Brings queues and index to the disk in small steps between other work, and notes in the
 * checkpoint how far that is. Owns the invariant: a mark is written only after everything below its
 * position was handed over (or synced), and while the log itself is durable up to there.
 */
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { ApacheMarks } from './apache-marks.ts'
import type { CheckpointFile, DispatchMark } from './checkpoint-file.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { KeyIndex } from './key-index.ts'

export interface WriteBackIntervals {
  /** Between checkpoints: after a crash of the process, what came since is dispatched again. */
  flushMs: number
  /** Between syncs: the same after a crash of the machine. */
  syncMs: number
}

export const DEFAULT_INTERVALS: WriteBackIntervals = { flushMs: 1000, syncMs: 30_000 }
/** One call goes on with small steps until this much time is gone: while others wait, or not. */
const BUSY_BUDGET_MS = 0.5
const IDLE_BUDGET_MS = 10
const QUEUES_PER_STEP = 2
const INDEX_STEPS = 4

export interface WriteBackParts {
  arena: LogArena
  queues: ConsumeQueues
  index: KeyIndex
  dispatcher: Dispatcher
  checkpoint: CheckpointFile
  marks: ApacheMarks
  bootId: string
  handedOver: DispatchMark
  synced: DispatchMark
  intervals: WriteBackIntervals
}

export class WriteBack {
  readonly #parts: WriteBackParts
  #handedOver: DispatchMark
  #synced: DispatchMark
  /** What the flush under way will have handed over. */
  #flushing: DispatchMark | undefined
  #syncing: DispatchMark | undefined
  #flushedAtMs = 0
  #syncedAtMs = 0

  constructor(parts: WriteBackParts) {
    this.#parts = parts
    this.#handedOver = parts.handedOver
    this.#synced = parts.synced
  }

  /** After a crash of the machine dispatch starts here. */
  get syncedPosition(): number {
    return this.#synced.position
  }

  /**
   * `idle`: nothing else waits, so a sync (some milliseconds) is welcome now. True while it wants
   * to be called again at once.
   */
  tick(nowMs: number, idle: boolean): boolean {
    const endMs = performance.now() + (idle ? IDLE_BUDGET_MS : BUSY_BUDGET_MS)
    if (this.#flush(nowMs, endMs)) return true
    while (this.#syncStep(nowMs, idle)) if (performance.now() >= endMs) return true
    return false
  }

  /** What was dispatched is synced in the next turns, not at the next interval. */
  syncSoon(): void {
    this.#flushedAtMs = 0
    this.#syncedAtMs = 0
  }

  /** Everything dispatched so far is on the disk when it returns, and the checkpoint says so. */
  settle(): void {
    const { queues, index } = this.#parts
    queues.sync()
    index.sync()
    this.#noteSynced(this.#markOfNow())
  }

  /**
   * After `settle` and the state record that ends at `endPosition`: queues as they are now belong
   * to that position.
   */
  settledBehindRecord(endPosition: number): void {
    this.#noteSynced({ ...this.#markOfNow(), position: endPosition, stateEnd: endPosition })
  }

  /** Queues and index were emptied, and the log begins where dispatch stands. */
  begunAnew(): void {
    this.#noteSynced(this.#markOfNow())
  }

  #noteSynced(mark: DispatchMark): void {
    this.#flushing = undefined
    this.#syncing = undefined
    this.#handedOver = mark
    this.#synced = mark
    this.#write()
    this.#parts.checkpoint.sync()
  }

  #flush(nowMs: number, endMs: number): boolean {
    const { queues, index, dispatcher, arena } = this.#parts
    if (this.#flushing === undefined) {
      // A clock that was set back must not stop the write-back until it has caught up.
      const isDue = Math.abs(nowMs - this.#flushedAtMs) >= this.#parts.intervals.flushMs
      if (!isDue || dispatcher.position === this.#handedOver.position) return false
      this.#flushing = this.#markOfNow()
      queues.beginFlush()
      index.beginFlush()
    }
    while (queues.flushStep(QUEUES_PER_STEP) || index.flushStep(INDEX_STEPS)) {
      if (performance.now() >= endMs) return true
    }
    if (arena.durable < this.#flushing.position) return false
    this.#handedOver = this.#flushing
    this.#flushing = undefined
    this.#flushedAtMs = nowMs
    this.#write()
    return false
  }

  #syncStep(nowMs: number, idle: boolean): boolean {
    const { queues, index, checkpoint, intervals } = this.#parts
    const waitedMs = Math.abs(nowMs - this.#syncedAtMs)
    if (this.#syncing === undefined) {
      const isNew = this.#synced.position !== this.#handedOver.position
      if (waitedMs < intervals.syncMs || !isNew) return false
      this.#syncing = this.#handedOver
      queues.beginSync()
      index.beginSync()
    }
    if (!idle && waitedMs < 2 * intervals.syncMs) return false
    if (queues.syncStep() || index.syncStep()) return true
    this.#synced = this.#syncing
    this.#syncing = undefined
    this.#syncedAtMs = nowMs
    this.#write()
    checkpoint.sync()
    return false
  }

  #markOfNow(): DispatchMark {
    const { queues, index, dispatcher } = this.#parts
    const { units, queues: queueTotal } = queues.totals
    return {
      position: dispatcher.position,
      unitTotal: units,
      queueTotal,
      index: index.mark,
      stateEnd: dispatcher.stateEnd,
    }
  }

  #write(): void {
    const { checkpoint, marks, dispatcher, index, bootId } = this.#parts
    checkpoint.write({ bootId, handedOver: this.#handedOver, synced: this.#synced })
    marks.write(dispatcher.storeTimestampMs, index.lastUpdateTimestampMs)
  }
}
