/**
 * Gives messages their place in the log: queue offset, physical offset, store time. Belongs to the
 * core thread. Invariants: a queue's offsets are given out in log order; nothing is ordered while
 * another node may lead or the queues' offsets are not known.
 */
import { assert, type Clock } from '@ringledger/base'
import { ClaimRefusal, type LogEnd } from '@ringledger/consensus'
import { patchMessage } from '@ringledger/protocol'
import type { PendingSends } from './pending-sends.ts'
import { PendingKind } from './pending-sends.ts'
import { SendRefusal } from './send-responder.ts'
import type { TopicTable } from './topic-table.ts'

/** The log, as far as the one who orders writes needs it. */
export interface OrderedLog {
  /** Body offset in the arena's bytes, or a ClaimRefusal. */
  claim(bodyBytes: number): number
  readonly claimedPosition: number
  /** The claimed entry becomes the log's next one. */
  seal(): void
  /** The log's end now; `takeBack` forgets what was sealed since, within the same turn. */
  readonly end: LogEnd
  takeBack(end: LogEnd): void
  readonly endPosition: number
  readonly bytes: Buffer
  readonly view: DataView
}

export interface LogOrderParts {
  log: OrderedLog
  /** In front of each message: ENTRY_HEADER_BYTES, 0 in a plain log. */
  headerBytes: number
  topics: TopicTable
  pending: PendingSends
  clock: Clock
}

export class LogOrder {
  readonly log: OrderedLog
  /** In front of each message. */
  readonly headerBytes: number
  readonly topics: TopicTable
  readonly pending: PendingSends
  /** Whether sends may be ordered: this node leads, and the queue offsets are known. */
  serving = false
  /** No space for new segments: sends are refused with the cause until it returns. */
  diskFull = false
  /** Sends wait where they are: leadership is on its way to this node or to another. */
  holding = false
  readonly #clock: Clock
  #nowMs = 0

  constructor({ log, headerBytes, topics, pending, clock }: LogOrderParts) {
    this.log = log
    this.headerBytes = headerBytes
    this.topics = topics
    this.pending = pending
    this.#clock = clock
  }

  /** Store time of the turn's messages. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Once per loop turn. The time never goes back. */
  beginTurn(): void {
    this.#nowMs = Math.max(this.#nowMs, this.#clock.wallMs())
  }

  /**
   * Orders messages that the broker thread has encoded, back to back in `bytes`: all of them at
   * consecutive offsets of the queue, or none. Their answers go back by consecutive sequences.
   * Returns a ClaimRefusal or the end position.
   */
  appendAll(
    sequence: number,
    queueSlot: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): number {
    const { log, pending, topics } = this
    const before = log.end
    const pendingBefore = pending.mark
    let taken = 0
    for (let at = start; at < end; taken++) {
      const sizeBytes = bytes.readInt32BE(at)
      assert(sizeBytes > 0 && at + sizeBytes <= end, 'messages lie back to back')
      const slot = this.append(PendingKind.BROKER, queueSlot, bytes, at, at + sizeBytes)
      if (slot < 0) {
        log.takeBack(before)
        pending.takeBack(pendingBefore)
        if (queueSlot >= 0) topics.giveBack(queueSlot, taken)
        return slot
      }
      pending.sequence[slot] = sequence + taken
      at += sizeBytes
    }
    return log.endPosition
  }

  /**
   * Orders one encoded message as the log's next entry; slot -1: no queue. Returns a ClaimRefusal
   * or its slot among the pending, where the caller notes who waits.
   */
  append(kind: number, queueSlot: number, bytes: Buffer, start: number, end: number): number {
    const { log, pending, topics } = this
    if (pending.full) return ClaimRefusal.BUSY
    const offset = log.claim(end - start)
    if (offset < 0) return offset
    bytes.copy(log.bytes, offset, start, end)
    const queueOffset = queueSlot < 0 ? 0 : topics.takeOffset(queueSlot)
    const physicalOffset = log.claimedPosition + this.headerBytes
    patchMessage(log.view, offset, queueOffset, physicalOffset, this.#nowMs)
    log.seal()
    const slot = pending.push(log.endPosition)
    pending.kind[slot] = kind
    pending.physicalOffset[slot] = physicalOffset
    pending.queueOffset[slot] = queueOffset
    pending.storeTimestampMs[slot] = this.#nowMs
    return slot
  }
}

/** A planned change of leader must not look like load: clients retry the one and not the other. */
export function refusalOf(claimRefusal: number): SendRefusal {
  if (claimRefusal === ClaimRefusal.TOO_LARGE) return SendRefusal.ILLEGAL
  if (claimRefusal === ClaimRefusal.HANDING_OVER) return SendRefusal.HANDING_OVER
  return SendRefusal.BUSY
}
