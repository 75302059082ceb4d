/**
 * Finds the files of a store: which commit log files there are, and what else lies about. Changes
 * nothing.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { CQ_UNIT_BYTES, fileNameOfOffset, offsetOfFileName } from '@ringledger/protocol'

export interface LogFile {
  readonly path: string
  readonly offset: number
  readonly sizeBytes: number
}

export interface StoreFiles {
  readonly root: string
  readonly log: readonly LogFile[]
  readonly foreignFiles: readonly string[]
  readonly abort: boolean
  readonly checkpoint?: { readonly physicTimeMs: number; readonly logicTimeMs: number }
  readonly raftDirectories: readonly string[]
  /** `topic/queue=units` for every consume queue. */
  readonly consumeQueues: readonly string[]
}

export interface StorePaths {
  readonly root: string
  /** `storePathCommitLog` when it is not below the root. */
  readonly commitLog?: string
}

/** @throws LedgerError BAD_REQUEST when there is no such directory. */
export function findStore({ root, commitLog }: StorePaths): StoreFiles {
  if (!isDirectory(root)) {
    throw new LedgerError(
      'BAD_REQUEST',
      `${root} is no directory: give the broker's storePathRootDir`,
    )
  }
  const directory = commitLog ?? join(root, 'commitlog')
  const checkpoint = readCheckpoint(join(root, 'checkpoint'))
  return {
    root,
    ...listLogFiles(directory),
    abort: existsSync(join(root, 'abort')),
    ...(checkpoint === undefined ? {} : { checkpoint }),
    raftDirectories: names(root).filter(
      (name) => /^dledger-/.test(name) && names(join(root, name, 'data')).length > 0,
    ),
    consumeQueues: consumeQueues(join(root, 'consumequeue')),
  }
}

/** The log files of a directory, plain or of a Raft log, and what does not belong there. */
export function listLogFiles(directory: string): Pick<StoreFiles, 'log' | 'foreignFiles'> {
  const log: LogFile[] = []
  const foreignFiles: string[] = []
  for (const name of names(directory)) {
    const path = join(directory, name)
    const offset = offsetOfFileName(name)
    // Brokers skip directories there, and so do we.
    if (isDirectory(path)) continue
    if (offset === undefined) foreignFiles.push(name)
    else log.push({ path, offset, sizeBytes: statSync(path).size })
  }
  log.sort((left, right) => left.offset - right.offset)
  return { log, foreignFiles }
}

function readCheckpoint(path: string): StoreFiles['checkpoint'] {
  if (!existsSync(path)) return undefined
  const bytes = readFileSync(path)
  if (bytes.length < 24) return undefined
  return {
    physicTimeMs: Number(bytes.readBigInt64BE(0)),
    logicTimeMs: Number(bytes.readBigInt64BE(8)),
  }
}

/** Units are counted from the end of the newest file, whose tail is zeros. */
function consumeQueues(directory: string): string[] {
  const queues: string[] = []
  for (const topic of names(directory)) {
    for (const queue of names(join(directory, topic))) {
      if (!/^\d+$/.test(queue)) continue
      queues.push(`${topic}/${queue}=${unitsOf(join(directory, topic, queue))}`)
    }
  }
  return queues.sort()
}

function unitsOf(directory: string): number {
  const offsets = names(directory)
    .map(offsetOfFileName)
    .filter((offset) => offset !== undefined)
    .sort((left, right) => right - left)
  for (const offset of offsets) {
    const bytes = readFileSync(join(directory, fileNameOfOffset(offset)))
    for (let at = bytes.length - CQ_UNIT_BYTES; at >= 0; at -= CQ_UNIT_BYTES) {
      if (bytes.readInt32BE(at + 8) > 0) return (offset + at) / CQ_UNIT_BYTES + 1
    }
  }
  return 0
}

function names(directory: string): string[] {
  return isDirectory(directory) ? readdirSync(directory).sort() : []
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
