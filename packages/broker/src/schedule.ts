/**
 * Delivers delayed messages on the leader: when a message of SCHEDULE_TOPIC_XXXX is due, it is
 * written again to its real topic (rocketmq-remoting.md §5.7). Progress is exact across a change of
 * leader, because the re-put message carries the mark of the delayed one (`delay-levels.ts`):
 * message and progress are one log entry, and every node folds marks in log order. Owns the
 * invariants: per level messages are written in order; progress never passes a message that was not
 * written; what is under way is bounded.
 */
import {
  decodeMessage,
  MessageSysFlag,
  PropertyName,
  type StoredMessage,
  SystemTopic,
} from '@ringledger/protocol'
import type { BrokerContext } from './context.ts'
import type { AppendResult } from './core-port-api.ts'
import { delayMark } from './delay-levels.ts'
import { encodeStored } from './put-message.ts'
import { RequestError } from './request.ts'
import type { QueueView } from './store-view.ts'

const MAX_UNDER_WAY = 512
const MAX_UNDER_WAY_BYTES = 16 * 1024 * 1024
const MAX_PER_DUTY = 64
/** Pause after a write that was refused. */
const RETRY_MS = 100
const SKIP_SCAN_UNITS = 10_000
/** Of an inner batch too: what is delivered gets one queue offset. */
const NOT_DELIVERED: number = MessageSysFlag.TRANSACTION_MASK | MessageSysFlag.INNER_BATCH

interface LevelState {
  readonly level: number
  readonly delayMs: number
  /** Next offset of the level's queue to write. */
  next: number
  /** Everything below has been written. */
  floor: number
  /** Written, but not everything below was. */
  readonly ahead: Set<number>
  underWay: number
  /**
   * Lowest offset whose write failed, -1 for none: writing starts again there once nothing is under
   * way.
   */
  failedAt: number
  /**
   * `next` passed over messages: a record has to say so, since marks fold one after another only.
   */
  passedOver: boolean
  /** That record is on its way. */
  moving: boolean
  retryAtMs: number
}

type Unit = { physicalOffset: number; sizeBytes: number; tagsCode: number }

export class DelaySchedule {
  readonly #context: BrokerContext
  #levels: LevelState[] = []
  /** Completions of an earlier leadership are not ours any more. */
  #epoch = 0
  #underWay = 0
  #underWayBytes = 0
  #firstLevel = 0
  /**
   * The record that tells every node this leader's progress is in the log before anything is
   * delivered.
   */
  #announced = false
  readonly #unit: Unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }

  constructor(context: BrokerContext) {
    this.#context = context
  }

  get running(): boolean {
    return this.#levels.length > 0
  }

  /**
   * This node leads and has applied everything before its barrier: the state's progress is exact.
   */
  start(): void {
    const { delayLevelsMs, store } = this.#context
    this.#epoch += 1
    this.#underWay = 0
    this.#underWayBytes = 0
    this.#announced = false
    this.#levels = delayLevelsMs.map((delayMs, index) => {
      const next = store.state.delayOffset(index + 1)
      return {
        level: index + 1,
        delayMs,
        next,
        floor: next,
        ahead: new Set(store.delayProgress.deliveredEarly(index + 1, next)),
        underWay: 0,
        failedAt: -1,
        passedOver: false,
        moving: false,
        retryAtMs: 0,
      }
    })
  }

  stop(): void {
    this.#epoch += 1
    this.#levels = []
  }

  /** Writes what is due, a bounded number at a time. True if anything was written. */
  duty(): boolean {
    const nowMs = this.#context.clock.wallMs()
    const count = this.#levels.length
    if (count === 0) return false
    if (!this.#announced && !this.#announce()) return false
    let budget = MAX_PER_DUTY
    for (let step = 0; step < count && budget > 0; step++) {
      const level = this.#levels[(this.#firstLevel + step) % count] as LevelState
      budget -= this.#runLevel(level, nowMs, budget)
    }
    this.#firstLevel = (this.#firstLevel + 1) % count
    return budget < MAX_PER_DUTY
  }

  /**
   * Nodes that came from different Apache stores disagree about the progress, and marks fold only
   * where they fit: the leader's view is made everybody's.
   */
  #announce(): boolean {
    const started = this.#levels.filter(({ next }) => next > 0)
    const entries = started.map(({ level, next }): [number, number] => [level, next])
    const failure =
      entries.length === 0
        ? undefined
        : this.#context.changes.propose({ kind: 'delay', entries }, () => {})
    this.#announced = failure === undefined
    for (const level of this.#levels) {
      if (failure !== undefined) level.retryAtMs = this.#context.clock.wallMs() + RETRY_MS
    }
    return this.#announced
  }

  /** Wall time at which there is something to do, Infinity for never. */
  nextDueMs(): number {
    let earliest = Number.POSITIVE_INFINITY
    if (!this.#hasRoom()) return earliest
    const nowMs = this.#context.clock.wallMs()
    for (const level of this.#levels) earliest = Math.min(earliest, this.#dueOf(level, nowMs))
    return earliest
  }

  #dueOf(level: LevelState, nowMs: number): number {
    if (level.moving || level.failedAt >= 0) return Number.POSITIVE_INFINITY
    if (level.passedOver) return level.underWay > 0 ? Number.POSITIVE_INFINITY : level.retryAtMs
    const queue = this.#queueOf(level)
    if (queue === undefined || level.next >= queue.maxOffset) return Number.POSITIVE_INFINITY
    if (!queue.unitAt(level.next, this.#unit)) return level.retryAtMs
    return Math.max(level.retryAtMs, dueTime(this.#unit.tagsCode, level, nowMs))
  }

  #queueOf(level: LevelState): QueueView | undefined {
    return this.#context.store.queues.find(SystemTopic.SCHEDULE, level.level - 1)
  }

  #runLevel(level: LevelState, nowMs: number, budget: number): number {
    const queue = this.#queueOf(level)
    if (queue === undefined || level.moving || level.failedAt >= 0) return 0
    if (nowMs < level.retryAtMs) return 0
    if (level.passedOver) {
      if (level.underWay === 0) this.#moveProgress(level)
      return 0
    }
    let written = 0
    while (written < budget && level.next < queue.maxOffset && this.#hasRoom()) {
      if (level.ahead.has(level.next) || !queue.unitAt(level.next, this.#unit)) {
        this.#passGap(level, queue)
        break
      }
      if (dueTime(this.#unit.tagsCode, level, nowMs) > nowMs) break
      if (!this.#write(level, nowMs)) break
      written += 1
    }
    return written
  }

  #hasRoom(): boolean {
    return this.#underWay < MAX_UNDER_WAY && this.#underWayBytes < MAX_UNDER_WAY_BYTES
  }

  /** False: not now. A message that can never be written is passed over. */
  #write(level: LevelState, nowMs: number): boolean {
    const { port } = this.#context
    const delayed = this.#readUnit()
    const target = delayed === undefined ? undefined : this.#targetOf(delayed)
    if (delayed === undefined || target === undefined) {
      this.#passOver(level, 'has no topic to go to or cannot be read')
      return false
    }
    const bytes = this.#encode(level, delayed, target.topic, target.queueId)
    if (bytes === undefined) {
      this.#passOver(level, 'cannot be stored')
      return false
    }
    const epoch = this.#epoch
    const offset = level.next
    const sizeBytes = bytes.length
    const taken = port.append(target.slot, bytes, (result) => {
      if (epoch === this.#epoch) this.#written(level, offset, sizeBytes, result)
    })
    if (!taken) {
      level.retryAtMs = nowMs + RETRY_MS
      return false
    }
    level.next += 1
    level.underWay += 1
    this.#underWay += 1
    this.#underWayBytes += sizeBytes
    return true
  }

  #written(level: LevelState, offset: number, sizeBytes: number, result: AppendResult): void {
    level.underWay -= 1
    this.#underWay -= 1
    this.#underWayBytes -= sizeBytes
    if (!result.ok) {
      level.failedAt = level.failedAt < 0 ? offset : Math.min(level.failedAt, offset)
    } else {
      level.ahead.add(offset)
      while (level.ahead.delete(level.floor)) level.floor += 1
    }
    if (level.underWay > 0 || level.failedAt < 0) return
    level.next = level.failedAt
    level.failedAt = -1
    level.retryAtMs = this.#context.clock.wallMs() + RETRY_MS
  }

  #readUnit(): StoredMessage | undefined {
    const { physicalOffset, sizeBytes } = this.#unit
    const bytes = Buffer.allocUnsafe(sizeBytes)
    if (!this.#context.store.reader.read(physicalOffset, sizeBytes, bytes, 0)) return undefined
    return decodeMessage(bytes, 0)
  }

  #targetOf(delayed: StoredMessage): { topic: string; queueId: number; slot: number } | undefined {
    const { topics } = this.#context
    const topic = delayed.properties.get(PropertyName.REAL_TOPIC)
    if (topic === undefined || topic === SystemTopic.SCHEDULE) return undefined
    const wanted = Number(delayed.properties.get(PropertyName.REAL_QUEUE_ID))
    const queueId = topics.slotOf(topic, wanted) >= 0 ? wanted : 0
    const slot = topics.slotOf(topic, queueId)
    return slot < 0 ? undefined : { topic, queueId, slot }
  }

  #encode(
    level: LevelState,
    delayed: StoredMessage,
    topic: string,
    queueId: number,
  ): Buffer | undefined {
    try {
      return encodeStored(this.#context, {
        topic,
        queueId,
        body: delayed.body,
        properties: delayed.propertiesText,
        flag: delayed.flag,
        sysFlag: delayed.sysFlag & ~NOT_DELIVERED,
        bornTimestampMs: delayed.bornTimestampMs,
        bornHost: delayed.bornHost,
        reconsumeTimes: delayed.reconsumeTimes,
        preparedTransactionOffset: delayMark(level.level, level.next),
      })
    } catch (error) {
      if (error instanceof RequestError) return undefined
      throw error
    }
  }

  /** Offsets that need no writing: written before, or taken away by retention. */
  #passGap(level: LevelState, queue: QueueView): void {
    const from = level.next
    while (level.ahead.has(level.next)) level.next += 1
    if (level.next === from) {
      let readable = -1
      const end = queue.read(from, SKIP_SCAN_UNITS, (queueOffset) => {
        readable = queueOffset
        return false
      })
      level.next = Math.max(readable >= 0 ? readable : end, queue.minOffset, from)
    }
    level.passedOver = level.next > from
    if (!level.passedOver) level.retryAtMs = this.#context.clock.wallMs() + RETRY_MS
  }

  #passOver(level: LevelState, reason: string): void {
    this.#context.log(`the delayed message ${level.next} of level ${level.level} ${reason}`)
    level.next += 1
    level.passedOver = true
  }

  /**
   * Only when nothing is under way: progress must not pass a message whose write may still fail.
   */
  #moveProgress(level: LevelState): void {
    const { changes, clock } = this.#context
    const epoch = this.#epoch
    const { next } = level
    const entries: [number, number][] = [[level.level, next]]
    const failure = changes.propose({ kind: 'delay', entries }, (outcome) => {
      if (epoch !== this.#epoch) return
      level.moving = false
      if (outcome !== undefined) {
        level.retryAtMs = clock.wallMs() + RETRY_MS
        return
      }
      level.passedOver = false
      level.floor = next
      for (const offset of level.ahead) if (offset < next) level.ahead.delete(offset)
    })
    level.moving = failure === undefined
    if (failure !== undefined) level.retryAtMs = clock.wallMs() + RETRY_MS
  }
}

/**
 * A due time further off than the level's delay comes from a clock that was wrong: it is due now.
 */
function dueTime(tagsCode: number, level: LevelState, nowMs: number): number {
  return tagsCode > nowMs + level.delayMs ? nowMs : tagsCode
}
