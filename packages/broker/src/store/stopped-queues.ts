/**
 * Reads the consume queues of a store that nobody writes, Apache's or ours, and changes nothing:
 * where each ends, and single units. Owns the rule where a queue ends: at its first unit that is
 * empty or stands for no message of the log.
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ConsumeQueueUnit,
  CQ_FILLER_SIZE,
  CQ_UNIT_BYTES,
  fileNameOfOffset,
  offsetOfFileName,
  readConsumeQueueUnit,
} from '@ringledger/protocol'

const BLOCK_UNITS = 512
const BLOCK_BYTES = BLOCK_UNITS * CQ_UNIT_BYTES

export interface QueueEnd {
  readonly topic: string
  readonly queueId: number
  /** Offset that the next message would get. */
  readonly maxOffset: number
  readonly lastUnit: ConsumeQueueUnit
}

export class StoppedQueues {
  readonly #directory: string
  /** mappedFileSizeConsumeQueue as the files have it; undefined without any. */
  readonly fileBytes: number | undefined
  readonly #block: Buffer = Buffer.alloc(BLOCK_BYTES)
  readonly #view: DataView = new DataView(this.#block.buffer, this.#block.byteOffset, BLOCK_BYTES)
  #blockPath = ''
  #blockAt = 0
  #blockBytes = 0

  /** `directory`: `<storePathRootDir>/consumequeue`, which may be absent. */
  constructor(directory: string) {
    this.#directory = directory
    this.fileBytes = this.#firstFileBytes()
  }

  /** The unit of a queue offset; undefined when there is none, or only a filler. */
  unitAt(topic: string, queueId: number, queueOffset: number): ConsumeQueueUnit | undefined {
    const { fileBytes } = this
    if (fileBytes === undefined) return undefined
    const at = queueOffset * CQ_UNIT_BYTES
    const start = at - (at % fileBytes)
    const path = join(this.#directory, topic, String(queueId), fileNameOfOffset(start))
    const unit = this.#read(path, at - start)
    return unit === undefined || unit.sizeBytes === CQ_FILLER_SIZE ? undefined : unit
  }

  /** Every queue that has units. `logEnd`: units of messages from there on do not count. */
  *ends(logEnd: number): Generator<QueueEnd> {
    for (const topic of names(this.#directory)) {
      for (const name of names(join(this.#directory, topic))) {
        if (!/^\d{1,9}$/.test(name)) continue
        const end = this.#endOf(join(this.#directory, topic, name), logEnd)
        if (end !== undefined) yield { topic, queueId: Number(name), ...end }
      }
    }
  }

  #endOf(
    directory: string,
    logEnd: number,
  ): { maxOffset: number; lastUnit: ConsumeQueueUnit } | undefined {
    const starts = names(directory)
      .map(offsetOfFileName)
      .filter((start) => start !== undefined)
      .sort((left, right) => right - left)
    for (const start of starts) {
      const path = join(directory, fileNameOfOffset(start))
      let low = 0
      let high = Math.floor(statSync(path).size / CQ_UNIT_BYTES)
      while (low < high) {
        const middle = (low + high) >>> 1
        const unit = this.#read(path, middle * CQ_UNIT_BYTES)
        if (unit !== undefined && unit.physicalOffset < logEnd) low = middle + 1
        else high = middle
      }
      const lastUnit = low === 0 ? undefined : this.#read(path, (low - 1) * CQ_UNIT_BYTES)
      if (lastUnit !== undefined) return { maxOffset: start / CQ_UNIT_BYTES + low, lastUnit }
    }
    return undefined
  }

  #read(path: string, at: number): ConsumeQueueUnit | undefined {
    const isHeld =
      path === this.#blockPath &&
      at >= this.#blockAt &&
      at + CQ_UNIT_BYTES <= this.#blockAt + this.#blockBytes
    if (!isHeld && !this.#load(path, at)) return undefined
    const unit = readConsumeQueueUnit(this.#view, at - this.#blockAt)
    return unit.sizeBytes > 0 && unit.physicalOffset >= 0 ? unit : undefined
  }

  #load(path: string, at: number): boolean {
    this.#blockPath = ''
    let descriptor: number
    try {
      descriptor = openSync(path, 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw error
    }
    try {
      this.#blockAt = at - (at % BLOCK_BYTES)
      this.#blockBytes = readSync(descriptor, this.#block, 0, BLOCK_BYTES, this.#blockAt)
    } finally {
      closeSync(descriptor)
    }
    this.#blockPath = path
    return at + CQ_UNIT_BYTES <= this.#blockAt + this.#blockBytes
  }

  #firstFileBytes(): number | undefined {
    for (const topic of names(this.#directory)) {
      for (const queue of names(join(this.#directory, topic))) {
        const path = join(this.#directory, topic, queue)
        const file = names(path).find((name) => offsetOfFileName(name) !== undefined)
        if (file !== undefined) return statSync(join(path, file)).size
      }
    }
    return undefined
  }
}

function names(directory: string): string[] {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  return readdirSync(directory).sort()
}
