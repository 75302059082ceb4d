/**
 * Whole-range reads and writes of files, and files replaced whole. Owns the rules that a short
 * write is continued, that a failed call is a `DISK_FULL` or `DISK_FAILED` error that names the
 * file's purpose, and that a file that is replaced is, after a crash, the old one or the new one,
 * whole.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { LedgerError } from './errors.ts'

/** Whether a call failed for lack of space, which passes. */
export function isNoSpace(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'DISK_FULL' || code === 'ENOSPC' || code === 'EDQUOT'
}

function diskError(what: string, error: unknown): LedgerError {
  if (error instanceof LedgerError) return error
  const code = isNoSpace(error) ? 'DISK_FULL' : 'DISK_FAILED'
  return new LedgerError(code, `${what}: ${(error as Error).message}`, { cause: error })
}

/** Runs a file call; its failure becomes a LedgerError `DISK_FULL` or `DISK_FAILED`. */
export function onDisk<Result>(what: string, call: () => Result): Result {
  try {
    return call()
  } catch (error) {
    throw diskError(what, error)
  }
}

/**
 * The same for a sync. After one that failed nothing is known about what was written, so lack of
 * space is no excuse here: the code is always `DISK_FAILED`.
 */
export function onSync(what: string, call: () => void): void {
  try {
    call()
  } catch (error) {
    throw new LedgerError('DISK_FAILED', `${what}: ${(error as Error).message}`, { cause: error })
  }
}

/** Writes all of `bytes[offset, offset + sizeBytes)` at `position`. */
export function writeFully(
  descriptor: number,
  bytes: Buffer,
  offset: number,
  sizeBytes: number,
  position: number,
  what: string,
): void {
  let done = 0
  try {
    while (done < sizeBytes) {
      done += writeSync(descriptor, bytes, offset + done, sizeBytes - done, position + done)
    }
  } catch (error) {
    throw diskError(what, error)
  }
}

/** Reads up to `sizeBytes`; fewer only at the end of the file. */
export function readFully(
  descriptor: number,
  target: Buffer,
  offset: number,
  sizeBytes: number,
  position: number,
  what: string,
): number {
  let done = 0
  try {
    while (done < sizeBytes) {
      const count = readSync(descriptor, target, offset + done, sizeBytes - done, position + done)
      if (count === 0) break
      done += count
    }
  } catch (error) {
    throw diskError(what, error)
  }
  return done
}

/** Makes names in a directory durable. */
export function syncDirectory(path: string): void {
  onDisk(`sync of directory ${path}`, () => {
    const descriptor = openSync(path, 'r')
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  })
}

/**
 * Writes a file anew; its bytes are durable on return, its name is after `syncDirectory`. `mode`:
 * its permissions, whatever the umask; without it a file that is there keeps its own.
 * @throws LedgerError DISK_FULL or DISK_FAILED; how much was written is not known then
 */
export function writeSynced(path: string, bytes: Buffer, mode?: number): void {
  const what = `write of ${path}`
  const descriptor = onDisk(what, () => openSync(path, 'w'))
  try {
    writeFully(descriptor, bytes, 0, bytes.length, 0, what)
    onDisk(what, () => {
      if (mode !== undefined) fchmodSync(descriptor, mode)
      fsyncSync(descriptor)
    })
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Puts `bytes` in the place of the file, by way of `<path>.tmp`; durable on return. Its directory
 * must be there. @throws LedgerError DISK_FULL or DISK_FAILED; the file is the old one then, or
 * the new one if only the sync of its name failed
 */
export function replaceFile(path: string, bytes: Buffer, mode?: number): void {
  const draft = `${path}.tmp`
  writeSynced(draft, bytes, mode)
  onDisk(`write of ${path}`, () => renameSync(draft, path))
  syncDirectory(dirname(path))
}
