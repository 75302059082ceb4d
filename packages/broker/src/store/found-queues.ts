/**
 * Consume queues that another broker left beside a plain log: finds out, from the queues alone, up
 * to which position they have every message of it. Owns the proof: of a file of the log, the places
 * where its messages end are those where the next ones begin, so that they lie one behind another
 * from its first byte to its blank, and each is in one queue once. It reads 20 bytes a message
 * instead of the log. What it does not prove is that a message is in the right queue: each queue's
 * last unit is compared with its message, the rest is the scrub's.
 */
import { closeSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { onDisk, readFully } from '@ringledger/base/internal'
import {
  CQ_FILLER_SIZE,
  CQ_UNIT_BYTES,
  cqPhysicalOffset,
  cqSizeBytes,
  isPlainLogBlank,
  offsetOfFileName,
  PLAIN_LOG_BLANK_BYTES,
} from '@ringledger/protocol'
import type { PlainLog } from './plain-log.ts'

export interface FoundQueues {
  /** Every message below is in the queues. */
  readonly position: number
  /** By directory: offset behind the last unit that counts, whatever the files hold after it. */
  readonly ends: ReadonlyMap<string, number>
  /** Bytes of units that were read. */
  readonly unitBytes: number
}

export interface FoundQueuesOptions {
  /** `<storePathRootDir>/consumequeue` */
  readonly directory: string
  readonly plain: PlainLog
  /** Only messages below it are looked for; one begins there, or the plain log ends. */
  readonly limit: number
  readonly onProgress?: (doneQueues: number, totalQueues: number) => void
}

const CHUNK_BYTES = 1024 * 1024 - ((1024 * 1024) % CQ_UNIT_BYTES)
const TWO_TO_32 = 2 ** 32

export function findQueues(options: FoundQueuesOptions): FoundQueues {
  return new QueueSurvey(options).run()
}

class QueueSurvey {
  readonly #options: FoundQueuesOptions
  readonly #first: number
  readonly #segmentBytes: number
  /** By file of the log: sums of hashes of begins less those of ends, 64 bits in two; the end. */
  readonly #sums: Int32Array
  readonly #otherSums: Int32Array
  readonly #fileEnds: Float64Array
  /** Units of messages from here on do not count: the queues are out of order there. */
  #soundTo: number
  readonly #ends = new Map<string, number>()
  readonly #chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  readonly #view: DataView = new DataView(this.#chunk.buffer, 0, CHUNK_BYTES)
  #unitBytes = 0
  /** Of the queue under way. */
  #lastOffset = -1

  constructor(options: FoundQueuesOptions) {
    const { files, firstPosition } = options.plain
    this.#options = options
    this.#first = firstPosition
    this.#segmentBytes = files[0]?.sizeBytes ?? 1
    this.#sums = new Int32Array(files.length)
    this.#otherSums = new Int32Array(files.length)
    this.#fileEnds = Float64Array.from(files, ({ position }) => position)
    this.#soundTo = options.limit
  }

  run(): FoundQueues {
    const queues = queueDirectories(this.#options.directory)
    for (const [done, directory] of queues.entries()) {
      this.#options.onProgress?.(done, queues.length)
      this.#lookAtQueue(directory)
    }
    return { position: this.#provenTo(), ends: this.#ends, unitBytes: this.#unitBytes }
  }

  #lookAtQueue(directory: string): void {
    this.#lastOffset = -1
    const starts = readdirSync(directory)
      .map(offsetOfFileName)
      .filter((start) => start !== undefined)
      .sort((left, right) => left - right)
    let isOver = false
    for (const start of starts) {
      const path = join(directory, String(start).padStart(20, '0'))
      const units = this.#lookAtFile(path, isOver)
      const isWhole = units * CQ_UNIT_BYTES === statSync(path).size
      if (!isOver && units > 0) this.#ends.set(directory, start / CQ_UNIT_BYTES + units)
      isOver ||= !isWhole
    }
  }

  /** Returns how many units stand at its beginning. `isOver`: the queue has ended before. */
  #lookAtFile(path: string, isOver: boolean): number {
    const descriptor = onDisk(`opening ${path}`, () => openSync(path, 'r'))
    try {
      for (let units = 0; ; ) {
        const at = units * CQ_UNIT_BYTES
        const filled = readFully(descriptor, this.#chunk, 0, CHUNK_BYTES, at, 'consume queue')
        const found = this.#lookAtChunk(Math.floor(filled / CQ_UNIT_BYTES), isOver)
        this.#unitBytes += found * CQ_UNIT_BYTES
        units += found
        if (found * CQ_UNIT_BYTES < CHUNK_BYTES) return units
      }
    } finally {
      closeSync(descriptor)
    }
  }

  /** Returns how many units stand before the first empty place. */
  #lookAtChunk(units: number, isOver: boolean): number {
    const view = this.#view
    for (let unit = 0; unit < units; unit++) {
      const at = unit * CQ_UNIT_BYTES
      const sizeBytes = cqSizeBytes(view, at)
      if (sizeBytes <= 0) return unit
      if (sizeBytes === CQ_FILLER_SIZE) continue
      const offset = cqPhysicalOffset(view, at)
      // A unit behind a hole, or behind one of a later message.
      if (isOver || offset < this.#lastOffset) this.#soundTo = Math.min(this.#soundTo, offset)
      this.#lastOffset = Math.max(this.#lastOffset, offset)
      this.#add(offset, sizeBytes)
    }
    return units
  }

  #add(offset: number, sizeBytes: number): void {
    if (offset < this.#first || offset >= this.#options.limit) return
    const file = Math.floor((offset - this.#first) / this.#segmentBytes)
    const end = offset + sizeBytes
    this.#sums[file] = this.#sums[file]! + hash(offset, 0) - hash(end, 0)
    this.#otherSums[file] = this.#otherSums[file]! + hash(offset, 1) - hash(end, 1)
    if (end > this.#fileEnds[file]!) this.#fileEnds[file] = end
  }

  /** The end of the files that are proven, from the first one on. */
  #provenTo(): number {
    const { plain, limit } = this.#options
    let position = this.#first
    for (const [at, file] of plain.files.entries()) {
      const isNext = file.position === position && file.sizeBytes === this.#segmentBytes
      const fileEnd = file.position + file.sizeBytes
      const end = Math.min(fileEnd, limit)
      if (!isNext || this.#soundTo < end || !this.#isCovered(at, file.position)) break
      const found = this.#fileEnds[at]!
      if (limit < fileEnd) return found === limit ? limit : position
      if (found !== fileEnd && !this.#isClosedAt(found, fileEnd)) break
      position = fileEnd
      if (position >= limit) break
    }
    return position
  }

  /** From the file's first byte to `#fileEnds`, without a gap, nothing twice. */
  #isCovered(at: number, position: number): boolean {
    const end = this.#fileEnds[at]!
    return (
      this.#sums[at] === ((hash(position, 0) - hash(end, 0)) | 0) &&
      this.#otherSums[at] === ((hash(position, 1) - hash(end, 1)) | 0)
    )
  }

  #isClosedAt(position: number, fileEnd: number): boolean {
    const blank = this.#chunk
    if (fileEnd - position < PLAIN_LOG_BLANK_BYTES) return false
    const count = this.#options.plain.read(position, blank, 0, PLAIN_LOG_BLANK_BYTES)
    return count === PLAIN_LOG_BLANK_BYTES && isPlainLogBlank(blank, 0, fileEnd - position)
  }
}

/** 32 bits of a position; `which` of two that have nothing to do with each other. */
function hash(position: number, which: 0 | 1): number {
  const high = Math.floor(position / TWO_TO_32)
  let value = (position | 0) ^ Math.imul(high + 1, which === 0 ? 0x9e3779b1 : 0x7feb352d)
  value = Math.imul(value ^ (value >>> 16), which === 0 ? 0x85ebca6b : 0x21f0aaad)
  value = Math.imul(value ^ (value >>> 13), which === 0 ? 0xc2b2ae35 : 0x735a2d97)
  return value ^ (value >>> 16)
}

function queueDirectories(directory: string): string[] {
  const found: string[] = []
  for (const topic of subdirectories(directory)) {
    const queues = subdirectories(topic)
    found.push(...queues.filter((path) => /\/\d{1,9}$/.test(path)))
  }
  return found
}

function subdirectories(directory: string): string[] {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(directory, name))
}
