/**
 * The newest part of the log in shared memory, in its final disk format. One thread writes; any
 * thread reads. Owns the invariants: an entry is contiguous; positions from `oldest` to `appended`
 * are intact; `oldest` is raised *before* bytes are overwritten, so a reader that copies first and
 * checks `holds` afterwards never trusts a torn copy; bytes that are not durable, or that a peer's
 * socket still holds (`pinned`), are never overwritten.
 */
import { assert } from '@ringledger/base'
import {
  ARENA_APPENDED,
  ARENA_BLANK_EXTRA_BYTES,
  ARENA_COMMITTED,
  ARENA_DISPATCHED,
  ARENA_DURABLE,
  ARENA_LAP_END,
  ARENA_LAP_END_SLOTS,
  ARENA_LAP_END_STRIDE,
  ARENA_OLDEST,
  PAGE_BYTES,
} from './layout.ts'
import { allocateRegion, regionBuffer } from './region.ts'
import { loadPosition, storePosition } from './sequence.ts'

/** What `workerData` carries; all fields are shared or plain. */
export interface LogArenaShared {
  readonly data: SharedArrayBuffer
  readonly control: SharedArrayBuffer
  readonly sizeBytes: number
  readonly maxEntryBytes: number
}

/**
 * `oldest` moves on by this part of the arena at a time: one atomic store per step and not one per
 * entry.
 */
const OLDEST_STEPS = 64

export class LogArena {
  readonly shared: LogArenaShared
  /** The arena and its slack; offsets from {@link offsetOf} and {@link claim} count in it. */
  readonly bytes: Buffer
  readonly view: DataView
  readonly sizeBytes: number
  readonly maxEntryBytes: number
  /**
   * Writer: the lowest position whose bytes a socket still reads; claims stay below it. Infinity:
   * none.
   */
  pinned: number = Number.POSITIVE_INFINITY

  readonly #words: BigInt64Array
  readonly #stepBytes: number
  #end: number
  #appendedSeen: number
  #oldestSeen: number
  #durableSeen: number
  /** Below this, sockets may hold bytes of a suffix that was cut off. */
  #cutBelow = 0

  /**
   * `sizeBytes`: multiple of a page and at least four entries; `maxEntryBytes`: header and body of
   * the longest entry.
   */
  static allocate(options: { sizeBytes: number; maxEntryBytes: number }): LogArenaShared {
    const { sizeBytes, maxEntryBytes } = options
    assert(sizeBytes > 0 && sizeBytes % PAGE_BYTES === 0, 'an arena is a whole number of pages')
    assert(
      maxEntryBytes > 0 && sizeBytes >= 4 * (maxEntryBytes + ARENA_BLANK_EXTRA_BYTES),
      'an arena holds at least four of the longest entries',
    )
    return {
      data: allocateRegion(sizeBytes + maxEntryBytes + ARENA_BLANK_EXTRA_BYTES),
      control: allocateRegion(PAGE_BYTES),
      sizeBytes,
      maxEntryBytes,
    }
  }

  constructor(shared: LogArenaShared) {
    this.shared = shared
    this.sizeBytes = shared.sizeBytes
    this.maxEntryBytes = shared.maxEntryBytes
    this.bytes = regionBuffer(shared.data)
    this.view = new DataView(shared.data, 0, shared.data.byteLength)
    this.#words = new BigInt64Array(shared.control, 0, PAGE_BYTES / 8)
    this.#stepBytes = Math.ceil(shared.sizeBytes / OLDEST_STEPS)
    this.#appendedSeen = this.appended
    this.#end = this.#appendedSeen
    this.#oldestSeen = this.oldest
    this.#durableSeen = this.durable
  }

  /** End of the appended log. Set by the writer after the bytes below are in place. */
  get appended(): number {
    return loadPosition(this.#words, ARENA_APPENDED)
  }

  set appended(position: number) {
    assert(position <= this.#end, 'appended does not pass what was claimed')
    this.#appendedSeen = position
    storePosition(this.#words, ARENA_APPENDED, position)
  }

  /** End of what a majority holds. Set by the writer's thread. */
  get committed(): number {
    return loadPosition(this.#words, ARENA_COMMITTED)
  }

  set committed(position: number) {
    storePosition(this.#words, ARENA_COMMITTED, position)
  }

  /** Lowest position whose bytes are intact. Raised by {@link claim}. */
  get oldest(): number {
    return loadPosition(this.#words, ARENA_OLDEST)
  }

  set oldest(position: number) {
    this.#oldestSeen = position
    storePosition(this.#words, ARENA_OLDEST, position)
  }

  /** End of what is on this node's disk. Set by the io thread. */
  get durable(): number {
    return loadPosition(this.#words, ARENA_DURABLE)
  }

  set durable(position: number) {
    storePosition(this.#words, ARENA_DURABLE, position)
  }

  /** End of what the broker has built its queues from. Set by the broker thread. */
  get dispatched(): number {
    return loadPosition(this.#words, ARENA_DISPATCHED)
  }

  set dispatched(position: number) {
    storePosition(this.#words, ARENA_DISPATCHED, position)
  }

  /** Where an entry (or blank) that starts at `position` lies in {@link bytes}. */
  offsetOf(position: number): number {
    return position % this.sizeBytes
  }

  /**
   * Whether `position` was intact when everything read before this call was read. Check after
   * copying.
   */
  holds(position: number): boolean {
    return this.oldest <= position
  }

  /** Writer, before any reader: an empty arena whose log ends, all of it durable, at `position`. */
  reset(position: number): void {
    this.#restartAt(position)
    this.#durableSeen = position
    this.durable = position
  }

  /**
   * Writer: room for one entry or blank that starts at `position`, the end of the last claim (or
   * any entry start from `appended` on, which forgets the claims above it). Returns its offset in
   * {@link bytes}, or -1 while the bytes it would overwrite are not durable or pinned.
   */
  claim(position: number, sizeBytes: number): number {
    assert(
      sizeBytes > 0 && sizeBytes <= this.maxEntryBytes + ARENA_BLANK_EXTRA_BYTES,
      'a claim is at most one entry long',
    )
    assert(
      position >= this.#appendedSeen && position <= this.#end,
      'claims follow one another without a gap',
    )
    const end = position + sizeBytes
    if (position < this.#cutBelow && this.pinned < end) return -1
    const overwrittenTo = end - this.sizeBytes
    if (overwrittenTo > this.#oldestSeen && !this.#raiseOldest(overwrittenTo)) return -1
    const lap = Math.floor(end / this.sizeBytes)
    if (position < lap * this.sizeBytes) {
      storePosition(this.#words, this.#lapEndIndex(lap), end)
    }
    this.#end = end
    return position % this.sizeBytes
  }

  /**
   * Writer: claims of [position, end) need that nothing below this is {@link pinned}; where a
   * suffix was cut off, sockets may still read what stood in the very place.
   */
  pinFloor(position: number, end: number): number {
    return position < this.#cutBelow ? end : end - this.sizeBytes
  }

  /**
   * Writer: the log ends at `position` from now on. Append beyond it only after the io thread has
   * cut its files and set `durable` back; until then `durable` speaks of bytes that are gone.
   */
  truncate(position: number): void {
    assert(position <= this.#end, 'truncation does not lengthen the log')
    this.#cutBelow = Math.max(this.#cutBelow, this.#end)
    this.#durableSeen = Math.min(this.#durableSeen, position)
    if (position < this.#oldestSeen) {
      this.#restartAt(position)
      return
    }
    this.#end = position
    this.appended = position
  }

  /**
   * Visits the contiguous pieces of [from, to), in order; `from` and `to` are starts of entries, or
   * positions within them. The reader checks {@link holds}(from) after it has used the bytes.
   */
  forEachPiece(
    from: number,
    to: number,
    visit: (position: number, offset: number, sizeBytes: number) => void,
  ): void {
    let position = from
    while (position < to) {
      const lap = Math.floor(position / this.sizeBytes)
      const lapStart = lap * this.sizeBytes
      const inSlack = position < this.#lapEnd(lap)
      const nextLapEnd = inSlack
        ? this.#lapEnd(lap)
        : lapStart + this.sizeBytes < to
          ? this.#lapEnd(lap + 1)
          : to
      const end = Math.min(to, nextLapEnd)
      const offset = inSlack ? this.sizeBytes + position - lapStart : position - lapStart
      visit(position, offset, end - position)
      position = end
    }
  }

  #restartAt(position: number): void {
    this.#end = position
    const lap = Math.floor(position / this.sizeBytes)
    storePosition(this.#words, this.#lapEndIndex(lap), lap * this.sizeBytes)
    this.oldest = position
    this.appended = position
  }

  #raiseOldest(overwrittenTo: number): boolean {
    let limit = Math.min(this.#durableSeen, this.pinned)
    if (overwrittenTo > limit) {
      this.#durableSeen = Math.min(this.durable, this.#end)
      limit = Math.min(this.#durableSeen, this.pinned)
      if (overwrittenTo > limit) return false
    }
    this.oldest = Math.min(overwrittenTo + this.#stepBytes, limit)
    return true
  }

  /**
   * Position at which the entry that crossed the start of `lap` ended; kept in bounds even if a
   * late reader meets a reused slot.
   */
  #lapEnd(lap: number): number {
    const lapStart = lap * this.sizeBytes
    const end = loadPosition(this.#words, this.#lapEndIndex(lap))
    if (end < lapStart) return lapStart
    return Math.min(end, lapStart + this.maxEntryBytes + ARENA_BLANK_EXTRA_BYTES)
  }

  #lapEndIndex(lap: number): number {
    return ARENA_LAP_END + (lap % ARENA_LAP_END_SLOTS) * ARENA_LAP_END_STRIDE
  }
}
