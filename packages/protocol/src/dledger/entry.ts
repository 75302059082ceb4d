/**
 * A DLedger log entry: 48-byte header and body, and the blank that fills the end of a segment
 * (reference dledger.md §4.2, §4.3). Owns the two checksums of our groups: `bodyCrc` = CRC-32 of
 * the body; `chainCrc` = CRC-32, seeded with the previous entry's `chainCrc`, of the header without
 * itself, so that one equal `chainCrc` means an equal history.
 */
import { LedgerError } from '@ringledger/base'
import { getInt64, setInt64 } from '../bytes.ts'
import { crc32, crc32OfShort } from '../crc32.ts'

export const ENTRY_HEADER_BYTES = 48
export const BLANK_HEADER_BYTES = 8
export const MAGIC_NORMAL = 1
export const MAGIC_BLANK = -1
/** Apache leaves the channel 0, and so do entries of users. */
export const CHANNEL_NORMAL = 0
/** The entry that opens a leader's term, where the log belongs to no broker. */
export const CHANNEL_BARRIER = 1

const SIZE_AT = 4
const INDEX_AT = 8
const TERM_AT = 16
const POSITION_AT = 24
const CHANNEL_AT = 32
const CHAIN_CRC_AT = 36
const BODY_CRC_AT = 40
const BODY_BYTES_AT = 44

export interface EntryHeader {
  index: number
  term: number
  /** Global position of the entry's first byte in the data stream. */
  position: number
  bodyBytes: number
  /** Who the entry is for; {@link CHANNEL_NORMAL} by default. The checksums cover it. */
  channel?: number
}

/**
 * Writes the 48 header bytes with both checksums 0; `sealEntry` fills them once the body is final.
 */
export function writeEntryHeader(view: DataView, offset: number, header: EntryHeader): void {
  view.setInt32(offset, MAGIC_NORMAL)
  view.setInt32(offset + SIZE_AT, ENTRY_HEADER_BYTES + header.bodyBytes)
  setInt64(view, offset + INDEX_AT, header.index)
  setInt64(view, offset + TERM_AT, header.term)
  setInt64(view, offset + POSITION_AT, header.position)
  view.setInt32(offset + CHANNEL_AT, header.channel ?? CHANNEL_NORMAL)
  view.setInt32(offset + CHAIN_CRC_AT, 0)
  view.setInt32(offset + BODY_CRC_AT, 0)
  view.setInt32(offset + BODY_BYTES_AT, header.bodyBytes)
}

export function entryMagic(view: DataView, offset: number): number {
  return view.getInt32(offset)
}

/** Bytes of the whole entry, header included (of a blank: of the whole filler). */
export function entrySize(view: DataView, offset: number): number {
  return view.getInt32(offset + SIZE_AT)
}

export function entryIndex(view: DataView, offset: number): number {
  return getInt64(view, offset + INDEX_AT)
}

export function entryTerm(view: DataView, offset: number): number {
  return getInt64(view, offset + TERM_AT)
}

export function entryPosition(view: DataView, offset: number): number {
  return getInt64(view, offset + POSITION_AT)
}

export function entryChannel(view: DataView, offset: number): number {
  return view.getInt32(offset + CHANNEL_AT)
}

/** Unsigned. */
export function entryChainCrc(view: DataView, offset: number): number {
  return view.getUint32(offset + CHAIN_CRC_AT)
}

/** Unsigned. */
export function entryBodyCrc(view: DataView, offset: number): number {
  return view.getUint32(offset + BODY_CRC_AT)
}

export function entryBodyBytes(view: DataView, offset: number): number {
  return view.getInt32(offset + BODY_BYTES_AT)
}

function chainCrcOf(bytes: Buffer, offset: number, previousChainCrc: number): number {
  const first = crc32OfShort(bytes, offset, offset + CHAIN_CRC_AT, previousChainCrc)
  return crc32OfShort(bytes, offset + BODY_CRC_AT, offset + ENTRY_HEADER_BYTES, first)
}

/**
 * Computes and writes both checksums of a complete entry; `bytes` and `view` cover the same memory.
 * Returns the entry's `chainCrc`, the seed of the next one (seed of the first entry: 0).
 */
export function sealEntry(
  bytes: Buffer,
  view: DataView,
  offset: number,
  previousChainCrc: number,
): number {
  const bodyStart = offset + ENTRY_HEADER_BYTES
  const bodyEnd = bodyStart + view.getInt32(offset + BODY_BYTES_AT)
  view.setInt32(offset + BODY_CRC_AT, crc32(bytes, bodyStart, bodyEnd) | 0)
  const chainCrc = chainCrcOf(bytes, offset, previousChainCrc)
  view.setInt32(offset + CHAIN_CRC_AT, chainCrc | 0)
  return chainCrc
}

/**
 * What `checkEntry` found. `legacy`: a sane entry whose checksums are both 0, as Apache writes it;
 * recovery accepts it only below the first checked entry. `blank`: a sane filler header. `unused`:
 * magic and size are 0, as in preallocated space. `short`: the bytes end inside the entry.
 */
export type EntryCheck =
  | 'ok'
  | 'legacy'
  | 'blank'
  | 'unused'
  | 'short'
  | 'magic'
  | 'size'
  | 'position'
  | 'index'
  | 'bodyCrc'
  | 'chainCrc'

export interface ExpectedEntry {
  position: number
  index?: number | undefined
  /** Without it the chain is not checked (the body still is). */
  previousChainCrc?: number | undefined
}

function checkHeader(
  view: DataView,
  offset: number,
  availableBytes: number,
  expected: ExpectedEntry,
): EntryCheck {
  if (availableBytes < BLANK_HEADER_BYTES) return 'short'
  const magic = entryMagic(view, offset)
  const sizeBytes = entrySize(view, offset)
  if (magic === MAGIC_BLANK) return sizeBytes >= BLANK_HEADER_BYTES ? 'blank' : 'size'
  if (magic === 0 && sizeBytes === 0) return 'unused'
  if (magic !== MAGIC_NORMAL) return 'magic'
  if (sizeBytes < ENTRY_HEADER_BYTES) return 'size'
  if (availableBytes < ENTRY_HEADER_BYTES) return 'short'
  if (entryBodyBytes(view, offset) !== sizeBytes - ENTRY_HEADER_BYTES) return 'size'
  if (entryPosition(view, offset) !== expected.position) return 'position'
  if (expected.index !== undefined && entryIndex(view, offset) !== expected.index) return 'index'
  return availableBytes < sizeBytes ? 'short' : 'ok'
}

/** Checks one entry of which `availableBytes` are there; see `EntryCheck`. Never throws. */
export function checkEntry(
  bytes: Buffer,
  view: DataView,
  offset: number,
  availableBytes: number,
  expected: ExpectedEntry,
): EntryCheck {
  const found = checkHeader(view, offset, availableBytes, expected)
  if (found !== 'ok') return found
  const chainCrc = entryChainCrc(view, offset)
  const bodyCrc = entryBodyCrc(view, offset)
  const unsealed = chainCrc === 0 && bodyCrc === 0
  const end = offset + entrySize(view, offset)
  if (crc32(bytes, offset + ENTRY_HEADER_BYTES, end) !== bodyCrc) {
    return unsealed ? 'legacy' : 'bodyCrc'
  }
  const seed = expected.previousChainCrc
  if (seed === undefined) return unsealed ? 'legacy' : 'ok'
  if (chainCrcOf(bytes, offset, seed) === chainCrc) return 'ok'
  return unsealed ? 'legacy' : 'chainCrc'
}

/**
 * Bytes of filler before an entry of `entryBytes` that would start at `positionInSegment`; 0 if it
 * fits. The rule keeps room for a blank's header behind every entry, so a segment always ends in
 * one. Throws `TOO_LARGE` when no segment can hold the entry.
 */
export function blankNeeded(
  positionInSegment: number,
  entryBytes: number,
  segmentBytes: number,
): number {
  if (entryBytes + BLANK_HEADER_BYTES > segmentBytes) {
    throw new LedgerError(
      'TOO_LARGE',
      `an entry of ${entryBytes} bytes does not fit a segment of ${segmentBytes} bytes`,
    )
  }
  const remainingBytes = segmentBytes - positionInSegment
  return entryBytes + BLANK_HEADER_BYTES > remainingBytes ? remainingBytes : 0
}

/** Writes a filler of `sizeBytes` (at least 8): its header, then zeros. */
export function writeBlank(bytes: Buffer, view: DataView, offset: number, sizeBytes: number): void {
  view.setInt32(offset, MAGIC_BLANK)
  view.setInt32(offset + SIZE_AT, sizeBytes)
  bytes.fill(0, offset + BLANK_HEADER_BYTES, offset + sizeBytes)
}
