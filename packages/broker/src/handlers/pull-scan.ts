/**
 * Finds the messages of one pull in a consume queue: count and byte limits, tag filter, result
 * table of rocketmq-remoting.md §5.4. An inner batch has several units and is found once; it counts
 * as its elements, as in Apache. One instance is used for all pulls, so nothing is allocated per
 * message.
 */
import {
  type ConsumeQueueUnit,
  MAX_FRAME_BYTES,
  MAX_INNER_BATCH,
  MIN_MESSAGE_BYTES,
  ResponseCode,
} from '@ringledger/protocol'
import type { QueueView } from '../store-view.ts'
import { passesTags, type Subscription } from '../subscription.ts'

/** Index units that one pull looks at, at least; more when it asks for more messages. */
const MIN_SCANNED_UNITS = 800
const MAX_MESSAGES = 1_024

export interface PullLimits {
  readonly maxMessages: number
  readonly maxBytes: number
}

export class PullScan {
  /** Where the found messages lie; the first `count` elements count. */
  readonly physicalOffsets: Float64Array = new Float64Array(MAX_MESSAGES)
  readonly sizesBytes: Int32Array = new Int32Array(MAX_MESSAGES)
  readonly queueOffsets: Float64Array = new Float64Array(MAX_MESSAGES)
  /** How many units from there on stand for the message. */
  readonly units: Int32Array = new Int32Array(MAX_MESSAGES)
  count = 0
  /** Units of the found messages in all. */
  unitCount = 0
  totalBytes = 0
  /** A ResponseCode. */
  code = 0
  remark = ''
  nextBeginOffset = 0
  minOffset = 0
  maxOffset = 0
  /** The scan ended at this unit because it cannot be one of a message; -1: it did not. */
  damagedOffset = -1

  readonly #unit: ConsumeQueueUnit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  #subscription: Subscription | undefined
  #maxMessages = 0
  #maxBytes = 0
  #stoppedAt = -1
  /** The message seen last, and whether it was found. */
  #lastOffset = -1
  #lastBytes = 0
  #lastFound = false

  run(
    queue: QueueView | undefined,
    offset: number,
    subscription: Subscription,
    limits: PullLimits,
  ): void {
    this.count = 0
    this.unitCount = 0
    this.totalBytes = 0
    this.damagedOffset = -1
    this.minOffset = queue?.minOffset ?? 0
    this.maxOffset = queue?.maxOffset ?? 0
    if (queue === undefined) this.#outside(offset, 'NO_MATCHED_LOGIC_QUEUE')
    else if (this.maxOffset === 0) this.#outside(offset, 'NO_MESSAGE_IN_QUEUE')
    else if (offset < this.minOffset) this.#moved(this.minOffset, 'OFFSET_TOO_SMALL')
    else if (offset > this.maxOffset) this.#moved(this.maxOffset, 'OFFSET_OVERFLOW_BADLY')
    else if (offset === this.maxOffset) {
      this.#set(ResponseCode.PULL_NOT_FOUND, 'OFFSET_OVERFLOW_ONE', offset)
    } else this.#scan(queue, offset, subscription, limits)
  }

  #scan(queue: QueueView, offset: number, subscription: Subscription, limits: PullLimits): void {
    this.#subscription = subscription
    this.#maxMessages = Math.max(1, Math.min(limits.maxMessages, MAX_MESSAGES))
    this.#maxBytes = limits.maxBytes
    this.#stoppedAt = -1
    this.#lastOffset = -1
    // One more than are wanted: the last may be a batch, whose end is to be seen.
    const units = Math.max(MIN_SCANNED_UNITS, this.#maxMessages + 1)
    const seenTo = queue.read(offset, units, this.#visit)
    const next = this.#stoppedAt >= 0 ? this.#stoppedAt : this.#behind(queue, offset, seenTo)
    if (this.count > 0) this.#set(ResponseCode.SUCCESS, 'FOUND', next)
    else if (next > offset) {
      this.#set(ResponseCode.PULL_RETRY_IMMEDIATELY, 'NO_MATCHED_MESSAGE', next)
    } else this.#set(ResponseCode.PULL_NOT_FOUND, 'OFFSET_FOUND_NULL', offset)
  }

  /** Where to go on when the scan ended at its limit: perhaps within a batch. */
  #behind(queue: QueueView, offset: number, seenTo: number): number {
    if (seenTo >= this.maxOffset || this.#lastOffset < 0) return Math.max(seenTo, offset)
    const unit = this.#unit
    if (!queue.unitAt(seenTo, unit) || unit.physicalOffset !== this.#lastOffset) return seenTo
    const end = queue.read(seenTo, MAX_INNER_BATCH, this.#isSame)
    if (this.#lastFound) this.#addUnits(end - seenTo)
    return end
  }

  #addUnits(units: number): void {
    this.units[this.count - 1] = (this.units[this.count - 1] as number) + units
    this.unitCount += units
  }

  readonly #isSame = (_queueOffset: number, physicalOffset: number, sizeBytes: number): boolean =>
    physicalOffset === this.#lastOffset && sizeBytes === this.#lastBytes

  /** A further unit of the message seen last. */
  #visitSame(): boolean {
    if (!this.#lastFound) return true
    this.#addUnits(1)
    if (this.unitCount <= this.#maxMessages || this.count === 1) return true
    // More than is wanted: the whole batch is left to the next pull.
    this.count--
    this.unitCount -= this.units[this.count] as number
    this.totalBytes -= this.#lastBytes
    this.#stoppedAt = this.queueOffsets[this.count] as number
    return false
  }

  readonly #visit = (
    queueOffset: number,
    physicalOffset: number,
    sizeBytes: number,
    tagsCode: number,
  ): boolean => {
    if (physicalOffset === this.#lastOffset && sizeBytes === this.#lastBytes) {
      return this.#visitSame()
    }
    if (this.unitCount >= this.#maxMessages) {
      this.#stoppedAt = queueOffset
      return false
    }
    if (sizeBytes < MIN_MESSAGE_BYTES || sizeBytes > MAX_FRAME_BYTES) {
      this.damagedOffset = queueOffset
      this.#stoppedAt = queueOffset
      return false
    }
    this.#lastOffset = physicalOffset
    this.#lastBytes = sizeBytes
    this.#lastFound = false
    if (!passesTags(this.#subscription as Subscription, tagsCode)) return true
    if (this.count > 0 && this.totalBytes + sizeBytes > this.#maxBytes) {
      this.#stoppedAt = queueOffset
      return false
    }
    this.physicalOffsets[this.count] = physicalOffset
    this.sizesBytes[this.count] = sizeBytes
    this.queueOffsets[this.count] = queueOffset
    this.units[this.count] = 1
    this.count += 1
    this.unitCount += 1
    this.totalBytes += sizeBytes
    this.#lastFound = true
    return true
  }

  /** A queue without messages: offset 0 waits for the first one, any other is wrong. */
  #outside(offset: number, remark: string): void {
    const code = offset === 0 ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED
    this.#set(code, remark, 0)
  }

  #moved(nextOffset: number, remark: string): void {
    this.#set(ResponseCode.PULL_OFFSET_MOVED, remark, nextOffset)
  }

  #set(code: number, remark: string, nextOffset: number): void {
    this.code = code
    this.remark = remark
    this.nextBeginOffset = nextOffset
  }
}
