/**
 * The key index file of a broker (reference rocketmq-store.md §2.4): a 40-byte header, hash slots
 * of 4 bytes, entries of 20 bytes chained from newest to oldest. Entry 0 is never used; only the
 * hash of a key is stored, so a reader verifies key and topic in the message.
 */
import { getInt64, setInt64 } from '../bytes.ts'
import { javaHashCode } from '../message/tags.ts'

export const KEY_INDEX_HEADER_BYTES = 40
export const KEY_INDEX_SLOT_BYTES = 4
export const KEY_INDEX_ENTRY_BYTES = 20
export const KEY_INDEX_DEFAULT_SLOTS = 5_000_000
export const KEY_INDEX_DEFAULT_ENTRIES = 20_000_000

const MAX_INT32 = 0x7fffffff

export interface KeyIndexHeader {
  beginTimestampMs: number
  endTimestampMs: number
  beginPhysicalOffset: number
  endPhysicalOffset: number
  /** Slots in use. */
  slotCount: number
  /** Number of the next entry; starts at 1. */
  indexCount: number
}

export interface KeyIndexEntry {
  keyHash: number
  physicalOffset: number
  /** Seconds since the file's begin timestamp. */
  timeDifferenceSeconds: number
  /** Previous entry of the same slot, 0 at the end of the chain. */
  previousEntry: number
}

export function keyIndexFileBytes(slots: number, entries: number): number {
  return KEY_INDEX_HEADER_BYTES + KEY_INDEX_SLOT_BYTES * slots + KEY_INDEX_ENTRY_BYTES * entries
}

export function keyIndexSlotAt(keyHash: number, slots: number): number {
  return KEY_INDEX_HEADER_BYTES + KEY_INDEX_SLOT_BYTES * (keyHash % slots)
}

export function keyIndexEntryAt(entry: number, slots: number): number {
  return KEY_INDEX_HEADER_BYTES + KEY_INDEX_SLOT_BYTES * slots + KEY_INDEX_ENTRY_BYTES * entry
}

/** The text that is hashed for a key of a message. */
export function keyIndexKey(topic: string, key: string): string {
  return `${topic}#${key}`
}

/** Non-negative hash of an index key (see `keyIndexKey`). */
export function keyIndexHash(indexKey: string): number {
  return nonNegativeHash(javaHashCode(indexKey))
}

/**
 * Absolute value as Java's int arithmetic has it, where the smallest int has none: that gives 0.
 */
export function nonNegativeHash(hashCode: number): number {
  const absolute = Math.abs(hashCode)
  return absolute > MAX_INT32 ? 0 : absolute
}

export function readKeyIndexHeader(view: DataView, offset: number): KeyIndexHeader {
  return {
    beginTimestampMs: getInt64(view, offset),
    endTimestampMs: getInt64(view, offset + 8),
    beginPhysicalOffset: getInt64(view, offset + 16),
    endPhysicalOffset: getInt64(view, offset + 24),
    slotCount: view.getInt32(offset + 32),
    indexCount: view.getInt32(offset + 36),
  }
}

export function writeKeyIndexHeader(view: DataView, offset: number, header: KeyIndexHeader): void {
  setInt64(view, offset, header.beginTimestampMs)
  setInt64(view, offset + 8, header.endTimestampMs)
  setInt64(view, offset + 16, header.beginPhysicalOffset)
  setInt64(view, offset + 24, header.endPhysicalOffset)
  view.setInt32(offset + 32, header.slotCount)
  view.setInt32(offset + 36, header.indexCount)
}

export function readKeyIndexEntry(view: DataView, offset: number): KeyIndexEntry {
  return {
    keyHash: view.getInt32(offset),
    physicalOffset: getInt64(view, offset + 4),
    timeDifferenceSeconds: view.getInt32(offset + 12),
    previousEntry: view.getInt32(offset + 16),
  }
}

export function writeKeyIndexEntry(
  view: DataView,
  offset: number,
  keyHash: number,
  physicalOffset: number,
  timeDifferenceSeconds: number,
  previousEntry: number,
): void {
  view.setInt32(offset, keyHash)
  setInt64(view, offset + 4, physicalOffset)
  view.setInt32(offset + 12, Math.min(MAX_INT32, Math.max(0, timeDifferenceSeconds)))
  view.setInt32(offset + 16, previousEntry)
}
