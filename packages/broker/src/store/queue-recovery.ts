/**
 * Finds out what a queue's files hold after a restart. Owns the rules: a queue ends at its first
 * unit that is empty or whose message lies at or above the limit; fillers at its end are not kept,
 * but for one with a place in the log (`ConsumeQueue.raise`); everything behind the end is made
 * zero.
 */
import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, readFully } from '@ringledger/base/internal'
import {
  CQ_FILLER_SIZE,
  CQ_UNIT_BYTES,
  cqPhysicalOffset,
  cqSizeBytes,
  offsetOfFileName,
} from '@ringledger/protocol'
import type { QueueStorage } from './queue-storage.ts'

const CHUNK_UNITS = 800

export interface RecoveredQueue {
  first: number
  max: number
}

interface QueueFile {
  path: string
  start: number
}

/**
 * Reads one queue's directory; undefined when it holds no unit (its files are removed then). Units
 * from offset `knownEnd` on do not count. Throws LedgerError `CORRUPT` when the files do not fit
 * together: the queues must be rebuilt from the log.
 */
export function recoverQueue(
  storage: QueueStorage,
  directory: string,
  limitPosition: number,
  pagesTrusted: boolean,
  knownEnd: number = Number.POSITIVE_INFINITY,
): RecoveredQueue | undefined {
  const files = listFiles(storage, directory)
  let kept = files.length
  let end = 0
  while (kept > 0) {
    const file = files[kept - 1]!
    const mostUnits = Math.min(storage.unitsPerFile, knownEnd - file.start / CQ_UNIT_BYTES)
    const units = withFile(file.path, (descriptor) => unitsOf(descriptor, mostUnits, limitPosition))
    if (units > 0) {
      end = file.start / CQ_UNIT_BYTES + units
      break
    }
    kept--
  }
  if (kept === 0) {
    onDisk(`removal of ${directory}`, () => rmSync(directory, { recursive: true, force: true }))
    return undefined
  }
  for (const file of files.slice(kept))
    onDisk(`removal of ${file.path}`, () => unlinkSync(file.path))
  clearBehind(storage, files[kept - 1]!, end, pagesTrusted)
  return { first: files[0]!.start / CQ_UNIT_BYTES, max: end }
}

function listFiles(storage: QueueStorage, directory: string): QueueFile[] {
  const files: QueueFile[] = []
  for (const name of readdirSync(directory).sort()) {
    const start = offsetOfFileName(name)
    if (start === undefined) {
      storage.log(`${join(directory, name)} is no file of a consume queue; left alone`)
      continue
    }
    files.push({ path: join(directory, name), start })
  }
  for (const [at, file] of files.entries()) {
    const isLast = at === files.length - 1
    const expectedStart = files[0]!.start + at * storage.fileBytes
    const sizeBytes = statSync(file.path).size
    const fits = isLast ? sizeBytes <= storage.fileBytes : sizeBytes === storage.fileBytes
    if (file.start !== expectedStart || file.start % storage.fileBytes !== 0 || !fits) {
      throw new LedgerError(
        'CORRUPT',
        `${file.path} (${sizeBytes} bytes) does not fit into a queue of ${storage.fileBytes}-byte files`,
      )
    }
  }
  return files
}

function withFile<Result>(path: string, use: (descriptor: number) => Result): Result {
  return onDisk(`recovery of ${path}`, () => {
    const descriptor = openSync(path, 'r+')
    try {
      return use(descriptor)
    } finally {
      closeSync(descriptor)
    }
  })
}

/** How many units of a file, from its start, are good, fillers at the end left out. */
function unitsOf(descriptor: number, mostUnits: number, limitPosition: number): number {
  let low = 0
  let high = Math.max(0, mostUnits)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isGood(descriptor, middle, limitPosition)) low = middle + 1
    else high = middle
  }
  return withoutFillers(descriptor, low)
}

const chunk: Buffer = Buffer.alloc(CHUNK_UNITS * CQ_UNIT_BYTES)
const chunkView: DataView = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)

function isGood(descriptor: number, unit: number, limitPosition: number): boolean {
  const position = unit * CQ_UNIT_BYTES
  const sizeRead = readFully(descriptor, chunk, 0, CQ_UNIT_BYTES, position, 'consume queue')
  if (sizeRead < CQ_UNIT_BYTES || cqSizeBytes(chunkView, 0) <= 0) return false
  const physicalOffset = cqPhysicalOffset(chunkView, 0)
  return physicalOffset >= 0 && physicalOffset < limitPosition
}

function withoutFillers(descriptor: number, units: number): number {
  let end = units
  while (end > 0) {
    const from = Math.max(0, end - CHUNK_UNITS)
    const sizeBytes = (end - from) * CQ_UNIT_BYTES
    readFully(descriptor, chunk, 0, sizeBytes, from * CQ_UNIT_BYTES, 'consume queue')
    while (end > from && isPlainFiller((end - from - 1) * CQ_UNIT_BYTES)) end--
    if (end > from) break
  }
  return end
}

function isPlainFiller(offset: number): boolean {
  return (
    cqSizeBytes(chunkView, offset) === CQ_FILLER_SIZE && cqPhysicalOffset(chunkView, offset) === 0
  )
}

/**
 * Units that a crash left behind the end must not be taken for new ones by a later recovery
 * (Apache's or ours). With trusted pages there are none when the first place behind it is empty.
 */
function clearBehind(
  storage: QueueStorage,
  file: QueueFile,
  end: number,
  pagesTrusted: boolean,
): void {
  withFile(file.path, (descriptor) => {
    const endBytes = end * CQ_UNIT_BYTES - file.start
    const isWhole = statSync(file.path).size === storage.fileBytes
    if (pagesTrusted && isWhole && isEmptyAt(descriptor, endBytes)) return
    ftruncateSync(descriptor, endBytes)
    ftruncateSync(descriptor, storage.fileBytes)
  })
}

function isEmptyAt(descriptor: number, position: number): boolean {
  chunk.fill(0, 0, CQ_UNIT_BYTES)
  readFully(descriptor, chunk, 0, CQ_UNIT_BYTES, position, 'consume queue')
  return cqSizeBytes(chunkView, 0) === 0 && cqPhysicalOffset(chunkView, 0) === 0
}
