/**
 * The newest file of the key index, open for writing (format: rocketmq-store.md §2.4). Owns the
 * invariants: entries reach the file in order and before any slot that points at them; the header
 * in memory is the truth, the one in the file follows.
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync } from 'node:fs'
import {
  KEY_INDEX_ENTRY_BYTES,
  KEY_INDEX_HEADER_BYTES,
  type KeyIndexEntry,
  type KeyIndexHeader,
  keyIndexEntryAt,
  keyIndexFileBytes,
  readKeyIndexEntry,
  writeKeyIndexEntry,
  writeKeyIndexHeader,
} from '@ringledger/protocol'
import { onDisk, readFully, writeFully } from './file-io.ts'
import { SlotPages } from './slot-pages.ts'

const BUFFER_ENTRIES = 4096

export interface IndexShape {
  slots: number
  /** Entries a file can hold, the unused entry 0 included. */
  entries: number
  maxFrames: number
}

export class IndexWriter {
  readonly path: string
  readonly header: KeyIndexHeader
  readonly pages: SlotPages
  readonly #shape: IndexShape
  readonly #descriptor: number
  readonly #bytes: Buffer = Buffer.allocUnsafeSlow(BUFFER_ENTRIES * KEY_INDEX_ENTRY_BYTES)
  readonly #view: DataView = new DataView(this.#bytes.buffer, 0, this.#bytes.length)
  /** Number of the entry at the buffer's start; those below are in the file. */
  #bufferFirst: number

  /** Opens `path` (made when needed) whose content `header` describes. */
  constructor(path: string, shape: IndexShape, header: KeyIndexHeader) {
    this.path = path
    this.header = header
    this.#shape = shape
    this.#bufferFirst = header.indexCount
    this.#descriptor = onDisk(`index file ${path}`, () => {
      const descriptor = openSync(path, header.indexCount === 1 ? 'w+' : 'r+')
      ftruncateSync(descriptor, keyIndexFileBytes(shape.slots, shape.entries))
      return descriptor
    })
    this.pages = new SlotPages({
      descriptor: this.#descriptor,
      slots: shape.slots,
      maxFrames: shape.maxFrames,
      beforeWrite: () => this.#writeEntries(),
    })
  }

  get isFull(): boolean {
    return this.header.indexCount >= this.#shape.entries
  }

  get memoryBytes(): number {
    return this.pages.memoryBytes + this.#bytes.length
  }

  put(keyHash: number, physicalOffset: number, storeTimestampMs: number): void {
    const header = this.header
    const entry = header.indexCount
    if (entry - this.#bufferFirst === BUFFER_ENTRIES) this.#writeEntries()
    if (entry === 1) {
      header.beginTimestampMs = storeTimestampMs
      header.beginPhysicalOffset = physicalOffset
    }
    const found = this.pages.exchange(keyHash % this.#shape.slots, entry)
    const isChained = found > 0 && found < entry
    if (!isChained) header.slotCount++
    writeKeyIndexEntry(
      this.#view,
      (entry - this.#bufferFirst) * KEY_INDEX_ENTRY_BYTES,
      keyHash,
      physicalOffset,
      Math.floor((storeTimestampMs - header.beginTimestampMs) / 1000),
      isChained ? found : 0,
    )
    header.endTimestampMs = storeTimestampMs
    header.endPhysicalOffset = physicalOffset
    header.indexCount = entry + 1
  }

  /** Newest entry of the slot of `keyHash`, 0 if none. */
  newest(keyHash: number): number {
    return this.pages.get(keyHash % this.#shape.slots)
  }

  entry(number: number): KeyIndexEntry {
    if (number >= this.#bufferFirst) {
      return readKeyIndexEntry(this.#view, (number - this.#bufferFirst) * KEY_INDEX_ENTRY_BYTES)
    }
    return readEntryAt(this.#descriptor, number, this.#shape.slots)
  }

  beginFlush(): void {
    this.pages.beginFlush()
  }

  /**
   * Hands up to `maxPages` pages to the kernel; true while more are left. The last step writes
   * entries and header.
   */
  flushStep(maxPages: number): boolean {
    if (this.pages.flushStep(maxPages)) return true
    this.#writeEntries()
    this.#writeHeader()
    return false
  }

  flush(): void {
    this.beginFlush()
    while (this.flushStep(1024));
  }

  /** Makes what was flushed durable. */
  sync(): void {
    onDisk(`sync of ${this.path}`, () => fdatasyncSync(this.#descriptor))
  }

  close(): void {
    this.flush()
    this.abandon()
  }

  /** Closes without writing anything. */
  abandon(): void {
    closeSync(this.#descriptor)
  }

  #writeEntries(): void {
    const count = this.header.indexCount - this.#bufferFirst
    if (count === 0) return
    const position = keyIndexEntryAt(this.#bufferFirst, this.#shape.slots)
    writeFully(
      this.#descriptor,
      this.#bytes,
      0,
      count * KEY_INDEX_ENTRY_BYTES,
      position,
      'key index',
    )
    this.#bufferFirst = this.header.indexCount
  }

  #writeHeader(): void {
    writeHeader(this.#descriptor, this.header)
  }
}

const scratch: Buffer = Buffer.alloc(KEY_INDEX_HEADER_BYTES)
const scratchView: DataView = new DataView(scratch.buffer, scratch.byteOffset, scratch.length)

export function writeHeader(descriptor: number, header: KeyIndexHeader): void {
  writeKeyIndexHeader(scratchView, 0, header)
  writeFully(descriptor, scratch, 0, KEY_INDEX_HEADER_BYTES, 0, 'key index')
}

/** An entry from the file; all zero behind the end. */
export function readEntryAt(descriptor: number, number: number, slots: number): KeyIndexEntry {
  scratch.fill(0, 0, KEY_INDEX_ENTRY_BYTES)
  const position = keyIndexEntryAt(number, slots)
  readFully(descriptor, scratch, 0, KEY_INDEX_ENTRY_BYTES, position, 'key index')
  return readKeyIndexEntry(scratchView, 0)
}
