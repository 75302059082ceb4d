/**
 * The disk as this package sees it: synchronous calls on whole ranges, nothing hidden. The real one
 * is `disk-node.ts`, the faulty twin `disk-fake.ts`. Owns the meaning of "durable": file bytes and
 * lengths after `sync`/`syncMetadata` of the file, what a `DirectFile` wrote when it returns, names
 * after `syncDirectory` of the directory; everything else may be lost in part by a crash.
 */
import { LedgerError } from '@ringledger/base'

/** Errno codes that mean "no space now" and not "this disk is broken". */
const NO_SPACE_CODES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

/** A failed disk call. `code` is DISK_FULL when space ran out, else DISK_FAILED. */
export class DiskError extends LedgerError {
  readonly path: string
  readonly operation: string

  constructor(operation: string, path: string, errno: string, detail: string) {
    const full = NO_SPACE_CODES.has(errno)
    super(full ? 'DISK_FULL' : 'DISK_FAILED', `${operation} of ${path} failed: ${detail}`)
    this.operation = operation
    this.path = path
  }
}

/** Whether `error` is lack of space, which passes, and not a broken disk. */
export function isNoSpace(error: unknown): boolean {
  return error instanceof DiskError && error.code === 'DISK_FULL'
}

/** Of reads and writes past the page cache: a page, what every device and file system takes. */
export const BLOCK_BYTES = 4096

export const OpenMode = {
  /** Must exist; read only. */
  READ: 'read',
  /**
   * Must exist; read only, past the page cache: positions, sizes and memory are whole multiples of
   * {@link BLOCK_BYTES}. Opening or reading throws where the file system has no such reads.
   */
  READ_BLOCKS: 'read blocks',
  /** Must exist; read and write. */
  WRITE: 'write',
  /** Must not exist; read and write. */
  CREATE: 'create',
} as const
export type OpenMode = (typeof OpenMode)[keyof typeof OpenMode]

export interface DiskFile {
  readonly path: string
  /**
   * Writes all of `bytes[offset, offset + sizeBytes)` at `position`. After a throw any part of it
   * may be written.
   */
  writeAt(bytes: Uint8Array, offset: number, sizeBytes: number, position: number): void
  /** Returns how many bytes were read: fewer than asked only at the end of the file. */
  readAt(target: Uint8Array, offset: number, sizeBytes: number, position: number): number
  /**
   * {@link readAt} for threads with an event loop; `target` belongs to the disk until the promise
   * settles.
   */
  readAtAsync(
    target: Uint8Array,
    offset: number,
    sizeBytes: number,
    position: number,
  ): Promise<number>
  /**
   * Makes written bytes durable (fdatasync). After a throw nothing is known about any byte since
   * the last sync.
   */
  sync(): void
  /** Makes bytes and length durable (fsync). */
  syncMetadata(): void
  /** Cuts, or lengthens with zeros that take no space. */
  setLength(sizeBytes: number): void
  sizeBytes(): number
  close(): void
}

/** A file open for writes past the page cache. */
export interface DirectFile {
  /** Positions, sizes and memory are whole multiples of this. */
  readonly blockBytes: number
  /**
   * Writes `parts` one behind the other from `position` on, without making the file longer; durable
   * on return. After a throw, or false, any part of it may be written. False: the file system does
   * not take such writes, another way may.
   */
  write(parts: readonly Uint8Array[], position: number): boolean
  close(): void
}

/** Held while this process has the store open. */
export interface StoreLock {
  /**
   * Says that the holder lives. Throws LedgerError DISK_FAILED when another process has taken the
   * lock away.
   */
  refresh(): void
  release(): void
}

export interface Disk {
  open(path: string, mode: OpenMode): DiskFile
  /** Opens a file that exists for direct writes; undefined where there are none. */
  openDirect(path: string): DirectFile | undefined
  exists(path: string): boolean
  /** Names in the directory, sorted; none if it does not exist. */
  list(directory: string): string[]
  /** With its parents; no error if it is there. */
  makeDirectory(directory: string): void
  rename(from: string, to: string): void
  remove(path: string): void
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(directory: string): void
  /** Bytes that an ordinary process may still take on the directory's file system. */
  freeBytes(directory: string): number
  /** How full the directory's file system is, 0 to 1; -1 when that cannot be told. */
  usedRatio(directory: string): number
  /** @throws LedgerError BAD_REQUEST naming the holder when another living process has it. */
  lock(path: string): StoreLock
}
