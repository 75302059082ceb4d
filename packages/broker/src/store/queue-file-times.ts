/**
 * Gives each consume queue file the time at which its last message was stored: 4.9.4 looks a time
 * up by the times of these files first. Owns nothing; may be repeated.
 */
import { closeSync, openSync, readdirSync, readSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import {
  CQ_UNIT_BYTES,
  cqPhysicalOffset,
  cqSizeBytes,
  fileNameOfOffset,
  getInt64,
  MIN_MESSAGE_BYTES,
  SYS_FLAG_AT,
  storeTimestampAt,
} from '@ringledger/protocol'

const scratch: Buffer = Buffer.alloc(MIN_MESSAGE_BYTES)
const view: DataView = new DataView(scratch.buffer, scratch.byteOffset, scratch.length)

/** Of the plain store below `root`, whose log is complete. */
export function setQueueFileTimes(root: string): void {
  const log = join(root, 'commitlog')
  const [first] = readdirSync(log)
  if (first === undefined) return
  const segmentBytes = statSync(join(log, first)).size
  const queues = join(root, 'consumequeue')
  for (const name of readdirSync(queues, { recursive: true, encoding: 'utf8' })) {
    const path = join(queues, name)
    if (!statSync(path).isFile()) continue
    const offset = lastOffset(path)
    const timeMs = offset < 0 ? 0 : storeTimeMs(log, segmentBytes, offset)
    if (timeMs > 0) utimesSync(path, timeMs / 1000, timeMs / 1000)
  }
}

/** Physical offset of a file's last unit, -1 without any. */
function lastOffset(path: string): number {
  let low = 0
  let high = statSync(path).size / CQ_UNIT_BYTES
  while (low < high) {
    const middle = (low + high) >>> 1
    read(path, middle * CQ_UNIT_BYTES, CQ_UNIT_BYTES)
    if (cqSizeBytes(view, 0) > 0) low = middle + 1
    else high = middle
  }
  if (low === 0 || !read(path, (low - 1) * CQ_UNIT_BYTES, CQ_UNIT_BYTES)) return -1
  return cqPhysicalOffset(view, 0)
}

function storeTimeMs(log: string, segmentBytes: number, offset: number): number {
  const start = offset - (offset % segmentBytes)
  if (!read(join(log, fileNameOfOffset(start)), offset - start, MIN_MESSAGE_BYTES)) return 0
  return getInt64(view, storeTimestampAt(view.getInt32(SYS_FLAG_AT)))
}

/** False when the file is not there or ends before. */
function read(path: string, at: number, sizeBytes: number): boolean {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false
  const descriptor = openSync(path, 'r')
  try {
    return readSync(descriptor, scratch, 0, sizeBytes, at) === sizeBytes
  } finally {
    closeSync(descriptor)
  }
}
