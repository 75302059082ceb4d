/**
 * What one log entry asks of the queues and the key index, worked out from its bytes without
 * changing anything: the bytes may be overwritten meanwhile, and then the plan is forgotten. Owns
 * no state beyond the entry looked at last.
 */
import {
  ENTRY_HEADER_BYTES,
  entryBodyBytes,
  entryMagic,
  entryPosition,
  entrySize,
  equalBytes,
  innerBatchOffsets,
  innerNumOf,
  javaHashCodeOfUtf8,
  LIGHT_TOPIC_PREFIX,
  MAGIC_BLANK,
  MAGIC_NORMAL,
  MessageSysFlag,
} from '@ringledger/protocol'
import { STATE_TOPIC } from '../state/records.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import { keyHashOf, topicPrefixHash } from './key-hash.ts'
import { MessageScan } from './message-scan.ts'
import type { TopicQueues } from './topic-queue-table.ts'

export const PlanKind = {
  BLANK: 0,
  STATE: 1,
  MESSAGE: 2,
  /** A half message of the old kind: its keys are indexed, no queue shows it. */
  PREPARED: 3,
  /** Nothing to do: a rolled back message, or bytes of an old log that are none. */
  SKIPPED: 4,
} as const
export type PlanKind = (typeof PlanKind)[keyof typeof PlanKind]

/**
 * Keys of one message that are indexed; its properties have room for more, but no one needs them.
 */
const MAX_KEYS = 1024
const KEY_SEPARATOR = 0x20
const UNKNOWN_LEVEL_DELAY_MS = 1000
export const SCHEDULE_TOPIC = 'SCHEDULE_TOPIC_XXXX'
const STATE_TOPIC_BYTES: Buffer = Buffer.from(STATE_TOPIC)

export class EntryPlan {
  readonly message: MessageScan = new MessageScan()
  kind: PlanKind = PlanKind.BLANK
  entryBytes = 0
  /** The topic's queues, or undefined when it has none yet: then `topicText` is its name. */
  topic: TopicQueues | undefined
  topicText = ''
  stateText = ''
  /** What the consume queue keeps: hash of the tag, or when a delayed message is due. */
  tagsCode = 0
  /** Offsets of its queue that the message takes: an inner batch has one for each element. */
  queueOffsets = 1
  /** What an inner batch says of itself is not so; '' otherwise. */
  batchProblem = ''
  /** Further queues that show the message (rocketmq-store.md §1.8); of old logs only. */
  readonly alsoIn: { topic: string; queueId: number; queueOffset: number }[] = []
  keyCount = 0
  readonly keyHashes: Int32Array = new Int32Array(MAX_KEYS)
  readonly #queues: ConsumeQueues
  readonly #delayLevelsMs: readonly number[]

  constructor(queues: ConsumeQueues, delayLevelsMs: readonly number[]) {
    this.#queues = queues
    this.#delayLevelsMs = delayLevelsMs
  }

  /**
   * Looks at the entry of `position` that starts at `offset`; its bytes end before `limit`,
   * committed ones at position `end`. Returns what is wrong with it, '' when nothing is. With
   * `stateOnly` ordinary messages are not looked into.
   */
  look(
    bytes: Buffer,
    view: DataView,
    offset: number,
    limit: number,
    position: number,
    end: number,
    stateOnly: boolean,
  ): string {
    const magic = entryMagic(view, offset)
    const entryBytes = entrySize(view, offset)
    this.#forgetQueues()
    this.entryBytes = entryBytes
    if (magic === MAGIC_BLANK) {
      this.kind = PlanKind.BLANK
      return entryBytes > 0 && position + entryBytes <= end ? '' : `a blank of ${entryBytes} bytes`
    }
    if (magic !== MAGIC_NORMAL) return `magic ${magic}`
    if (entryPosition(view, offset) !== position) return 'an entry of another position'
    const bodyBytes = entryBodyBytes(view, offset)
    if (bodyBytes !== entryBytes - ENTRY_HEADER_BYTES) return `an entry of ${entryBytes} bytes`
    if (offset + entryBytes > limit || position + entryBytes > end) {
      return `an entry of ${entryBytes} bytes, more than the log has`
    }
    const start = offset + ENTRY_HEADER_BYTES
    const found = this.message.scan(bytes, view, start, bodyBytes, position + ENTRY_HEADER_BYTES)
    if (found !== 'ok') return `no sound message (${found})`
    this.kind = this.#kindOf(bytes)
    if (this.kind === PlanKind.STATE) {
      this.stateText = bytes.toString('utf8', this.message.bodyStart, this.message.bodyEnd)
    } else if (this.kind !== PlanKind.SKIPPED && !stateOnly) {
      this.#lookMessage(bytes)
    }
    return ''
  }

  /**
   * The same for the checked message of a plain log that stands at `position`. It holds no state:
   * that came into the log with the group.
   */
  lookPlain(
    bytes: Buffer,
    view: DataView,
    offset: number,
    position: number,
    sizeBytes: number,
    stateOnly: boolean,
  ): string {
    this.entryBytes = sizeBytes
    this.#forgetQueues()
    const found = this.message.scan(bytes, view, offset, sizeBytes, position)
    if (found !== 'ok') return `no sound message (${found})`
    this.kind = this.#kindOf(bytes)
    if (this.kind === PlanKind.STATE) this.kind = PlanKind.SKIPPED
    if (this.kind !== PlanKind.SKIPPED && !stateOnly) {
      this.#lookMessage(bytes)
      if (this.message.multiDispatchEnd > this.message.multiDispatchStart) this.#lookQueues(bytes)
    }
    return ''
  }

  /** Setting the length costs more than looking at a message. */
  #forgetQueues(): void {
    if (this.alsoIn.length > 0) this.alsoIn.length = 0
  }

  #lookQueues(bytes: Buffer): void {
    const { message } = this
    const { multiDispatchStart, multiDispatchEnd, multiOffsetStart, multiOffsetEnd } = message
    const names = bytes.toString('utf8', multiDispatchStart, multiDispatchEnd).split(',')
    const offsets = bytes.toString('latin1', multiOffsetStart, multiOffsetEnd).split(',')
    for (const [at, name] of names.entries()) {
      const queueOffset = Number(offsets[at] || -1)
      const isQueue = /^(?!\.{1,2}$)[^/\\\0]+$/.test(name) && Number.isSafeInteger(queueOffset)
      if (!isQueue || queueOffset < 0) continue
      const queueId = name.startsWith(LIGHT_TOPIC_PREFIX) ? 0 : message.queueId
      this.alsoIn.push({ topic: name, queueId, queueOffset })
    }
  }

  /** There is nothing in the next `sizeBytes`. */
  skip(sizeBytes: number): void {
    this.kind = PlanKind.SKIPPED
    this.entryBytes = sizeBytes
  }

  #kindOf(bytes: Buffer): PlanKind {
    const { sysFlag, topicStart, topicEnd } = this.message
    switch (sysFlag & MessageSysFlag.TRANSACTION_MASK) {
      case MessageSysFlag.TRANSACTION_PREPARED_TYPE:
        return PlanKind.PREPARED
      case MessageSysFlag.TRANSACTION_ROLLBACK_TYPE:
        return equalBytes(
          bytes,
          topicStart,
          topicEnd,
          STATE_TOPIC_BYTES,
          0,
          STATE_TOPIC_BYTES.length,
        )
          ? PlanKind.STATE
          : PlanKind.SKIPPED
      default:
        return PlanKind.MESSAGE
    }
  }

  #lookMessage(bytes: Buffer): void {
    const message = this.message
    const topic = this.#queues.topicByBytes(bytes, message.topicStart, message.topicEnd)
    this.topic = topic
    if (topic === undefined) {
      this.topicText = bytes.toString('utf8', message.topicStart, message.topicEnd)
    }
    const name = topic === undefined ? this.topicText : topic.topic
    this.tagsCode =
      name === SCHEDULE_TOPIC && message.delayEnd > message.delayStart
        ? this.#deliverTimeMs(bytes)
        : javaHashCodeOfUtf8(bytes, message.tagsStart, message.tagsEnd)
    this.queueOffsets = 1
    const isBatch = (message.sysFlag & MessageSysFlag.INNER_BATCH) !== 0
    // A delayed message is delivered by its unit, and once.
    if (isBatch && name !== SCHEDULE_TOPIC) this.#lookBatch(bytes)
    const prefixHash = topic === undefined ? topicPrefixHash(name) : topic.keyPrefixHash
    this.#lookKeys(bytes, prefixHash)
  }

  #lookBatch(bytes: Buffer): void {
    const { sysFlag, bodyStart, bodyEnd, innerNumStart, innerNumEnd } = this.message
    const innerNum = bytes.toString('latin1', innerNumStart, innerNumEnd)
    const count = innerBatchOffsets(sysFlag, bytes, bodyStart, bodyEnd, innerNum)
    this.queueOffsets = count
    this.batchProblem =
      innerNumOf(innerNum) === count
        ? ''
        : `INNER_NUM is "${innerNum}", of ${count} elements in the body`
  }

  #lookKeys(bytes: Buffer, prefixHash: number): void {
    const { uniqKeyStart, uniqKeyEnd, keysStart, keysEnd } = this.message
    this.keyCount = 0
    if (uniqKeyEnd > uniqKeyStart) {
      this.keyHashes[this.keyCount++] = keyHashOf(prefixHash, bytes, uniqKeyStart, uniqKeyEnd)
    }
    let start = keysStart
    while (start < keysEnd && this.keyCount < MAX_KEYS) {
      let end = start
      while (end < keysEnd && bytes[end] !== KEY_SEPARATOR) end++
      if (end > start) this.keyHashes[this.keyCount++] = keyHashOf(prefixHash, bytes, start, end)
      start = end + 1
    }
  }

  /** When a message of the schedule topic is due; a level below 1 means that it is not delayed. */
  #deliverTimeMs(bytes: Buffer): number {
    const { delayStart, delayEnd, storeTimestampMs, tagsStart, tagsEnd } = this.message
    const level = Number(bytes.toString('latin1', delayStart, delayEnd))
    if (!(level > 0)) return javaHashCodeOfUtf8(bytes, tagsStart, tagsEnd)
    const known = this.#delayLevelsMs
    const delayMs = known[Math.min(level, known.length) - 1] ?? UNKNOWN_LEVEL_DELAY_MS
    return storeTimestampMs + delayMs
  }
}
