/**
 * The hash slots of the newest index file through a small write-back cache of 4 KiB pages, because
 * Node has no mmap. Owns the invariants: a changed page is written before its frame is reused, and
 * `beforeWrite` (which puts the entries that slots point at into the file) runs before any page is
 * written.
 */
import { KEY_INDEX_HEADER_BYTES, KEY_INDEX_SLOT_BYTES } from '@ringledger/protocol'
import { readFully, writeFully } from './file-io.ts'

const PAGE_BYTES = 4096
const SLOTS_PER_PAGE = PAGE_BYTES / KEY_INDEX_SLOT_BYTES
const FIRST_FRAMES = 64
/**
 * Changed pages written in one go when a frame is needed: `beforeWrite` is then paid once for all
 * of them.
 */
const EVICTION_BATCH = 64

export const DEFAULT_MAX_FRAMES = 2048

export class SlotPages {
  readonly #descriptor: number
  readonly #slots: number
  readonly #maxFrames: number
  readonly #beforeWrite: () => void
  /** Frame number + 1 of each page, 0 when it is not in memory. */
  readonly #frameOf: Int32Array
  #frames = 0
  #bytes: Buffer = Buffer.alloc(0)
  #view: DataView = new DataView(this.#bytes.buffer, 0, 0)
  #pageOf = new Int32Array(0)
  #recent = new Uint8Array(0)
  #changed = new Uint8Array(0)
  #hand = 0
  #flushAt = 0

  constructor(options: {
    descriptor: number
    slots: number
    maxFrames: number
    beforeWrite: () => void
  }) {
    this.#descriptor = options.descriptor
    this.#slots = options.slots
    this.#beforeWrite = options.beforeWrite
    const pages = Math.ceil(options.slots / SLOTS_PER_PAGE)
    this.#maxFrames = Math.min(pages, options.maxFrames)
    this.#frameOf = new Int32Array(pages)
    this.#grow()
  }

  get memoryBytes(): number {
    return this.#bytes.length
  }

  get(slot: number): number {
    return this.#view.getInt32(this.#locate(slot))
  }

  /** Puts `value` into the slot and returns what was there. */
  exchange(slot: number, value: number): number {
    const at = this.#locate(slot)
    const previous = this.#view.getInt32(at)
    this.#view.setInt32(at, value)
    this.#changed[at >>> 12] = 1
    return previous
  }

  /** From here on `flushStep` writes every page changed so far. */
  beginFlush(): void {
    this.#flushAt = 0
  }

  /** Writes up to `maxPages` changed pages; true while more are left. */
  flushStep(maxPages: number): boolean {
    let written = 0
    while (this.#flushAt < this.#frames) {
      const frame = this.#flushAt++
      if (this.#changed[frame] === 0) continue
      if (written === 0) this.#beforeWrite()
      this.#writePage(frame)
      if (++written === maxPages) return this.#flushAt < this.#frames
    }
    return false
  }

  /** Byte offset of the slot in the cache; its frame number is that divided by the page size. */
  #locate(slot: number): number {
    const page = Math.floor(slot / SLOTS_PER_PAGE)
    let frame = this.#frameOf[page]! - 1
    if (frame < 0) frame = this.#read(page)
    this.#recent[frame] = 1
    return frame * PAGE_BYTES + (slot % SLOTS_PER_PAGE) * KEY_INDEX_SLOT_BYTES
  }

  #read(page: number): number {
    const frame = this.#freeFrame()
    const sizeBytes = this.#pageBytes(page)
    readFully(
      this.#descriptor,
      this.#bytes,
      frame * PAGE_BYTES,
      sizeBytes,
      pagePosition(page),
      'key index',
    )
    this.#pageOf[frame] = page
    this.#frameOf[page] = frame + 1
    return frame
  }

  #freeFrame(): number {
    if (this.#frames === this.#bytes.length / PAGE_BYTES && this.#frames < this.#maxFrames) {
      this.#grow()
    }
    if (this.#frames < this.#bytes.length / PAGE_BYTES) return this.#frames++
    const frame = this.#victim()
    if (this.#changed[frame] !== 0) this.#cleanFrom(frame)
    this.#frameOf[this.#pageOf[frame]!] = 0
    return frame
  }

  /** Clock: the next frame that was not used since the hand last passed it. */
  #victim(): number {
    for (;;) {
      const frame = this.#hand
      this.#hand = (frame + 1) % this.#frames
      if (this.#recent[frame] === 0) return frame
      this.#recent[frame] = 0
    }
  }

  /** Writes this page and the ones the hand meets next. */
  #cleanFrom(victim: number): void {
    this.#beforeWrite()
    this.#writePage(victim)
    const batch = Math.min(EVICTION_BATCH, this.#frames)
    for (let step = 1; step < batch; step++) {
      const frame = (victim + step) % this.#frames
      if (this.#changed[frame] !== 0) this.#writePage(frame)
    }
  }

  #writePage(frame: number): void {
    const page = this.#pageOf[frame]!
    writeFully(
      this.#descriptor,
      this.#bytes,
      frame * PAGE_BYTES,
      this.#pageBytes(page),
      pagePosition(page),
      'key index',
    )
    this.#changed[frame] = 0
  }

  #pageBytes(page: number): number {
    const behind = this.#slots - page * SLOTS_PER_PAGE
    return Math.min(behind, SLOTS_PER_PAGE) * KEY_INDEX_SLOT_BYTES
  }

  #grow(): void {
    const frames = Math.min(this.#maxFrames, Math.max(FIRST_FRAMES, this.#frames * 2))
    const bytes = Buffer.allocUnsafeSlow(frames * PAGE_BYTES)
    this.#bytes.copy(bytes)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#pageOf = lengthened(this.#pageOf, new Int32Array(frames))
    this.#recent = lengthened(this.#recent, new Uint8Array(frames))
    this.#changed = lengthened(this.#changed, new Uint8Array(frames))
  }
}

function pagePosition(page: number): number {
  return KEY_INDEX_HEADER_BYTES + page * PAGE_BYTES
}

function lengthened<Typed extends Int32Array | Uint8Array>(from: Typed, to: Typed): Typed {
  to.set(from)
  return to
}
