/**
 * One 32-byte unit of DLedger's index files (reference dledger.md §4.4): int32 magic, int64
 * position, int32 size, int64 index, int64 term. Unit k lies at byte k * 32 of the index stream.
 */
import { getInt64, setInt64 } from '../bytes.ts'
import { MAGIC_NORMAL } from './entry.ts'

export const INDEX_UNIT_BYTES = 32

export interface IndexUnit {
  magic: number
  position: number
  /** Of the whole entry, header included. */
  sizeBytes: number
  index: number
  term: number
}

export function writeIndexUnit(
  view: DataView,
  offset: number,
  position: number,
  sizeBytes: number,
  index: number,
  term: number,
): void {
  view.setInt32(offset, MAGIC_NORMAL)
  setInt64(view, offset + 4, position)
  view.setInt32(offset + 12, sizeBytes)
  setInt64(view, offset + 16, index)
  setInt64(view, offset + 24, term)
}

/**
 * Reads a unit as it stands; the caller compares it with the entry (an unused unit has magic 0).
 */
export function readIndexUnit(view: DataView, offset: number): IndexUnit {
  return {
    magic: view.getInt32(offset),
    position: indexUnitPosition(view, offset),
    sizeBytes: indexUnitSize(view, offset),
    index: getInt64(view, offset + 16),
    term: getInt64(view, offset + 24),
  }
}

export function indexUnitPosition(view: DataView, offset: number): number {
  return getInt64(view, offset + 4)
}

export function indexUnitSize(view: DataView, offset: number): number {
  return view.getInt32(offset + 12)
}
