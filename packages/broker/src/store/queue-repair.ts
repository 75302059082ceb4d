/**
 * Consume queues against the log: finds units that do not stand for their message and writes them
 * anew. Owns the rule that the log decides: a unit is only ever replaced by what its message says.
 */
import { LedgerError } from '@ringledger/base'
import { type ConsumeQueueUnit, CQ_FILLER_SIZE, ENTRY_HEADER_BYTES } from '@ringledger/protocol'
import type { ConsumeQueue } from './consume-queue.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import { EntryPlan, PlanKind } from './entry-plan.ts'
import { LogWalk } from './log-walk.ts'
import type { LogFiles } from './message-reader.ts'
import { findOldestReadable } from './queue-search.ts'

/** So many units beside the damaged one are asked where its message may lie. */
const NEIGHBOURS = 16
/** How much of the log one repair looks through; what lies further is left to the scrub. */
const MAX_SEARCH_BYTES = 256 * 1024 * 1024

export interface QueueRepairOptions {
  readonly files: LogFiles
  readonly queues: ConsumeQueues
  readonly delayLevelsMs: readonly number[]
  readonly log: (line: string) => void
}

export class QueueRepair {
  readonly #options: QueueRepairOptions
  readonly #walk: LogWalk
  readonly #plan: EntryPlan
  readonly #unit: ConsumeQueueUnit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  /** Units that were found wrong and written anew. */
  repairs = 0
  /** Units that are fillers now, because no message stands where they say. */
  dropped = 0

  constructor(options: QueueRepairOptions) {
    this.#options = options
    this.#plan = new EntryPlan(options.queues, options.delayLevelsMs)
    this.#walk = new LogWalk(options.files, this.#plan, options.log)
  }

  /**
   * Looks for the message with this queue offset in the log between its neighbours, below `end`,
   * and writes its unit anew. False: the unit is right, its message is not there, or the log cannot
   * be read.
   */
  repairUnit(queue: ConsumeQueue, queueOffset: number, end: number): boolean {
    try {
      const found = this.#search(queue, queueOffset, end)
      if (found === undefined || this.#isSame(queue, queueOffset, found)) return false
      queue.rewriteUnit(queueOffset, found.physicalOffset, found.sizeBytes, found.tagsCode)
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'CORRUPT') throw error
      this.#options.log(`queue ${nameOf(queue)}, offset ${queueOffset}: ${error.message}`)
      return false
    }
    this.repairs++
    this.#options.log(
      `queue ${nameOf(queue)}: the unit of offset ${queueOffset} was damaged and is repaired`,
    )
    return true
  }

  /**
   * Sees that the unit of the message in the entry at `position` is right, repairing it if not.
   * Returns where the next entry begins. @throws LedgerError CORRUPT when the log cannot be read
   */
  checkEntry(position: number, end: number): number {
    const next = this.#look(position, end)
    const queue = this.#queueOfMessage()
    if (queue === undefined) return next
    const { message, queueOffsets, tagsCode } = this.#plan
    const { queueOffset, physicalOffset, sizeBytes } = message
    const expected = { physicalOffset, sizeBytes, tagsCode }
    const first = Math.max(queueOffset, queue.firstStoredOffset)
    const last = Math.min(queueOffset + queueOffsets, queue.maxOffset)
    for (let at = first; at < last; at++) {
      // A queue offset is used again when its topic was deleted and made anew: then the unit stands
      // for the later message, and rightly.
      if (this.#isSame(queue, at, expected) || this.#standsForItself(queue, at)) continue
      this.repairUnit(queue, at, end)
    }
    return next
  }

  /**
   * The same within a plain log, which nobody can repair: units of what is no message there become
   * fillers. @throws LedgerError CORRUPT when the log cannot be read
   */
  lookOnce(position: number, end: number): number {
    const { gapBytes } = this.#walk
    const next = this.checkEntry(position, end)
    const isGap = this.#plan.kind === PlanKind.SKIPPED && this.#walk.gapBytes > gapBytes
    if (isGap) this.#options.queues.forEachQueue((queue) => this.#dropUnits(queue, position, next))
    return next
  }

  #dropUnits(queue: ConsumeQueue, from: number, to: number): void {
    const unit = this.#unit
    for (let at = findOldestReadable(queue, from); at < queue.maxOffset; at++) {
      if (!queue.unitAt(at, unit)) continue
      if (unit.physicalOffset >= to) return
      // With its place, so that recovery keeps it at the end of a queue.
      queue.rewriteUnit(at, unit.physicalOffset, CQ_FILLER_SIZE, 0)
      this.dropped++
    }
  }

  /** The newest message of that offset: a topic that was made anew has given it more than once. */
  #search(queue: ConsumeQueue, queueOffset: number, end: number): ConsumeQueueUnit | undefined {
    const from = this.#goodPosition(queue, queueOffset, -1) ?? this.#options.queues.logMinPosition
    // That one, too: of an inner batch both units may be.
    const last = this.#goodPosition(queue, queueOffset, 1) ?? end - 1
    let found: ConsumeQueueUnit | undefined
    let position = from
    while (position <= last && position - from < MAX_SEARCH_BYTES) {
      const next = this.#look(position, end)
      const { message, tagsCode } = this.#plan
      if (this.#queueOfMessage() === queue && this.#isOfMessage(queueOffset)) {
        const { physicalOffset, sizeBytes } = message
        found = { physicalOffset, sizeBytes, tagsCode }
      }
      position = next
    }
    return found
  }

  #look(position: number, end: number): number {
    this.#walk.look(position, end, false)
    return position + this.#plan.entryBytes
  }

  #queueOfMessage(): ConsumeQueue | undefined {
    const { kind, topic, message } = this.#plan
    return kind === PlanKind.MESSAGE ? topic?.queues.get(message.queueId) : undefined
  }

  /** Whether the message looked at last takes `queueOffset`; an inner batch takes several. */
  #isOfMessage(queueOffset: number): boolean {
    const { message, queueOffsets } = this.#plan
    const first = message.queueOffset
    return queueOffset >= first && queueOffset < first + queueOffsets
  }

  /** Whether the unit of `queueOffset` says what the message looked at last says. */
  #isUnitOfMessage(queue: ConsumeQueue, queueOffset: number): boolean {
    const { message, tagsCode } = this.#plan
    const { physicalOffset, sizeBytes } = message
    return this.#isSame(queue, queueOffset, { physicalOffset, sizeBytes, tagsCode })
  }

  #isSame(queue: ConsumeQueue, queueOffset: number, expected: ConsumeQueueUnit): boolean {
    const unit = this.#unit
    return (
      queue.unitAt(queueOffset, unit) &&
      unit.physicalOffset === expected.physicalOffset &&
      unit.sizeBytes === expected.sizeBytes &&
      unit.tagsCode === expected.tagsCode
    )
  }

  /** Whether the unit stands for the message at the place that it names. */
  #standsForItself(queue: ConsumeQueue, queueOffset: number): boolean {
    if (!queue.unitAt(queueOffset, this.#unit)) return false
    const position = this.#positionOf(this.#unit)
    if (position < this.#options.queues.logMinPosition) return false
    try {
      this.#look(position, Number.MAX_SAFE_INTEGER)
    } catch (error) {
      if (error instanceof LedgerError && error.code === 'CORRUPT') return false
      throw error
    }
    if (this.#queueOfMessage() !== queue || !this.#isOfMessage(queueOffset)) return false
    return this.#isUnitOfMessage(queue, queueOffset)
  }

  /** Where the entry of a unit begins; messages of a plain log have no entry around them. */
  #positionOf({ physicalOffset }: ConsumeQueueUnit): number {
    const dividedPosition = this.#options.files.plain?.dividedPosition ?? 0
    return physicalOffset < dividedPosition ? physicalOffset : physicalOffset - ENTRY_HEADER_BYTES
  }

  /** Where the entry of the nearest sound unit begins. */
  #goodPosition(queue: ConsumeQueue, queueOffset: number, step: 1 | -1): number | undefined {
    for (let distance = 1; distance <= NEIGHBOURS; distance++) {
      const at = queueOffset + step * distance
      if (this.#standsForItself(queue, at)) return this.#positionOf(this.#unit)
    }
    return undefined
  }
}

function nameOf({ topic, queueId }: ConsumeQueue): string {
  return `${topic}/${queueId}`
}
