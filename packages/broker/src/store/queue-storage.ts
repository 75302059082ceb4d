/**
 * What all consume queues of a store share: descriptors, scratch memory, the budget for unwritten
 * units, the list of queues with something to write, and the totals by which recovery notices that
 * a queue is missing. Invariant: `unitTotal` is the sum of maxOffset over all queues, `queueTotal`
 * the number of queues with units.
 */
import { join } from 'node:path'
import { assert, LedgerError } from '@ringledger/base'
import { CQ_UNIT_BYTES, fileNameOfOffset } from '@ringledger/protocol'
import type { ConsumeQueue } from './consume-queue.ts'
import { OpenFiles } from './open-files.ts'

export const DEFAULT_CONSUME_QUEUE_FILE_BYTES = 6_000_000
const DEFAULT_MAX_OPEN_FILES = 256
const DEFAULT_BUFFER_LIMIT_BYTES = 16 * 1024 * 1024
const SCRATCH_UNITS = 800
/** Before the queue id, in the directory name of a queue that Apache is not to load. */
export const APART_PREFIX = 'b'

/** Memory to read units into; one per nesting level, because a visitor may read another queue. */
export interface Scratch {
  readonly bytes: Buffer
  readonly view: DataView
}

export interface QueueStorageOptions {
  /** `<storePathRootDir>/consumequeue` */
  directory: string
  /** mappedFileSizeConsumeQueue; a multiple of 20. */
  fileBytes?: number
  maxOpenFiles?: number
  /** All unwritten units together; beyond it queues write more often instead of growing. */
  bufferLimitBytes?: number
  log?: (line: string) => void
}

export class QueueStorage {
  readonly directory: string
  readonly fileBytes: number
  readonly unitsPerFile: number
  readonly files: OpenFiles
  readonly log: (line: string) => void
  readonly bufferLimitBytes: number
  bufferBytes = 0
  unitTotal = 0
  queueTotal = 0
  /** Position of the log's first byte; units below it are of messages that are gone. */
  logMinPosition = 0
  /** Queues with units that are not in the file yet. */
  unwritten: ConsumeQueue[] = []
  /** Queues with file bytes that were not synced. */
  unsynced: ConsumeQueue[] = []
  /**
   * Topics of batch queues: Apache has theirs in `batchconsumequeue` and does not start when an
   * ordinary queue of one is in `consumequeue`; a directory there whose name is no number it passes
   * over.
   */
  readonly batchTopics: Set<string> = new Set()
  readonly #scratch: Scratch[] = []
  #scratchDepth = 0

  constructor(options: QueueStorageOptions) {
    this.directory = options.directory
    this.fileBytes = options.fileBytes ?? DEFAULT_CONSUME_QUEUE_FILE_BYTES
    if (this.fileBytes <= 0 || this.fileBytes % CQ_UNIT_BYTES !== 0) {
      throw new LedgerError(
        'BAD_CONFIG',
        `mappedFileSizeConsumeQueue ${this.fileBytes} is no multiple of ${CQ_UNIT_BYTES}`,
      )
    }
    this.unitsPerFile = this.fileBytes / CQ_UNIT_BYTES
    this.files = new OpenFiles(options.maxOpenFiles ?? DEFAULT_MAX_OPEN_FILES)
    this.bufferLimitBytes = options.bufferLimitBytes ?? DEFAULT_BUFFER_LIMIT_BYTES
    this.log = options.log ?? (() => {})
  }

  queueDirectory(topic: string, queueId: number): string {
    const prefix = this.batchTopics.has(topic) ? APART_PREFIX : ''
    return join(this.directory, topic, `${prefix}${queueId}`)
  }

  /** The directories whose entries lead to a queue's files. */
  directoriesOf(topic: string, queueId: number): string[] {
    const ofTopic = join(this.directory, topic)
    return [this.queueDirectory(topic, queueId), ofTopic, this.directory]
  }

  filePath(topic: string, queueId: number, fileStart: number): string {
    return join(this.queueDirectory(topic, queueId), fileNameOfOffset(fileStart))
  }

  /** Byte offset of the file that holds a unit. */
  fileStartOf(queueOffset: number): number {
    return Math.floor(queueOffset / this.unitsPerFile) * this.fileBytes
  }

  takeScratch(): Scratch {
    const depth = this.#scratchDepth++
    const known = this.#scratch[depth]
    if (known !== undefined) return known
    const bytes = Buffer.allocUnsafeSlow(SCRATCH_UNITS * CQ_UNIT_BYTES)
    const scratch = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
    this.#scratch[depth] = scratch
    return scratch
  }

  returnScratch(): void {
    assert(this.#scratchDepth > 0, 'scratch memory is returned as often as it is taken')
    this.#scratchDepth--
  }
}
