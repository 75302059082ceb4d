/**
 * Plain sends when one thread has the sockets and the log: from the socket's bytes straight into
 * the log arena, answered when they have committed.
 */
import { assert } from '@ringledger/base'
import { ClaimRefusal } from '@ringledger/consensus'
import type { Connection } from '@ringledger/network'
import { encodeMessage } from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { type LogOrder, refusalOf } from './log-order.ts'
import { PendingKind } from './pending-sends.ts'
import type { SendOwner } from './send-answers.ts'
import { SendRefusal, type SendResponder } from './send-responder.ts'
import { type PlainSend, type SubmitPort, Taken } from './submit-port.ts'
import type { TopicSlot } from './topic-table.ts'

export interface LocalSubmitParts {
  order: LogOrder
  arena: LogArena
  responder: SendResponder
  connections: ReadonlyMap<number, Connection>
}

export class LocalSubmit implements SubmitPort, SendOwner {
  readonly #order: LogOrder
  readonly #arena: LogArena
  readonly #responder: SendResponder
  readonly #connections: ReadonlyMap<number, Connection>

  constructor({ order, arena, responder, connections }: LocalSubmitParts) {
    this.#order = order
    this.#arena = arena
    this.#responder = responder
    this.#connections = connections
    responder.response.transactionId = arena.bytes
  }

  get serving(): boolean {
    return this.#order.serving
  }

  get holding(): boolean {
    return this.#order.holding
  }

  get nowMs(): number {
    return this.#order.nowMs
  }

  submit(connection: Connection, topic: TopicSlot, send: PlainSend): Taken {
    const { log, headerBytes, pending, topics, diskFull, nowMs } = this.#order
    const { parts, sizeBytes, oneWay } = send
    if (diskFull) return this.#refuse(connection, send, SendRefusal.DISK_FULL)
    const offset = pending.full ? ClaimRefusal.BUSY : log.claim(sizeBytes)
    if (offset === ClaimRefusal.HANDING_OVER) return Taken.LATER
    if (offset < 0) return this.#refuse(connection, send, refusalOf(offset))
    const physicalOffset = log.claimedPosition + headerBytes
    parts.queueOffset = topics.takeOffset(topic.queueSlotBase + parts.queueId)
    parts.physicalOffset = physicalOffset
    parts.storeTimestampMs = nowMs
    const written = encodeMessage(log.bytes, offset, parts)
    assert(written === sizeBytes, 'a message is as long as was claimed')
    log.seal()
    const slot = pending.push(log.endPosition)
    pending.kind[slot] = oneWay ? PendingKind.ONE_WAY : PendingKind.CLIENT
    pending.connectionId[slot] = connection.id
    pending.opaque[slot] = send.opaque
    pending.queueId[slot] = parts.queueId
    pending.queueOffset[slot] = parts.queueOffset
    pending.physicalOffset[slot] = physicalOffset
    pending.uniqueKeyStart[slot] = send.uniqueKeyStart
    pending.uniqueKeyBytes[slot] = send.uniqueKeyBytes
    return Taken.DONE
  }

  /** Sends wait for a leader, never for room: what has no room is refused at once. */
  retry(): boolean {
    return !this.#order.holding
  }

  onStored(slot: number): void {
    const { pending, headerBytes } = this.#order
    const connection = this.#connections.get(pending.connectionId[slot] as number)
    if (connection === undefined) return
    const { response } = this.#responder
    const physicalOffset = pending.physicalOffset[slot] as number
    const entryAt = this.#arena.offsetOf(physicalOffset - headerBytes)
    const keyAt = entryAt + headerBytes + (pending.uniqueKeyStart[slot] as number)
    response.opaque = pending.opaque[slot] as number
    response.queueId = pending.queueId[slot] as number
    response.queueOffset = pending.queueOffset[slot] as number
    response.physicalOffset = physicalOffset
    response.transactionIdStart = keyAt
    response.transactionIdEnd = keyAt + (pending.uniqueKeyBytes[slot] as number)
    this.#responder.stored(connection)
  }

  onLost(slot: number): void {
    const { pending } = this.#order
    const connection = this.#connections.get(pending.connectionId[slot] as number)
    if (connection === undefined) return
    const opaque = pending.opaque[slot] as number
    this.#responder.refuse(connection, opaque, SendRefusal.LEADERSHIP_LOST)
  }

  #refuse(connection: Connection, send: PlainSend, refusal: SendRefusal): Taken {
    if (!send.oneWay) this.#responder.refuse(connection, send.opaque, refusal)
    return Taken.DONE
  }
}
