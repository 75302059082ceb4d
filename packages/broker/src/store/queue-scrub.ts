/**
 * Walks the committed log slowly, again and again, and sees that every message's unit in its
 * consume queue is right: a rotten one would hide its message or give a wrong one. Owns its pace.
 */
import { LedgerError } from '@ringledger/base'
import type { QueueRepair } from './queue-repair.ts'

/** 256 KiB of log a second at most: a thousandth of a processor. */
const STEP_BYTES = 64 * 1024
const STEP_INTERVAL_MS = 250
/** Between two passes over the whole log. */
const REST_MS = 60 * 60 * 1000

export class QueueScrub {
  readonly #repair: QueueRepair
  readonly #log: (line: string) => void
  #position: number
  #dueMs = 0

  constructor(repair: QueueRepair, fromPosition: number, log: (line: string) => void) {
    this.#repair = repair
    this.#position = fromPosition
    this.#log = log
  }

  /** A small step when it is due; the log is looked at from `first` up to `end`. */
  tick(nowMs: number, first: number, end: number): void {
    if (nowMs < this.#dueMs && this.#dueMs - nowMs <= REST_MS) return
    this.#dueMs = nowMs + STEP_INTERVAL_MS
    this.#position = Math.max(this.#position, first)
    if (this.step(STEP_BYTES, end)) return
    this.#position = first
    this.#dueMs = nowMs + REST_MS
  }

  /** Looks at about `maxBytes` of the log; false once `end` is reached. */
  step(maxBytes: number, end: number): boolean {
    const stop = this.#position + maxBytes
    try {
      while (this.#position < stop && this.#position < end) {
        this.#position = this.#repair.checkEntry(this.#position, end)
      }
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'CORRUPT') throw error
      // The log's own scrub finds and repairs it; this pass ends here and the next comes by again.
      this.#log(`consume queues are not checked beyond ${this.#position}: ${error.message}`)
      return false
    }
    return this.#position < end
  }
}
