/**
 * Brings the newest index file back to a known number of entries after a crash, without reading the
 * log. Owns the rule that afterwards no slot points at a dropped entry and everything behind the
 * last entry is zero.
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import { onDisk, readFully, writeFully } from '@ringledger/base/internal'
import {
  KEY_INDEX_ENTRY_BYTES,
  KEY_INDEX_HEADER_BYTES,
  KEY_INDEX_SLOT_BYTES,
  type KeyIndexEntry,
  type KeyIndexHeader,
  keyIndexEntryAt,
  keyIndexFileBytes,
  keyIndexSlotAt,
  readKeyIndexEntry,
  readKeyIndexHeader,
} from '@ringledger/protocol'
import { readEntryAt, writeHeader } from './index-writer.ts'

const CHUNK_ENTRIES = 8192
const CHUNK_SLOTS = 65_536

/**
 * Cuts the file to the entries below `indexCount`. `pagesTrusted`: the kernel survived, so
 * everything that was handed to it is there and dropped entries can be undone one by one; else the
 * slots are computed anew from the entries. Returns the header. Throws LedgerError `CORRUPT` when
 * an entry that must be there is not.
 */
export function cutIndexFile(
  path: string,
  slots: number,
  entries: number,
  indexCount: number,
  pagesTrusted: boolean,
): KeyIndexHeader {
  return onDisk(`recovery of ${path}`, () => {
    const descriptor = openSync(path, 'r+')
    try {
      ftruncateSync(descriptor, keyIndexFileBytes(slots, entries))
      const header = readHeader(descriptor)
      if (pagesTrusted) undoEntries(descriptor, slots, entries, indexCount)
      ftruncateSync(descriptor, keyIndexEntryAt(indexCount, slots))
      ftruncateSync(descriptor, keyIndexFileBytes(slots, entries))
      header.slotCount = pagesTrusted
        ? countUsedSlots(descriptor, slots)
        : rebuildSlots(descriptor, slots, indexCount, path)
      setTail(descriptor, slots, header, indexCount, path)
      writeHeader(descriptor, header)
      if (!pagesTrusted) fdatasyncSync(descriptor)
      return header
    } finally {
      closeSync(descriptor)
    }
  })
}

/** Of the file at `path`. */
export function readHeaderOf(path: string): KeyIndexHeader {
  return onDisk(`header of ${path}`, () => {
    const descriptor = openSync(path, 'r')
    try {
      return readHeader(descriptor)
    } finally {
      closeSync(descriptor)
    }
  })
}

export function readHeader(descriptor: number): KeyIndexHeader {
  const bytes = Buffer.alloc(KEY_INDEX_HEADER_BYTES)
  readFully(descriptor, bytes, 0, bytes.length, 0, 'key index')
  return readKeyIndexHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0)
}

/** Newest first: where a slot points at a dropped entry, it gets the one before. */
function undoEntries(descriptor: number, slots: number, entries: number, from: number): void {
  const chunk = new EntryChunk(descriptor, slots)
  let end = from
  while (end < entries) {
    const used = chunk.load(end, Math.min(entries, end + CHUNK_ENTRIES))
    end += used
    if (used < CHUNK_ENTRIES) break
  }
  const slot = Buffer.alloc(KEY_INDEX_SLOT_BYTES)
  for (let chunkEnd = end; chunkEnd > from; chunkEnd -= CHUNK_ENTRIES) {
    const first = Math.max(from, chunkEnd - CHUNK_ENTRIES)
    for (let at = chunk.load(first, chunkEnd) - 1; at >= 0; at--) {
      const entry = chunk.entry(at)
      const position = keyIndexSlotAt(entry.keyHash, slots)
      readFully(descriptor, slot, 0, slot.length, position, 'key index')
      if (slot.readInt32BE() !== first + at) continue
      slot.writeInt32BE(entry.previousEntry)
      writeFully(descriptor, slot, 0, slot.length, position, 'key index')
    }
  }
}

function countUsedSlots(descriptor: number, slots: number): number {
  const chunk = Buffer.alloc(CHUNK_SLOTS * KEY_INDEX_SLOT_BYTES)
  const entries = new Int32Array(chunk.buffer, chunk.byteOffset, CHUNK_SLOTS)
  let used = 0
  for (let first = 0; first < slots; first += CHUNK_SLOTS) {
    const count = Math.min(CHUNK_SLOTS, slots - first)
    const position = KEY_INDEX_HEADER_BYTES + first * KEY_INDEX_SLOT_BYTES
    readFully(descriptor, chunk, 0, count * KEY_INDEX_SLOT_BYTES, position, 'key index')
    for (let slot = 0; slot < count; slot++) if (entries[slot] !== 0) used++
  }
  return used
}

/** Some entries read at once. */
class EntryChunk {
  readonly #descriptor: number
  readonly #slots: number
  readonly #bytes: Buffer = Buffer.alloc(CHUNK_ENTRIES * KEY_INDEX_ENTRY_BYTES)
  readonly #view: DataView = new DataView(this.#bytes.buffer, 0, this.#bytes.length)

  constructor(descriptor: number, slots: number) {
    this.#descriptor = descriptor
    this.#slots = slots
  }

  /** Reads the entries [first, end), at most a chunk; returns how many are used, up to a gap. */
  load(first: number, end: number): number {
    const sizeBytes = (end - first) * KEY_INDEX_ENTRY_BYTES
    const position = keyIndexEntryAt(first, this.#slots)
    const sizeRead = readFully(this.#descriptor, this.#bytes, 0, sizeBytes, position, 'key index')
    const count = Math.floor(sizeRead / KEY_INDEX_ENTRY_BYTES)
    for (let at = 0; at < count; at++) {
      if (isEmpty(this.entry(at))) return at
    }
    return count
  }

  /** The entry `first + at` of the last load. */
  entry(at: number): KeyIndexEntry {
    return readKeyIndexEntry(this.#view, at * KEY_INDEX_ENTRY_BYTES)
  }
}

/** A plain log begins at offset 0: only together with no hash does that mean an unused entry. */
function isEmpty({ keyHash, physicalOffset }: KeyIndexEntry): boolean {
  return keyHash === 0 && physicalOffset === 0
}

/** Returns how many slots are in use. */
function rebuildSlots(descriptor: number, slots: number, indexCount: number, path: string): number {
  let used = 0
  const table = Buffer.alloc(slots * KEY_INDEX_SLOT_BYTES)
  const tableView = new DataView(table.buffer, table.byteOffset, table.length)
  const chunk = new EntryChunk(descriptor, slots)
  for (let first = 1; first < indexCount; first += CHUNK_ENTRIES) {
    const count = Math.min(CHUNK_ENTRIES, indexCount - first)
    if (chunk.load(first, first + count) < count) {
      throw new LedgerError('CORRUPT', `${path}: entries from ${first} on are missing`)
    }
    for (let at = 0; at < count; at++) {
      const entry = chunk.entry(at)
      const slotAt = (entry.keyHash % slots) * KEY_INDEX_SLOT_BYTES
      const isSane = entry.keyHash >= 0 && entry.physicalOffset >= 0 && !isEmpty(entry)
      if (!isSane || tableView.getInt32(slotAt) !== entry.previousEntry) {
        throw new LedgerError('CORRUPT', `${path}: entry ${first + at} is damaged`)
      }
      if (entry.previousEntry === 0) used++
      tableView.setInt32(slotAt, first + at)
    }
  }
  writeFully(descriptor, table, 0, table.length, KEY_INDEX_HEADER_BYTES, 'key index')
  return used
}

/** The header's end fields, from the last entry that stays (its time is known to the second). */
function setTail(
  descriptor: number,
  slots: number,
  header: KeyIndexHeader,
  indexCount: number,
  path: string,
): void {
  const isSame = header.indexCount === indexCount
  header.indexCount = indexCount
  if (indexCount <= 1 || isSame) return
  const last = readEntryAt(descriptor, indexCount - 1, slots)
  if (last.physicalOffset < 0 || isEmpty(last)) {
    throw new LedgerError('CORRUPT', `${path}: entry ${indexCount - 1} is missing`)
  }
  if (header.beginPhysicalOffset !== readEntryAt(descriptor, 1, slots).physicalOffset) {
    throw new LedgerError('CORRUPT', `${path}: the header was never written`)
  }
  header.endPhysicalOffset = last.physicalOffset
  header.endTimestampMs = header.beginTimestampMs + last.timeDifferenceSeconds * 1000 + 999
}
