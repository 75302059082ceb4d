/**
 * Gets what this copy of the old commit log lacks from peers. Owns the invariants: a file takes its
 * place in the log only whole, after its digest was found equal to the reference's; until then it
 * grows in `ringledger-incoming`, where a later start goes on with it; what is there is replaced
 * only by a file that begins with the same data.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, onSync, syncDirectory, writeFully } from '@ringledger/base/internal'
import { PLAIN_LOG_BLANK_BYTES, writePlainLogBlank } from '@ringledger/protocol'
import { type FileReport, type StoreReport, surveyFile } from '@ringledger/upgrade'
import type { CopyState } from './copy.ts'
import { MAX_READ_BYTES } from './copy-messages.ts'

const INCOMING = 'ringledger-incoming'
const MAX_ATTEMPTS = 3

export interface CompletionOptions {
  /** storePathCommitLog */
  readonly directory: string
  readonly reference: CopyState
  readonly own: StoreReport
  /** Bytes of a copy that is equal to the reference; waits for a peer that has one. */
  read(position: number, sizeBytes: number): Promise<Buffer>
  onProgress(doneBytes: number, totalBytes: number): void
  log(level: 'info' | 'warn', line: string): void
}

/**
 * @throws LedgerError CORRUPT when what comes never has the right digest; DISK_FULL, DISK_FAILED
 */
export async function completeCopy(options: CompletionOptions): Promise<void> {
  const { directory, reference, own } = options
  const missing = reference.report.files.filter((file) => {
    const mine = own.files.find(({ offset }) => offset === file.offset)
    const isThere = mine?.endOffset === file.endOffset && mine.digest === file.digest
    return file.messages > 0 && !isThere
  })
  const incoming = join(directory, INCOMING)
  onDisk(`making ${incoming}`, () => mkdirSync(incoming, { recursive: true }))
  const totalBytes = missing.reduce((sum, file) => sum + dataBytes(file), 0)
  let doneBytes = 0
  for (const file of missing) {
    const before = doneBytes
    const mine = own.files.find(({ offset }) => offset === file.offset)
    await completeFile(options, file, mine, (bytes) => {
      options.onProgress(before + bytes, totalBytes)
    })
    doneBytes += dataBytes(file)
  }
}

/** Of a copy that lacks nothing: an end between its last file and this leaves a directory. */
export function forgetIncoming(directory: string): void {
  const incoming = join(directory, INCOMING)
  onDisk(`removal of ${incoming}`, () => rmSync(incoming, { recursive: true, force: true }))
}

async function completeFile(
  options: CompletionOptions,
  file: FileReport,
  mine: FileReport | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const path = join(options.directory, INCOMING, file.name)
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    begin(options.directory, path, file, mine)
    await fetchRest(options, path, file, onBytes)
    const found = await surveyFile({ path, offset: file.offset, digestAt: [] })
    if (found.endOffset === file.endOffset && found.digest === file.digest) {
      settle(options, path, file)
      return
    }
    rmSync(path)
    options.log('warn', `${file.name} came with another digest; it is fetched again`)
  }
  throw new LedgerError(
    'CORRUPT',
    `${file.name} of the old commit log came ${MAX_ATTEMPTS} times with another digest: nothing was ` +
      'changed here; check the network and the copies of the peers',
  )
}

/** The file's length is how much of it is there; a copy of what this node has is a beginning. */
function begin(
  directory: string,
  path: string,
  file: FileReport,
  mine: FileReport | undefined,
): void {
  onDisk(`beginning of ${path}`, () => {
    if (existsSync(path) && statSync(path).size <= dataBytes(file)) return
    const temporary = `${path}.tmp`
    if (mine !== undefined && mine.endOffset <= file.endOffset) {
      copyFileSync(join(directory, file.name), temporary, constants.COPYFILE_FICLONE)
      truncateSync(temporary, dataBytes(mine))
    } else closeSync(openSync(temporary, 'w'))
    renameSync(temporary, path)
  })
}

async function fetchRest(
  { read }: CompletionOptions,
  path: string,
  file: FileReport,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const end = dataBytes(file)
  const descriptor = onDisk(`opening ${path}`, () => openSync(path, 'r+'))
  try {
    let done = statSync(path).size
    while (done < end) {
      onBytes(done)
      const bytes = await read(file.offset + done, Math.min(MAX_READ_BYTES, end - done))
      writeFully(descriptor, bytes, 0, bytes.length, done, `writing ${path}`)
      done += bytes.length
    }
    onBytes(done)
    onDisk(`end of ${path}`, () => ftruncateSync(descriptor, file.sizeBytes))
    // The last file is closed at the take-over, as every member's is.
    if (file.end !== 'unused' && file.sizeBytes - end >= PLAIN_LOG_BLANK_BYTES) {
      const blank = Buffer.alloc(PLAIN_LOG_BLANK_BYTES)
      writePlainLogBlank(blank, 0, file.sizeBytes - end)
      writeFully(descriptor, blank, 0, PLAIN_LOG_BLANK_BYTES, end, `end of ${path}`)
    }
    onSync(`sync of ${path}`, () => fsyncSync(descriptor))
  } finally {
    closeSync(descriptor)
  }
}

/** Retention goes by the time of the last change, so that comes along. */
function settle({ directory, reference }: CompletionOptions, path: string, file: FileReport): void {
  onDisk(`taking over ${path}`, () => {
    const modifiedMs = reference.modifiedMs[file.name]
    if (modifiedMs !== undefined) utimesSync(path, modifiedMs / 1000, modifiedMs / 1000)
    renameSync(path, join(directory, file.name))
    syncDirectory(directory)
  })
}

function dataBytes(file: FileReport): number {
  return file.endOffset - file.offset
}
