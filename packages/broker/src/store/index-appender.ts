/**
 * Brings one batch of entries into an index file, in small steps: looks up what each slot pointed
 * at, writes the entries, then the slots. Owns that order: a slot never points at an entry that is
 * not in the file, so a killed process leaves chains that can be undone. Sorted by page, a batch of
 * random keys costs three system calls per page of slots instead of two per key; Node has no mmap.
 * Many keys hit every small page anyway, so a batch of many goes by large ones.
 */
import { readFully, writeFully } from '@ringledger/base/internal'
import {
  KEY_INDEX_ENTRY_BYTES,
  KEY_INDEX_HEADER_BYTES,
  KEY_INDEX_SLOT_BYTES,
  keyIndexEntryAt,
  writeKeyIndexEntry,
} from '@ringledger/protocol'
import { IndexBatch } from './index-batch.ts'

/** Slots of a page, as a power of two: 16 KiB, and 256 KiB. */
const SMALL_PAGE_BITS = 12
const LARGE_PAGE_BITS = 16
const LARGE_FROM_ITEMS = 16_384
const MAX_PAGE_BYTES = KEY_INDEX_SLOT_BYTES << LARGE_PAGE_BITS
const ENTRIES_PER_STEP = 8192

const Phase = { LOOK_UP: 0, WRITE_ENTRIES: 1, WRITE_SLOTS: 2, DONE: 3 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

export class IndexAppender {
  readonly #descriptor: number
  readonly #syncedDescriptor: number
  readonly #slots: number
  readonly #smallPageEnds: Int32Array
  readonly #largePageEnds: Int32Array
  /** Of the batch under way. */
  #pageBits = SMALL_PAGE_BITS
  #pageEnds: Int32Array
  readonly #page: Buffer = Buffer.allocUnsafeSlow(MAX_PAGE_BYTES)
  readonly #pageView: DataView = new DataView(this.#page.buffer)
  readonly #entries: Buffer = Buffer.allocUnsafeSlow(ENTRIES_PER_STEP * KEY_INDEX_ENTRY_BYTES)
  readonly #entriesView: DataView = new DataView(this.#entries.buffer)
  #batch: IndexBatch = new IndexBatch()
  #phase: Phase = Phase.DONE
  /** Next page, or next item while entries are written. */
  #at = 0
  #usedSlots = 0

  /**
   * Both descriptors are of the same file. What is written to the second one is on the disk at
   * once: many entries are, for else the kernel writes all of half a minute in one go, and the log
   * waits for that.
   */
  constructor(descriptor: number, syncedDescriptor: number, slots: number) {
    this.#descriptor = descriptor
    this.#syncedDescriptor = syncedDescriptor
    this.#slots = slots
    this.#smallPageEnds = new Int32Array(Math.ceil(slots / 2 ** SMALL_PAGE_BITS))
    this.#largePageEnds = new Int32Array(Math.ceil(slots / 2 ** LARGE_PAGE_BITS))
    this.#pageEnds = this.#smallPageEnds
  }

  get isBusy(): boolean {
    return this.#phase !== Phase.DONE
  }

  /** The batch under way; its items are found here until `isBusy` is false. */
  get batch(): IndexBatch {
    return this.#batch
  }

  get memoryBytes(): number {
    return this.#batch.memoryBytes + this.#page.length + this.#entries.length
  }

  /** Slots that were empty before, since the last call. */
  takeUsedSlots(): number {
    const used = this.#usedSlots
    this.#usedSlots = 0
    return used
  }

  /** Takes a batch over and gives back an empty one. Only while not busy. */
  begin(batch: IndexBatch): IndexBatch {
    const empty = this.#batch
    this.#batch = batch
    const isLarge = batch.count >= LARGE_FROM_ITEMS
    this.#pageBits = isLarge ? LARGE_PAGE_BITS : SMALL_PAGE_BITS
    this.#pageEnds = isLarge ? this.#largePageEnds : this.#smallPageEnds
    batch.sort(this.#slots, this.#pageBits, this.#pageEnds)
    this.#phase = Phase.LOOK_UP
    this.#at = 0
    return empty
  }

  /** A few system calls' worth of work. */
  step(): void {
    switch (this.#phase) {
      case Phase.LOOK_UP:
        if (!this.#nextPage()) this.#enter(Phase.WRITE_ENTRIES)
        else this.#lookUp()
        break
      case Phase.WRITE_ENTRIES:
        if (this.#at === this.#batch.count) this.#enter(Phase.WRITE_SLOTS)
        else this.#writeEntries()
        break
      case Phase.WRITE_SLOTS:
        if (!this.#nextPage()) this.#enter(Phase.DONE)
        else this.#writeSlots()
        break
    }
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#at = 0
  }

  #startOf(page: number): number {
    return page === 0 ? 0 : this.#pageEnds[page - 1]!
  }

  /** Moves on to the next page with items and reads it; false when there is none. */
  #nextPage(): boolean {
    const pages = this.#pageEnds.length
    while (this.#at < pages && this.#startOf(this.#at) === this.#pageEnds[this.#at]) this.#at++
    if (this.#at === pages) return false
    const firstSlot = this.#at << this.#pageBits
    const slotCount = Math.min(1 << this.#pageBits, this.#slots - firstSlot)
    const sizeBytes = slotCount * KEY_INDEX_SLOT_BYTES
    readFully(this.#descriptor, this.#page, 0, sizeBytes, this.#pagePosition(), 'key index')
    return true
  }

  #pagePosition(): number {
    return KEY_INDEX_HEADER_BYTES + (this.#at << this.#pageBits) * KEY_INDEX_SLOT_BYTES
  }

  #lookUp(): void {
    const { order, previousEntries, first } = this.#batch
    const view = this.#pageView
    for (let at = this.#startOf(this.#at); at < this.#pageEnds[this.#at]!; at++) {
      const item = order[at]!
      const slotAt = this.#slotAt(item)
      const found = view.getInt32(slotAt)
      const isEntry = found > 0 && found < first + item
      if (!isEntry) this.#usedSlots++
      previousEntries[item] = isEntry ? found : 0
      view.setInt32(slotAt, first + item)
    }
    this.#at++
  }

  #writeEntries(): void {
    const batch = this.#batch
    const count = Math.min(ENTRIES_PER_STEP, batch.count - this.#at)
    this.#layEntries(count)
    const position = keyIndexEntryAt(batch.first + this.#at, this.#slots)
    const sizeBytes = count * KEY_INDEX_ENTRY_BYTES
    const isMany = batch.count >= LARGE_FROM_ITEMS
    const descriptor = isMany ? this.#syncedDescriptor : this.#descriptor
    writeFully(descriptor, this.#entries, 0, sizeBytes, position, 'key index')
    this.#at += count
  }

  /**
   * By itself: what V8 compiles of a running loop was compiled before what follows the loop ever
   * ran, and it goes back to the interpreter there each time.
   */
  #layEntries(count: number): void {
    const batch = this.#batch
    for (let entry = 0; entry < count; entry++) {
      const item = this.#at + entry
      writeKeyIndexEntry(
        this.#entriesView,
        entry * KEY_INDEX_ENTRY_BYTES,
        batch.keyHashes[item]!,
        batch.physicalOffsets[item]!,
        batch.timeDifferencesSeconds[item]!,
        batch.previousEntries[item]!,
      )
    }
  }

  /** Writes only from the first to the last slot that changes. */
  #writeSlots(): void {
    const { order, first } = this.#batch
    let low = MAX_PAGE_BYTES
    let high = 0
    for (let at = this.#startOf(this.#at); at < this.#pageEnds[this.#at]!; at++) {
      const item = order[at]!
      const slotAt = this.#slotAt(item)
      this.#pageView.setInt32(slotAt, first + item)
      low = Math.min(low, slotAt)
      high = Math.max(high, slotAt + KEY_INDEX_SLOT_BYTES)
    }
    const position = this.#pagePosition() + low
    writeFully(this.#descriptor, this.#page, low, high - low, position, 'key index')
    this.#at++
  }

  /** Where the item's slot is in its page. */
  #slotAt(item: number): number {
    const slot = this.#batch.slots[item]!
    return (slot & ((1 << this.#pageBits) - 1)) * KEY_INDEX_SLOT_BYTES
  }
}
