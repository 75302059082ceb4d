/**
 * Entries that were laid into the log and wait for their commit, oldest first, in fixed typed
 * arrays. Invariant: end positions grow from head to tail, so a commit position completes a prefix.
 */
import { assert } from '@ringledger/base'

export const PendingKind = {
  /** A client waits for the answer. */
  CLIENT: 0,
  /** A one-way send: nobody waits. */
  ONE_WAY: 1,
  /** The broker thread waits. */
  BROKER: 2,
} as const

export class PendingSends {
  readonly capacity: number
  readonly endPosition: Float64Array
  readonly physicalOffset: Float64Array
  readonly queueOffset: Float64Array
  readonly storeTimestampMs: Float64Array
  /** Sequence of a broker's append. */
  readonly sequence: Float64Array
  readonly connectionId: Int32Array
  readonly opaque: Int32Array
  readonly queueId: Int32Array
  /**
   * Where the message's unique key lies, counted from the message's first byte; length 0 for none.
   */
  readonly uniqueKeyStart: Int32Array
  readonly uniqueKeyBytes: Int32Array
  readonly kind: Uint8Array
  readonly #mask: number
  #head = 0
  #tail = 0

  constructor(capacity: number) {
    assert((capacity & (capacity - 1)) === 0, 'capacity is a power of two')
    this.capacity = capacity
    this.#mask = capacity - 1
    this.endPosition = new Float64Array(capacity)
    this.physicalOffset = new Float64Array(capacity)
    this.queueOffset = new Float64Array(capacity)
    this.storeTimestampMs = new Float64Array(capacity)
    this.sequence = new Float64Array(capacity)
    this.connectionId = new Int32Array(capacity)
    this.opaque = new Int32Array(capacity)
    this.queueId = new Int32Array(capacity)
    this.uniqueKeyStart = new Int32Array(capacity)
    this.uniqueKeyBytes = new Int32Array(capacity)
    this.kind = new Uint8Array(capacity)
  }

  get size(): number {
    return this.#tail - this.#head
  }

  get full(): boolean {
    return this.#tail - this.#head >= this.capacity
  }

  /** To come back to with `takeBack`. */
  get mark(): number {
    return this.#tail
  }

  /** Forgets what was pushed since `mark` was noted; nothing may have been taken off meanwhile. */
  takeBack(mark: number): void {
    assert(mark >= this.#head && mark <= this.#tail, 'only pushes are taken back')
    this.#tail = mark
  }

  /** Slot to fill for the newest entry. */
  push(endPosition: number): number {
    assert(!this.full, 'the caller asked before')
    const slot = this.#tail & this.#mask
    this.endPosition[slot] = endPosition
    this.#tail += 1
    return slot
  }

  /**
   * Slot of the oldest entry if it ends at or before `position`, else -1; `shift()` takes it off.
   */
  oldestUpTo(position: number): number {
    if (this.#head === this.#tail) return -1
    const slot = this.#head & this.#mask
    return (this.endPosition[slot] as number) <= position ? slot : -1
  }

  shift(): void {
    assert(this.#head < this.#tail, 'something is pending')
    this.#head += 1
    if (this.#head === this.#tail) {
      this.#head = 0
      this.#tail = 0
    }
  }
}
