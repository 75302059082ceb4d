/**
 * Brings the newest index file back to a known number of entries after a crash, without reading the
 * log. Owns the rule that afterwards no slot points at a dropped entry and everything behind the
 * last entry is zero.
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import {
  KEY_INDEX_ENTRY_BYTES,
  KEY_INDEX_HEADER_BYTES,
  KEY_INDEX_SLOT_BYTES,
  type KeyIndexHeader,
  keyIndexEntryAt,
  keyIndexFileBytes,
  readKeyIndexEntry,
  readKeyIndexHeader,
} from '@ringledger/protocol'
import { onDisk, readFully, writeFully } from './file-io.ts'
import { readEntryAt, writeHeader } from './index-writer.ts'

const CHUNK_ENTRIES = 8192

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
      if (!pagesTrusted) rebuildSlots(descriptor, slots, indexCount, path)
      setTail(descriptor, slots, header, indexCount, path)
      writeHeader(descriptor, header)
      if (!pagesTrusted) fdatasyncSync(descriptor)
      return header
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
  let end = from
  while (end < entries && isUsed(descriptor, end, slots)) end++
  const slot = Buffer.alloc(KEY_INDEX_SLOT_BYTES)
  for (let number = end - 1; number >= from; number--) {
    const entry = readEntryAt(descriptor, number, slots)
    const position = KEY_INDEX_HEADER_BYTES + (entry.keyHash % slots) * KEY_INDEX_SLOT_BYTES
    readFully(descriptor, slot, 0, slot.length, position, 'key index')
    if (slot.readInt32BE() !== number) continue
    slot.writeInt32BE(entry.previousEntry)
    writeFully(descriptor, slot, 0, slot.length, position, 'key index')
  }
}

function isUsed(descriptor: number, number: number, slots: number): boolean {
  const entry = readEntryAt(descriptor, number, slots)
  return entry.physicalOffset !== 0 || entry.keyHash !== 0
}

function rebuildSlots(descriptor: number, slots: number, indexCount: number, path: string): void {
  const table = Buffer.alloc(slots * KEY_INDEX_SLOT_BYTES)
  const tableView = new DataView(table.buffer, table.byteOffset, table.length)
  const chunk = Buffer.alloc(CHUNK_ENTRIES * KEY_INDEX_ENTRY_BYTES)
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
  for (let first = 1; first < indexCount; first += CHUNK_ENTRIES) {
    const count = Math.min(CHUNK_ENTRIES, indexCount - first)
    const position = keyIndexEntryAt(first, slots)
    readFully(descriptor, chunk, 0, count * KEY_INDEX_ENTRY_BYTES, position, 'key index')
    for (let at = 0; at < count; at++) {
      const entry = readKeyIndexEntry(view, at * KEY_INDEX_ENTRY_BYTES)
      const slotAt = (entry.keyHash % slots) * KEY_INDEX_SLOT_BYTES
      const isSane = entry.keyHash >= 0 && entry.physicalOffset > 0
      if (!isSane || tableView.getInt32(slotAt) !== entry.previousEntry) {
        throw new LedgerError('CORRUPT', `${path}: entry ${first + at} is damaged`)
      }
      tableView.setInt32(slotAt, first + at)
    }
  }
  writeFully(descriptor, table, 0, table.length, KEY_INDEX_HEADER_BYTES, 'key index')
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
  if (last.physicalOffset <= 0) {
    throw new LedgerError('CORRUPT', `${path}: entry ${indexCount - 1} is missing`)
  }
  if (header.beginPhysicalOffset !== readEntryAt(descriptor, 1, slots).physicalOffset) {
    throw new LedgerError('CORRUPT', `${path}: the header was never written`)
  }
  header.endPhysicalOffset = last.physicalOffset
  header.endTimestampMs = header.beginTimestampMs + last.timeDifferenceSeconds * 1000 + 999
}
