/**
 * Takes over the commit log from before DLedger mode at a broker's start, exactly as Apache does
 * (rocketmq-store.md §6.4): a Raft log that is there says by its first file where the old log ends;
 * before there is one the old log's last file is closed with a blank, and the Raft log is to begin
 * behind it. Owns the invariant that no message is ever changed or dropped here: what is written is
 * the 8 bytes of that blank, behind the last message. May be repeated after a crash at any point.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, onSync, syncDirectory, writeFully } from '@ringledger/base/internal'
import { NodeDisk, type StoreConfig, storeLayout } from '@ringledger/io'
import { PLAIN_LOG_BLANK_BYTES, writePlainLogBlank } from '@ringledger/protocol'
import { PlainLog, type PlainLogFile, plainLogFiles } from '../store/plain-log.ts'
import { PlainKind, PlainWindow } from '../store/plain-window.ts'

/** Plain data: it travels to the broker thread. */
export interface OldLog {
  /** The files below the Raft log, oldest first; none for a group without an old log. */
  readonly files: readonly PlainLogFile[]
  /** Where they end and the Raft log begins; 0 without an old log. */
  readonly dividedPosition: number
}

export type OldLogReport = (level: 'info' | 'warn' | 'error', line: string) => void

/** Apache skips directories there. */
export const ASIDE = 'ringledger-aside'

/**
 * `directories`: storePathCommitLog, several joined by commas as Apache has it. @throws LedgerError
 * BAD_CONFIG when the two logs do not fit together, BAD_REQUEST when another process has the store
 */
export function takeOverOldLog(
  directories: string,
  config: StoreConfig,
  report: OldLogReport,
): OldLog {
  const files = plainLogFiles(directories)
  if (files.length === 0) return { files, dividedPosition: 0 }
  const layout = storeLayout(config)
  const disk = new NodeDisk()
  disk.makeDirectory(layout.directory)
  const lock = disk.lock(layout.lockPath)
  try {
    const [raft] = plainLogFiles(layout.dataDirectory)
    return raft === undefined
      ? divide(files, layout.segmentBytes, report)
      : beside(files, raft.position, report)
  } finally {
    lock.release()
  }
}

/** The Raft log is there already. */
function beside(
  files: readonly PlainLogFile[],
  dividedPosition: number,
  report: OldLogReport,
): OldLog {
  const beyond = files.find((file) => file.position >= dividedPosition && hasMessage(file))
  if (beyond !== undefined) {
    throw new LedgerError(
      'BAD_CONFIG',
      `${beyond.path} holds messages, but the Raft log begins at ${dividedPosition}: a broker without ` +
        'DLedger wrote to this store after it had joined its group, and both cannot be served. ' +
        'Restore one of the two from a copy; nothing was changed',
    )
  }
  const old = files.filter((file) => file.position < dividedPosition)
  const end = endOf(old.at(-1))
  if (old.length > 0 && end !== dividedPosition) {
    report(
      'warn',
      `the old commit log ends at ${end}, but the Raft log begins at ${dividedPosition}: the files ` +
        'between are missing, and so are their messages',
    )
  }
  return { files: old, dividedPosition: old.length > 0 ? dividedPosition : 0 }
}

/** No Raft log yet: the old log is closed, and the Raft log begins where its last file ends. */
function divide(
  files: readonly PlainLogFile[],
  segmentBytes: number,
  report: OldLogReport,
): OldLog {
  const lastAt = files.findLastIndex(hasMessage)
  if (lastAt < 0) return { files: [], dividedPosition: 0 }
  const kept = files.slice(0, lastAt + 1)
  checkSizes(kept, segmentBytes)
  for (const file of files.slice(lastAt + 1)) clearAway(file, report)
  const last = kept.at(-1)!
  close(last, report)
  const dividedPosition = endOf(last)
  report(
    'info',
    `takes over the old commit log: ${kept.length} files from ${kept[0]!.position} on; ` +
      `the Raft log begins at ${dividedPosition}`,
  )
  return { files: kept, dividedPosition }
}

export function checkSizes(files: readonly PlainLogFile[], segmentBytes: number): void {
  const wrong = files.find(
    ({ position, sizeBytes }) => sizeBytes !== segmentBytes || position % segmentBytes !== 0,
  )
  if (wrong === undefined) return
  throw new LedgerError(
    'BAD_CONFIG',
    `${wrong.path} has ${wrong.sizeBytes} bytes, but mappedFileSizeCommitLog is ${segmentBytes}: set ` +
      'it to what the old broker had, all files of a log need the same; nothing was changed',
  )
}

/** Brokers make files ahead; those behind the last message are not part of the log. */
export function clearAway(file: PlainLogFile, report: OldLogReport): void {
  const directory = dirname(file.path)
  onDisk(`clearing away ${file.path}`, () => {
    if (isUnused(file)) {
      rmSync(file.path)
      report('info', `removed ${file.path}, which was made ahead and never used`)
    } else {
      mkdirSync(join(directory, ASIDE), { recursive: true })
      const aside = join(directory, ASIDE, basename(file.path))
      renameSync(file.path, aside)
      report('warn', `${file.path} lies behind the last message and holds none: moved to ${aside}`)
    }
    syncDirectory(directory)
  })
}

/** Writes the blank behind the last message, unless it is there. */
function close(file: PlainLogFile, report: OldLogReport): void {
  const { end, reason, isClosed } = findEnd(file)
  const left = endOf(file) - end
  if (isClosed || left < PLAIN_LOG_BLANK_BYTES) return
  const at = end - file.position
  const blank = Buffer.alloc(PLAIN_LOG_BLANK_BYTES)
  onDisk(`end of ${file.path}`, () => {
    const descriptor = openSync(file.path, 'r+')
    try {
      if (reason !== 'unused') {
        readSync(descriptor, blank, 0, PLAIN_LOG_BLANK_BYTES, at)
        report(
          'warn',
          `${file.path}: behind the last message, at position ${end}, lie bytes that are no message ` +
            `(${reason}; ${blank.toString('hex')}…): one that was not finished, or an older use of the ` +
            'file. They are not served',
        )
      }
      writePlainLogBlank(blank, 0, left)
      writeFully(descriptor, blank, 0, PLAIN_LOG_BLANK_BYTES, at, 'old commit log')
      onSync(`sync of ${file.path}`, () => fsyncSync(descriptor))
    } finally {
      closeSync(descriptor)
    }
  })
}

export interface PlainEnd {
  /** Behind the last message. */
  readonly end: number
  readonly isClosed: boolean
  /** What lies there. */
  readonly reason: string
}

export function findEnd(file: PlainLogFile): PlainEnd {
  return walk(file, (window) => {
    const fileEnd = endOf(file)
    let end = file.position
    for (let at = end; at < fileEnd; at += window.sizeBytes) {
      window.look(at)
      if (window.kind === PlainKind.MESSAGE) end = at + window.sizeBytes
      if (window.kind === PlainKind.BLANK && at === end) return { end, isClosed: true, reason: '' }
    }
    return { end, isClosed: false, reason: window.reason }
  })
}

export function hasMessage(file: PlainLogFile): boolean {
  if (file.sizeBytes === 0) return false
  return walk(file, (window) => {
    window.look(file.position)
    if (window.kind === PlainKind.MESSAGE) return true
    const next = file.position + window.sizeBytes
    return window.kind === PlainKind.GAP && next < endOf(file)
  })
}

function isUnused(file: PlainLogFile): boolean {
  if (file.sizeBytes === 0) return true
  return walk(file, (window) => {
    window.look(file.position)
    return window.kind === PlainKind.GAP && window.reason === 'unused'
  })
}

function walk<Result>(file: PlainLogFile, use: (window: PlainWindow) => Result): Result {
  const plain = new PlainLog([file], endOf(file))
  try {
    return use(new PlainWindow(plain))
  } finally {
    plain.close()
  }
}

function endOf(file: PlainLogFile | undefined): number {
  return file === undefined ? 0 : file.position + file.sizeBytes
}
