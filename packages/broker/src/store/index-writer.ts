/**
 * The newest file of the key index, open for writing (format: rocketmq-store.md §2.4). New entries
 * gather in a batch; a full one goes to the file in steps while the next fills. Owns the header: in
 * memory it is the truth, the one in the file follows with every flush.
 */
import { closeSync, constants, fdatasyncSync, ftruncateSync, openSync } from 'node:fs'
import { isNoSpace, onDisk, onSync, readFully, writeFully } from '@ringledger/base/internal'
import {
  KEY_INDEX_ENTRY_BYTES,
  KEY_INDEX_HEADER_BYTES,
  type KeyIndexEntry,
  type KeyIndexHeader,
  keyIndexEntryAt,
  keyIndexFileBytes,
  keyIndexSlotAt,
  readKeyIndexEntry,
  writeKeyIndexHeader,
} from '@ringledger/protocol'
import { IndexAppender } from './index-appender.ts'
import { IndexBatch } from './index-batch.ts'

/** With a step for this many new entries a batch is in the file before the next is full. */
const PUTS_PER_STEP = 16

export interface IndexShape {
  slots: number
  /** Entries a file can hold, the unused entry 0 included. */
  entries: number
}

export class IndexWriter {
  readonly path: string
  readonly header: KeyIndexHeader
  readonly #shape: IndexShape
  readonly #descriptor: number
  readonly #syncedDescriptor: number
  readonly #appender: IndexAppender
  #batch: IndexBatch = new IndexBatch()
  #putsToStep = PUTS_PER_STEP
  /** Entries below this are to be in the file when the flush under way is done. */
  #flushTo = 0

  /** Opens `path` (made when needed) whose content `header` describes. */
  constructor(path: string, shape: IndexShape, header: KeyIndexHeader) {
    this.path = path
    this.header = header
    this.#shape = shape
    this.#descriptor = onDisk(`index file ${path}`, () => {
      const descriptor = openSync(path, header.indexCount === 1 ? 'w+' : 'r+')
      ftruncateSync(descriptor, keyIndexFileBytes(shape.slots, shape.entries))
      return descriptor
    })
    this.#syncedDescriptor = onDisk(`index file ${path}`, () =>
      openSync(path, constants.O_WRONLY | constants.O_DSYNC),
    )
    this.#appender = new IndexAppender(this.#descriptor, this.#syncedDescriptor, shape.slots)
    this.#batch.restart(header.indexCount)
  }

  get isFull(): boolean {
    return this.header.indexCount >= this.#shape.entries
  }

  get memoryBytes(): number {
    return this.#batch.memoryBytes + this.#appender.memoryBytes
  }

  put(keyHash: number, physicalOffset: number, storeTimestampMs: number): void {
    const header = this.header
    if (header.indexCount === 1) {
      header.beginTimestampMs = storeTimestampMs
      header.beginPhysicalOffset = physicalOffset
    }
    if (this.#batch.isFull) this.#seal()
    const seconds = Math.floor((storeTimestampMs - header.beginTimestampMs) / 1000)
    this.#batch.add(keyHash, physicalOffset, Math.max(0, seconds))
    header.endTimestampMs = storeTimestampMs
    header.endPhysicalOffset = physicalOffset
    header.indexCount++
    if (this.#appender.isBusy && --this.#putsToStep <= 0) {
      this.#putsToStep = PUTS_PER_STEP
      this.#stepAhead()
    }
  }

  /** The entry is taken already: lack of space is met again, and told, when the batch is full. */
  #stepAhead(): void {
    try {
      this.#appender.step()
    } catch (error) {
      if (!isNoSpace(error)) throw error
    }
  }

  /** Entries whose key may have this hash, newest first, until `visit` returns false. */
  search(keyHash: number, visit: (entry: KeyIndexEntry) => boolean): void {
    const appender = this.#appender
    if (!searchBatch(this.#batch, keyHash, visit)) return
    if (appender.isBusy && !searchBatch(appender.batch, keyHash, visit)) return
    const inMemoryFrom = appender.isBusy ? appender.batch.first : this.#batch.first
    searchFile(this.#descriptor, this.#shape.slots, keyHash, inMemoryFrom, visit)
  }

  /** From here on `flushStep` brings every entry put so far into the file. */
  beginFlush(): void {
    this.#flushTo = this.header.indexCount
  }

  /** Up to `steps` small steps; true while more are left. The last one writes the header. */
  flushStep(steps: number): boolean {
    const appender = this.#appender
    for (let step = 0; step < steps; step++) {
      if (!appender.isBusy) {
        if (this.#batch.first >= this.#flushTo || this.#batch.count === 0) {
          this.#writeHeader()
          return false
        }
        this.#seal()
      }
      appender.step()
    }
    return true
  }

  flush(): void {
    this.beginFlush()
    while (this.flushStep(1024));
  }

  /** Makes what was flushed durable. */
  sync(): void {
    onSync(`sync of ${this.path}`, () => fdatasyncSync(this.#descriptor))
  }

  close(): void {
    this.flush()
    this.abandon()
  }

  /** Closes without writing anything. */
  abandon(): void {
    closeSync(this.#descriptor)
    closeSync(this.#syncedDescriptor)
  }

  #seal(): void {
    while (this.#appender.isBusy) this.#appender.step()
    this.#batch = this.#appender.begin(this.#batch)
    this.#batch.restart(this.#appender.batch.end)
  }

  #writeHeader(): void {
    this.header.slotCount += this.#appender.takeUsedSlots()
    writeHeader(this.#descriptor, this.header)
  }
}

function searchBatch(
  batch: IndexBatch,
  keyHash: number,
  visit: (entry: KeyIndexEntry) => boolean,
): boolean {
  for (let item = batch.newest(keyHash); item >= 0; item = batch.older(item)) {
    const entry = {
      keyHash: batch.keyHashes[item]!,
      physicalOffset: batch.physicalOffsets[item]!,
      timeDifferenceSeconds: batch.timeDifferencesSeconds[item]!,
      previousEntry: 0,
    }
    if (!visit(entry)) return false
  }
  return true
}

/** The chain of `keyHash` in a file, entries from `limit` on left out. */
export function searchFile(
  descriptor: number,
  slots: number,
  keyHash: number,
  limit: number,
  visit: (entry: KeyIndexEntry) => boolean,
): void {
  readFully(descriptor, scratch, 0, 4, keyIndexSlotAt(keyHash, slots), 'key index')
  let number = scratch.readInt32BE()
  let below = Number.MAX_SAFE_INTEGER
  while (number > 0 && number < below) {
    const entry = readEntryAt(descriptor, number, slots)
    if (number < limit && !visit(entry)) return
    below = number
    number = entry.previousEntry
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
