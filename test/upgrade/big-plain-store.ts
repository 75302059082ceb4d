/**
 * Makes a plain store of any size as a killed broker of Apache's leaves it: files of 1 GiB, consume
 * queues and key index up to a little before the end, `abort`, and a last message that was not
 * finished. Fast, because messages are copies of a few that differ in offsets, times and keys.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  encodeMessage,
  fileNameOfOffset,
  messageParts,
  messageSize,
  patchMessage,
  writePlainLogBlank,
} from '@ringledger/protocol'
import { PlainStoreBuilder } from '../../packages/broker/src/internal.ts'

export const BIG_SEGMENT_BYTES: number = 1024 * 1024 * 1024
export const BIG_TOPICS = 8
export const BIG_QUEUES = 8
const SHAPES = 64
const CHUNK_BYTES = 32 * 1024 * 1024
const BLANK_BYTES = 8
const KEY_START = '7F000001000018B4AAC2'
const KEY_DIGITS = 12
const MESSAGES_A_MS = 20
/** What a killed broker had not dispatched yet. */
const UNDISPATCHED = 50
const FIRST_STORED_MS = 1_790_000_000_000

export interface BigStore {
  readonly messages: number
  readonly endOffset: number
  /** Messages of each queue; message n is in queue n % (topics * queues). */
  readonly lastQueueOffset: number
}

interface Shape {
  readonly bytes: Buffer
  readonly keyAt: number
}

export function bigTopic(number: number): string {
  return `Big${number}`
}

/** Its UNIQ_KEY. */
export function bigKey(message: number): string {
  return KEY_START + digitsOf(message)
}

function digitsOf(message: number): string {
  return String(message).padStart(KEY_DIGITS, '0')
}

/** `totalBytes` of commit log below `root`, which must not be there. */
export function makeBigStore(root: string, totalBytes: number): BigStore {
  const maker = new Maker(root, totalBytes)
  try {
    return maker.run()
  } finally {
    maker.close()
  }
}

class Maker {
  readonly #root: string
  readonly #totalBytes: number
  readonly #shapes: readonly Shape[] = Array.from({ length: BIG_TOPICS * SHAPES }, (_, index) =>
    shapeOf(bigTopic(Math.floor(index / SHAPES))),
  )
  readonly #chunk: Buffer = Buffer.alloc(CHUNK_BYTES)
  readonly #view: DataView = new DataView(this.#chunk.buffer, this.#chunk.byteOffset)
  readonly #builder: PlainStoreBuilder
  #descriptor = -1
  /** Where in the log the chunk begins, and how much of it is filled. */
  #chunkAt = 0
  #filled = 0
  #messages = 0

  constructor(root: string, totalBytes: number) {
    this.#root = root
    this.#totalBytes = totalBytes
    mkdirSync(join(root, 'commitlog'), { recursive: true })
    const source = join(root, 'no-source')
    mkdirSync(source)
    this.#builder = new PlainStoreBuilder({
      rootDirectory: root,
      sourceDirectory: source,
      consumeQueueFileBytes: 6_000_000,
      indexSlots: 5_000_000,
      indexEntries: 20_000_000,
      logFirstOffset: 0,
    })
  }

  run(): BigStore {
    this.#beginFile(0)
    while (this.#end < this.#totalBytes) this.#addMessage()
    const endOffset = this.#end
    this.#tearOne()
    this.#flush()
    this.#builder.finish(0)
    rmSync(join(this.#root, 'no-source'), { recursive: true })
    this.#writeMarks()
    const lastQueueOffset = Math.floor((this.#messages - 1) / (BIG_TOPICS * BIG_QUEUES)) - 1
    return { messages: this.#messages, endOffset, lastQueueOffset }
  }

  close(): void {
    this.#builder.close()
    if (this.#descriptor >= 0) closeSync(this.#descriptor)
  }

  get #end(): number {
    return this.#chunkAt + this.#filled
  }

  #shapeOf(message: number): Shape {
    const topic = Math.floor((message % (BIG_TOPICS * BIG_QUEUES)) / BIG_QUEUES)
    return this.#shapes[topic * SHAPES + ((Math.imul(message, 40503) >>> 8) % SHAPES)]!
  }

  #addMessage(): void {
    const message = this.#messages
    const { bytes, keyAt } = this.#shapeOf(message)
    this.#makeRoom(bytes.length)
    const at = this.#filled
    bytes.copy(this.#chunk, at)
    this.#chunk.writeInt32BE(message % BIG_QUEUES, at + 12)
    this.#chunk.write(digitsOf(message), at + keyAt, 'latin1')
    const queueOffset = Math.floor(message / (BIG_TOPICS * BIG_QUEUES))
    const storedMs = FIRST_STORED_MS + Math.floor(message / MESSAGES_A_MS)
    patchMessage(this.#view, at, queueOffset, this.#end, storedMs)
    this.#tellBuilder(this.#chunk.subarray(at, at + bytes.length), this.#end)
    this.#filled += bytes.length
    this.#messages++
  }

  #tellBuilder(bytes: Buffer, offset: number): void {
    const left = this.#totalBytes - offset
    if (left < UNDISPATCHED * bytes.length) return
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#builder.addMessage(bytes, view, 0, bytes.length, offset, true)
  }

  #makeRoom(sizeBytes: number): void {
    const leftInFile = BIG_SEGMENT_BYTES - (this.#end % BIG_SEGMENT_BYTES)
    if (sizeBytes + BLANK_BYTES > leftInFile) {
      const next = this.#end + leftInFile
      this.#flushIfFull(BLANK_BYTES)
      writePlainLogBlank(this.#chunk, this.#filled, leftInFile)
      this.#filled += BLANK_BYTES
      this.#flush()
      this.#beginFile(next)
    }
    this.#flushIfFull(sizeBytes)
  }

  #flushIfFull(sizeBytes: number): void {
    if (this.#filled + sizeBytes > CHUNK_BYTES) this.#flush()
  }

  /** A message of which only the beginning reached the file. */
  #tearOne(): void {
    const { bytes } = this.#shapeOf(this.#messages)
    this.#makeRoom(bytes.length)
    bytes.copy(this.#chunk, this.#filled, 0, bytes.length >> 1)
    patchMessage(this.#view, this.#filled, 0, this.#end, FIRST_STORED_MS)
    this.#filled += bytes.length >> 1
  }

  #beginFile(offset: number): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor)
    this.#descriptor = openSync(join(this.#root, 'commitlog', fileNameOfOffset(offset)), 'wx')
    ftruncateSync(this.#descriptor, BIG_SEGMENT_BYTES)
    this.#chunkAt = offset
    this.#filled = 0
  }

  #flush(): void {
    writeSync(this.#descriptor, this.#chunk, 0, this.#filled, this.#chunkAt % BIG_SEGMENT_BYTES)
    this.#chunkAt += this.#filled
    this.#filled = 0
  }

  #writeMarks(): void {
    const topics = Array.from({ length: BIG_TOPICS }, (_, number) => {
      const [topicName, queues] = [bigTopic(number), BIG_QUEUES]
      const config = { topicName, readQueueNums: queues, writeQueueNums: queues, perm: 6 }
      return [topicName, config] as const
    })
    mkdirSync(join(this.#root, 'config'), { recursive: true })
    writeFileSync(
      join(this.#root, 'config/topics.json'),
      JSON.stringify({
        dataVersion: { counter: 1, timestamp: FIRST_STORED_MS, stateVersion: 0 },
        topicConfigTable: Object.fromEntries(topics),
      }),
    )
    writeFileSync(join(this.#root, 'abort'), '4711')
  }
}

function shapeOf(topic: string): Shape {
  const digits = digitsOf(0)
  const properties = `UNIQ_KEY\u0001${bigKey(0)}\u0002WAIT\u0001true\u0002TAGS\u0001TagA\u0002`
  const parts = messageParts({
    topic,
    body: randomBytes(600 + (randomBytes(2).readUInt16BE() % 800)),
    properties,
    bornTimestampMs: FIRST_STORED_MS,
    storeTimestampMs: FIRST_STORED_MS,
  })
  const bytes = Buffer.alloc(messageSize(parts))
  encodeMessage(bytes, 0, parts)
  return { bytes, keyAt: bytes.lastIndexOf(digits) }
}
