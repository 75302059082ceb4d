/**
 * What disk-layer.c wrote down: every change of a store since its last loss of power, and every
 * sync. Owns the layout of a record; the C file names its fields. A record that the kill cut short
 * is the last one, and its change was not made.
 */
import { assert } from '@ringledger/base'

export const Kind = {
  WRITE: 1,
  SIZE: 2,
  SYNC: 3,
  CREATE: 4,
  MKDIR: 5,
  UNLINK: 6,
  RMDIR: 7,
  RENAME: 8,
  LINK: 9,
  SYNC_DIRECTORY: 10,
  VOID: 11,
  LIE: 12,
  SYNC_RANGE: 13,
} as const
export type Kind = (typeof Kind)[keyof typeof Kind]

export interface JournalRecord {
  /** Place in the journal: rises with time, and names the grave of a file that lost its name. */
  readonly sequence: number
  readonly kind: Kind
  readonly inode: bigint
  /**
   * WRITE, SYNC_RANGE: in the file. SYNC: records below this sequence are durable. VOID: what
   * failed.
   */
  readonly offset: number
  /** WRITE, SYNC_RANGE: bytes. SIZE: the new size. RENAME: 1 when the target was there. */
  readonly length: number
  readonly sizeBefore: number
  /** SYNC_RANGE: the range is durable as records below this sequence left it. */
  readonly below: number
  /** WRITE: what was overwritten; empty when zeros were, or nothing. */
  readonly before: Buffer
  readonly path: string
  readonly otherPath: string
}

const MAGIC = 0x4c4e524a
const HEADER_BYTES = 64

export function readJournal(bytes: Buffer): JournalRecord[] {
  const records: JournalRecord[] = []
  let at = 0
  while (at + HEADER_BYTES <= bytes.length) {
    assert(bytes.readUInt32LE(at) === MAGIC, 'the journal holds records only')
    const data = at + HEADER_BYTES
    const path = data + bytes.readUInt32LE(at + 40)
    const otherPath = path + bytes.readUInt32LE(at + 44)
    const end = otherPath + bytes.readUInt32LE(at + 48)
    if (end > bytes.length) break
    records.push({
      sequence: at,
      kind: bytes.readUInt32LE(at + 4) as Kind,
      inode: bytes.readBigUInt64LE(at + 8),
      offset: Number(bytes.readBigInt64LE(at + 16)),
      length: Number(bytes.readBigInt64LE(at + 24)),
      sizeBefore: Number(bytes.readBigInt64LE(at + 32)),
      below: Number(bytes.readBigInt64LE(at + 56)),
      before: bytes.subarray(data, path),
      path: bytes.toString('utf8', path, otherPath),
      otherPath: bytes.toString('utf8', otherPath, end),
    })
    at = end
  }
  return records
}
