/**
 * Entries of the newest index file that its slots do not know yet, in memory. Owns the invariants:
 * item k is entry `first + k`; the chains of `newest` and `older` hold every item, newest first;
 * after `sort` the items of one slot page stand together, in the order they came.
 */
import { assert } from '@ringledger/base'

export const BATCH_ITEMS = 65_536
/** Chain heads: a power of two, so that a mask finds the chain of a hash. */
const CHAINS = 32_768

export class IndexBatch {
  /** Number of the entry that item 0 is. */
  first = 0
  count = 0
  readonly keyHashes: Int32Array = new Int32Array(BATCH_ITEMS)
  readonly physicalOffsets: Float64Array = new Float64Array(BATCH_ITEMS)
  readonly timeDifferencesSeconds: Int32Array = new Int32Array(BATCH_ITEMS)
  /** Entry before each item in its slot, known once the slots were looked at. */
  readonly previousEntries: Int32Array = new Int32Array(BATCH_ITEMS)
  /** Slot of each item, and the items by slot page: known once the batch is sorted. */
  readonly slots: Int32Array = new Int32Array(BATCH_ITEMS)
  readonly order: Int32Array = new Int32Array(BATCH_ITEMS)
  /** Item + 1 at the head of each chain, 0 for none. */
  readonly #heads: Int32Array = new Int32Array(CHAINS)
  readonly #older: Int32Array = new Int32Array(BATCH_ITEMS)

  get isFull(): boolean {
    return this.count === BATCH_ITEMS
  }

  get memoryBytes(): number {
    return BATCH_ITEMS * 36 + CHAINS * 4
  }

  /** Number of the entry behind the last item. */
  get end(): number {
    return this.first + this.count
  }

  restart(first: number): void {
    this.first = first
    this.count = 0
    this.#heads.fill(0)
  }

  add(keyHash: number, physicalOffset: number, timeDifferenceSeconds: number): void {
    const item = this.count++
    this.keyHashes[item] = keyHash
    this.physicalOffsets[item] = physicalOffset
    this.timeDifferencesSeconds[item] = timeDifferenceSeconds
    const chain = keyHash & (CHAINS - 1)
    this.#older[item] = this.#heads[chain]!
    this.#heads[chain] = item + 1
  }

  /** Newest item whose hash shares the chain of `keyHash`; -1 if there is none. */
  newest(keyHash: number): number {
    return this.#heads[keyHash & (CHAINS - 1)]! - 1
  }

  /** The item before `item` in its chain; -1 at the end. */
  older(item: number): number {
    return this.#older[item]! - 1
  }

  /**
   * Fills `slots`, `order` and, per page of 2^`pageBits` slots, where its items end in `order`.
   */
  sort(slotCount: number, pageBits: number, pageEnds: Int32Array): void {
    pageEnds.fill(0)
    const { count, keyHashes, slots, order } = this
    for (let item = 0; item < count; item++) {
      const slot = keyHashes[item]! % slotCount
      slots[item] = slot
      pageEnds[slot >>> pageBits]!++
    }
    let start = 0
    for (let page = 0; page < pageEnds.length; page++) {
      const size = pageEnds[page]!
      pageEnds[page] = start
      start += size
    }
    assert(start === count, 'every item has a page')
    for (let item = 0; item < count; item++) {
      order[pageEnds[slots[item]! >>> pageBits]!++] = item
    }
  }
}
