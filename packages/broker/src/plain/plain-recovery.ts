/**
 * Opens the plain commit log of a stopped store to go on writing to it. Owns the invariants: no
 * whole message is ever dropped, whatever damage lies before it; what lies behind the last one (a
 * message that was not finished, or an older use of the file) is kept aside, and zero durably
 * before anything new is written there, so that no reader ever takes it for a message.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, onSync, syncDirectory, writeFully } from '@ringledger/base/internal'
import { fileNameOfOffset } from '@ringledger/protocol'
import {
  ASIDE,
  checkSizes,
  clearAway,
  findEnd,
  hasMessage,
  type OldLogReport,
} from '../old-log/take-over.ts'
import { type PlainLogFile, plainLogFiles } from '../store/plain-log.ts'

/** Plain data: it travels between threads. */
export interface PlainRecovered {
  readonly firstPosition: number
  /** Behind the last message, or where the next file begins. */
  readonly endPosition: number
}

const PIECE_BYTES = 1024 * 1024

/** `directories`: storePathCommitLog. @throws LedgerError BAD_CONFIG, DISK_FAILED, DISK_FULL */
export function recoverPlainLog(
  directories: string,
  fileBytes: number,
  report: OldLogReport,
): PlainRecovered {
  for (const directory of directories.split(',')) {
    onDisk(`directory ${directory}`, () => mkdirSync(directory, { recursive: true }))
  }
  const files = plainLogFiles(directories)
  const lastAt = files.findLastIndex(hasMessage)
  const kept = files.slice(0, lastAt + 1)
  checkSizes(kept, fileBytes)
  for (const file of files.slice(lastAt + 1)) clearAway(file, report)
  const last = kept.at(-1)
  if (last === undefined) {
    // Offsets that were given out are never given out again.
    const position = Math.floor((files.at(-1)?.position ?? 0) / fileBytes) * fileBytes
    return { firstPosition: position, endPosition: position }
  }
  const endPosition = endOf(last, report)
  report(
    'info',
    `plain commit log: ${kept.length} files from ${kept[0]!.position} on; it goes on at ${endPosition}`,
  )
  return { firstPosition: kept[0]!.position, endPosition }
}

function endOf(file: PlainLogFile, report: OldLogReport): number {
  const fileEnd = file.position + file.sizeBytes
  const { end, reason, isClosed } = findEnd(file)
  if (isClosed || end === fileEnd) return fileEnd
  if (reason !== 'unused') clear(file, end, reason, report)
  return end
}

function clear(file: PlainLogFile, end: number, reason: string, report: OldLogReport): void {
  const directory = join(dirname(file.path), ASIDE)
  const aside = join(directory, `${fileNameOfOffset(end)}.tail`)
  onDisk(`end of ${file.path}`, () => {
    const descriptor = openSync(file.path, 'r+')
    try {
      const from = end - file.position
      const to = lastUsed(descriptor, from, file.sizeBytes)
      mkdirSync(directory, { recursive: true })
      keepAside(descriptor, from, to, aside)
      syncDirectory(directory)
      syncDirectory(dirname(file.path))
      fillZero(descriptor, from, to, file.path)
      onSync(`sync of ${file.path}`, () => fsyncSync(descriptor))
    } finally {
      closeSync(descriptor)
    }
  })
  report(
    'warn',
    `${file.path}: behind the last message, at position ${end}, lay bytes that are no message ` +
      `(${reason}): one that was not finished, or an older use of the file. They are not served, and ` +
      `kept in ${aside}`,
  )
}

/** Where the last byte of `[from, to)` that is not zero ends. */
function lastUsed(descriptor: number, from: number, to: number): number {
  const piece = Buffer.alloc(PIECE_BYTES)
  let end = from
  for (let at = from; at < to; ) {
    const count = readSync(descriptor, piece, 0, Math.min(PIECE_BYTES, to - at), at)
    if (count === 0) break
    for (let last = count - 1; last >= 0; last--) {
      if (piece[last] === 0) continue
      end = at + last + 1
      break
    }
    at += count
  }
  return end
}

function keepAside(descriptor: number, from: number, to: number, path: string): void {
  const copy = openSync(path, 'w')
  try {
    const piece = Buffer.alloc(PIECE_BYTES)
    for (let at = from; at < to; ) {
      const count = readSync(descriptor, piece, 0, Math.min(PIECE_BYTES, to - at), at)
      if (count === 0)
        throw new LedgerError('DISK_FAILED', `${path}: the log's file became shorter`)
      writeFully(copy, piece, 0, count, at - from, path)
      at += count
    }
    onSync(`sync of ${path}`, () => fsyncSync(copy))
  } finally {
    closeSync(copy)
  }
}

function fillZero(descriptor: number, from: number, to: number, path: string): void {
  const zeros = Buffer.alloc(PIECE_BYTES)
  for (let at = from; at < to; at += PIECE_BYTES) {
    writeFully(descriptor, zeros, 0, Math.min(PIECE_BYTES, to - at), at, path)
  }
}
