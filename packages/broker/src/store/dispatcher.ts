/**
 * Walks committed entries in order and gives every message its consume queue unit and its index
 * keys. Owns the position below which everything is in queues, index and state (shared as
 * `arena.dispatched`). It never skips what it cannot read: it throws LedgerError `CORRUPT`; of a
 * file that is damaged DamagedLogError, and may be called again once that is repaired.
 */
import { LedgerError } from '@ringledger/base'
import {
  BATCH_ELEMENT_MIN_BYTES,
  type ConsumeQueueUnit,
  MessageSysFlag,
  MIN_MESSAGE_BYTES,
  transactionType,
} from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { levelOfMark } from '../delay-levels.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import { EntryPlan, PlanKind } from './entry-plan.ts'
import type { KeyIndex } from './key-index.ts'
import { LogWalk } from './log-walk.ts'
import type { LogFiles } from './message-reader.ts'

export interface DispatchListener {
  /** Called only for queues with `waiters` above 0, after the unit was appended. */
  onMessage(queue: ConsumeQueue, queueOffset: number, tagsCode: number): void
  /** A committed state record, in log order. */
  onState(text: string, position: number, endPosition: number): void
  /** A delivered delayed message with its mark (`delay-levels.ts`), in log order. */
  onDelayMark(mark: number, position: number, endPosition: number): void
}

export interface DispatcherOptions {
  arena: LogArena
  files: LogFiles
  queues: ConsumeQueues
  index: KeyIndex
  listener: DispatchListener
  /** messageDelayLevel in ms, level 1 first. */
  delayLevelsMs: readonly number[]
  /** Where to begin: queues and index hold everything below. */
  position: number
  /** End of the newest state record below that, 0 if none. */
  stateEnd?: number
  log?: (line: string) => void
}

export class Dispatcher {
  readonly #arena: LogArena
  readonly #walk: LogWalk
  /** Below it lies a plain log, all of it in files and committed. */
  readonly #dividedPosition: number
  /** There is no Raft log. */
  readonly #isPlain: boolean
  readonly #queues: ConsumeQueues
  readonly #index: KeyIndex
  readonly #listener: DispatchListener
  readonly #plan: EntryPlan
  readonly #log: (line: string) => void
  readonly #lastUnit: ConsumeQueueUnit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  /** What dispatch of an earlier run may have found missing. */
  readonly #unknownGapBytes: number
  #position: number
  #oldestSeen: number
  #stateEnd = 0
  #storeTimestampMs = 0
  /** Queues and index have these messages already; only state records count. */
  #stateOnly = false

  constructor(options: DispatcherOptions) {
    this.#arena = options.arena
    this.#queues = options.queues
    this.#index = options.index
    this.#listener = options.listener
    this.#plan = new EntryPlan(options.queues, options.delayLevelsMs)
    this.#log = options.log ?? (() => {})
    this.#walk = new LogWalk(options.files, this.#plan, this.#log)
    const isFromStart = options.position === options.files.plain?.firstPosition
    this.#unknownGapBytes = isFromStart ? 0 : Number.POSITIVE_INFINITY
    this.#dividedPosition = options.files.plain?.dividedPosition ?? 0
    this.#isPlain = options.files.plain?.grows ?? false
    this.#position = options.position
    this.#stateEnd = options.stateEnd ?? 0
    this.#oldestSeen = options.arena.oldest
    this.#arena.dispatched = options.position
  }

  /** Everything below is in queues, index and state. */
  get position(): number {
    return this.#position
  }

  /** End of the newest state record that was passed, 0 if none. */
  get stateEnd(): number {
    return this.#stateEnd
  }

  /** Store timestamp of the newest message that was passed. */
  get storeTimestampMs(): number {
    return this.#storeTimestampMs
  }

  /** The log begins at `position` now: what was to be dispatched below it is gone. */
  beginAt(position: number): void {
    this.#position = position
    this.#oldestSeen = this.#arena.oldest
    this.#walk.forget()
    this.#arena.dispatched = position
  }

  /** Dispatches up to `maxEntries` committed entries; true if there were any. */
  duty(maxEntries: number): boolean {
    const committed = this.#isPlain
      ? this.#arena.committed
      : Math.max(this.#arena.committed, this.#dividedPosition)
    if (this.#position >= committed) return false
    try {
      for (let count = 0; count < maxEntries && this.#position < committed; count++) {
        this.#next(committed)
      }
    } finally {
      this.#arena.dispatched = this.#position
    }
    return true
  }

  /** Hands the state records between two positions to the listener, from the files alone. */
  replayState(from: number, to: number): void {
    const resumeAt = this.#position
    this.#position = this.#isPlain ? from : Math.max(from, this.#dividedPosition)
    this.#stateOnly = true
    try {
      while (this.#position < to) this.#nextFromFiles(to)
    } finally {
      this.#stateOnly = false
      this.#position = resumeAt
    }
  }

  #next(committed: number): void {
    const position = this.#position
    if (position < this.#dividedPosition) {
      this.#nextFromFiles(this.#dividedPosition)
      return
    }
    // It can have fallen: a cut below it empties the arena, and what follows is in no file yet.
    if (position < this.#oldestSeen) this.#oldestSeen = this.#arena.oldest
    if (position >= this.#oldestSeen) {
      const { bytes, view } = this.#arena
      const offset = this.#arena.offsetOf(position)
      const plan = this.#plan
      const problem = plan.look(bytes, view, offset, bytes.length, position, committed, false)
      this.#oldestSeen = this.#arena.oldest
      if (position >= this.#oldestSeen) {
        this.#carryOut(problem)
        return
      }
    }
    this.#nextFromFiles(Math.min(committed, this.#arena.durable))
  }

  /**
   * What lies below `oldest` is on the disk; what is not on the disk yet must not be read ahead.
   */
  #nextFromFiles(end: number): void {
    this.#walk.look(this.#position, end, this.#stateOnly)
    this.#carryOut('')
  }

  #carryOut(problem: string): void {
    const position = this.#position
    if (problem !== '') {
      throw new LedgerError('CORRUPT', `log position ${position}: found ${problem}`)
    }
    const plan = this.#plan
    const end = position + plan.entryBytes
    switch (plan.kind) {
      case PlanKind.MESSAGE:
        if (!this.#stateOnly) this.#addMessage()
        this.#foldDelayMark(position, end)
        break
      case PlanKind.PREPARED:
        if (!this.#stateOnly) this.#addKeys()
        break
      case PlanKind.STATE:
        this.#listener.onState(plan.stateText, position, end)
        if (!this.#stateOnly) this.#stateEnd = end
        break
    }
    this.#position = end
  }

  #addMessage(): void {
    const plan = this.#plan
    const { message, topic, tagsCode } = plan
    const { queueId, queueOffset } = message
    const queue =
      topic?.queues.get(queueId) ??
      this.#queues.obtain(topic === undefined ? plan.topicText : topic.topic, queueId)
    if (this.#jumps(queue, queueOffset)) return
    queue.append(queueOffset, message.physicalOffset, message.sizeBytes, tagsCode)
    if ((message.sysFlag & MessageSysFlag.INNER_BATCH) !== 0) this.#addBatch(queue)
    for (const also of plan.alsoIn) {
      this.#queues.append(
        also.topic,
        also.queueId,
        also.queueOffset,
        message.physicalOffset,
        message.sizeBytes,
        tagsCode,
      )
    }
    this.#storeTimestampMs = message.storeTimestampMs
    this.#addKeys()
    if (queue.waiters > 0) this.#listener.onMessage(queue, queueOffset, tagsCode)
  }

  /** Each offset of an inner batch is the whole message: clients unwrap it. */
  #addBatch(queue: ConsumeQueue): void {
    const { message, tagsCode, queueOffsets, batchProblem } = this.#plan
    const { queueOffset, physicalOffset, sizeBytes } = message
    for (let at = queueOffset + 1; at < queueOffset + queueOffsets; at++) {
      queue.append(at, physicalOffset, sizeBytes, tagsCode)
    }
    if (batchProblem === '') return
    // It may have had more offsets than could be counted.
    this.#walk.gapBytes += (sizeBytes * MIN_MESSAGE_BYTES) / BATCH_ELEMENT_MIN_BYTES
    const { topic, queueId } = queue
    this.#log(`the batch at ${physicalOffset} in ${topic}/${queueId}: ${batchProblem}`)
  }

  /**
   * Headers in a plain log have no checksum. An offset further ahead than all that is missing could
   * account for is damage, and must not make the queue begin anew there.
   */
  #jumps(queue: ConsumeQueue, queueOffset: number): boolean {
    if (this.#position >= this.#dividedPosition || queue.maxOffset === queue.firstStoredOffset) {
      return false
    }
    const missing = queueOffset - queue.maxOffset
    if (missing <= 0) return false
    if (missing <= this.#couldBeMissing(queue)) return false
    this.#walk.gapBytes += this.#plan.entryBytes
    const { topic, queueId, maxOffset } = queue
    this.#log(
      `old commit log: the message at position ${this.#position} says that it has offset ` +
        `${queueOffset} in ${topic}/${queueId}, where ${maxOffset} is next: its header is damaged, ` +
        'it is in no queue',
    )
    return true
  }

  /** How many offsets the messages of `queue` can have had that are missing. */
  #couldBeMissing(queue: ConsumeQueue): number {
    const gapBytes = this.#walk.gapBytes + this.#unknownGapBytes
    const isBatch = (this.#plan.message.sysFlag & MessageSysFlag.INNER_BATCH) !== 0
    const unit = this.#lastUnit
    const isKnown = queue.unitAt(queue.maxOffset - 1, unit)
    const { physicalOffset } = unit
    const endsWithBatch =
      isKnown && queue.unitAt(queue.maxOffset - 2, unit) && unit.physicalOffset === physicalOffset
    return gapBytes / (isBatch || endsWithBatch ? BATCH_ELEMENT_MIN_BYTES : MIN_MESSAGE_BYTES)
  }

  /**
   * A delayed message that was delivered carries the progress of its level: it counts as a state
   * record.
   */
  #foldDelayMark(position: number, end: number): void {
    const { preparedTransactionOffset, sysFlag } = this.#plan.message
    if (preparedTransactionOffset === 0 || transactionType(sysFlag) !== 0) return
    if (position < this.#dividedPosition && !this.#isPlain) return
    if (levelOfMark(preparedTransactionOffset) === 0) return
    this.#listener.onDelayMark(preparedTransactionOffset, position, end)
    if (!this.#stateOnly) this.#stateEnd = end
  }

  #addKeys(): void {
    const { message, keyCount, keyHashes } = this.#plan
    for (let key = 0; key < keyCount; key++) {
      this.#index.put(keyHashes[key]!, message.physicalOffset, message.storeTimestampMs)
    }
  }
}
