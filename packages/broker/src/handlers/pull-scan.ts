/**
 * Finds the messages of one pull in a consume queue: count and byte limits, tag filter, result
 * table of rocketmq-remoting.md §5.4. One instance is used for all pulls, so nothing is allocated
 * per message.
 */
import { MAX_FRAME_BYTES, MIN_MESSAGE_BYTES, ResponseCode } from '@ringledger/protocol'
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
  count = 0
  totalBytes = 0
  /** A ResponseCode. */
  code = 0
  remark = ''
  nextBeginOffset = 0
  minOffset = 0
  maxOffset = 0
  /** The scan ended at this unit because it cannot be one of a message; -1: it did not. */
  damagedOffset = -1

  #subscription: Subscription | undefined
  #maxMessages = 0
  #maxBytes = 0
  #stoppedAt = -1

  run(
    queue: QueueView | undefined,
    offset: number,
    subscription: Subscription,
    limits: PullLimits,
  ): void {
    this.count = 0
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
    const units = Math.max(MIN_SCANNED_UNITS, this.#maxMessages)
    const seenTo = queue.read(offset, units, this.#visit)
    const next = this.#stoppedAt >= 0 ? this.#stoppedAt : Math.max(seenTo, offset)
    if (this.count > 0) this.#set(ResponseCode.SUCCESS, 'FOUND', next)
    else if (next > offset) {
      this.#set(ResponseCode.PULL_RETRY_IMMEDIATELY, 'NO_MATCHED_MESSAGE', next)
    } else this.#set(ResponseCode.PULL_NOT_FOUND, 'OFFSET_FOUND_NULL', offset)
  }

  readonly #visit = (
    queueOffset: number,
    physicalOffset: number,
    sizeBytes: number,
    tagsCode: number,
  ): boolean => {
    if (sizeBytes < MIN_MESSAGE_BYTES || sizeBytes > MAX_FRAME_BYTES) {
      this.damagedOffset = queueOffset
      this.#stoppedAt = queueOffset
      return false
    }
    if (!passesTags(this.#subscription as Subscription, tagsCode)) return true
    if (this.count > 0 && this.totalBytes + sizeBytes > this.#maxBytes) {
      this.#stoppedAt = queueOffset
      return false
    }
    this.physicalOffsets[this.count] = physicalOffset
    this.sizesBytes[this.count] = sizeBytes
    this.queueOffsets[this.count] = queueOffset
    this.count += 1
    this.totalBytes += sizeBytes
    if (this.count < this.#maxMessages) return true
    this.#stoppedAt = queueOffset + 1
    return false
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
