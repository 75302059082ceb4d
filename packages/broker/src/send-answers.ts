/**
 * Writes the answers to plain sends straight into the connections' outboxes, and tells the broker
 * thread what became of its appends. Invariant: an entry is answered once, and a stored one only
 * when it has committed.
 */
import type { Connection } from '@ringledger/network'
import {
  ENTRY_HEADER_BYTES,
  errorResponseMaxBytes,
  ResponseCode,
  type SendExtConstants,
  SendResponse,
  sendResponseMaxBytes,
  writeErrorResponse,
  writeSendResponse,
} from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { CoreLink } from './core-link.ts'
import type { AppendError } from './core-port-frames.ts'
import { PendingKind, type PendingSends } from './pending-sends.ts'

const REMARKS: ReadonlyMap<number, Buffer> = new Map([
  [
    ResponseCode.SYSTEM_BUSY,
    Buffer.from(
      '[PC_SYNCHRONIZED]broker busy, start flow control for a while: the log waits for its disk or its followers',
    ),
  ],
  [
    ResponseCode.MESSAGE_ILLEGAL,
    Buffer.from('the message is illegal, maybe msg body or properties length not matched'),
  ],
  [
    ResponseCode.SYSTEM_ERROR,
    Buffer.from('leadership moved while the message was on its way; it may or may not be stored'),
  ],
  [
    ResponseCode.SERVICE_NOT_AVAILABLE,
    Buffer.from('service not available now: the disk of the broker is full'),
  ],
])
const NO_REMARK = Buffer.alloc(0)
/** With SERVICE_NOT_AVAILABLE, whose usual cause is a full disk. */
export const HANDING_OVER_REMARK: Buffer = Buffer.from(
  'service not available now: leadership is being handed over',
)

export class SendAnswers {
  readonly #pending: PendingSends
  readonly #arena: LogArena
  readonly #link: CoreLink
  readonly #connections: ReadonlyMap<number, Connection>
  readonly #ext: SendExtConstants
  readonly #response = new SendResponse()

  constructor(parts: {
    pending: PendingSends
    arena: LogArena
    link: CoreLink
    connections: ReadonlyMap<number, Connection>
    ext: SendExtConstants
    storeHost: Buffer
  }) {
    this.#pending = parts.pending
    this.#arena = parts.arena
    this.#link = parts.link
    this.#connections = parts.connections
    this.#ext = parts.ext
    this.#response.storeHost = parts.storeHost
    this.#response.ext = parts.ext
    this.#response.transactionId = parts.arena.bytes
  }

  /** Answers everything that ends at or before `position`. */
  complete(position: number): void {
    const pending = this.#pending
    for (;;) {
      const slot = pending.oldestUpTo(position)
      if (slot < 0) return
      const kind = pending.kind[slot]
      if (kind === PendingKind.CLIENT) this.#answer(slot)
      else if (kind === PendingKind.BROKER) this.#tellBroker(slot)
      pending.shift()
    }
  }

  /** Leadership is gone: whoever waits hears that the write may or may not be in the log. */
  failAll(code: AppendError): void {
    const pending = this.#pending
    for (;;) {
      const slot = pending.oldestUpTo(Number.POSITIVE_INFINITY)
      if (slot < 0) return
      const kind = pending.kind[slot]
      if (kind === PendingKind.CLIENT) {
        const connection = this.#connections.get(pending.connectionId[slot] as number)
        const opaque = pending.opaque[slot] as number
        if (connection !== undefined) this.refuse(connection, opaque, ResponseCode.SYSTEM_ERROR)
      } else if (kind === PendingKind.BROKER) {
        this.#link.appendFailed(pending.sequence[slot] as number, code)
      }
      pending.shift()
    }
  }

  refuse(
    connection: Connection,
    opaque: number,
    code: number,
    remark: Buffer = REMARKS.get(code) ?? NO_REMARK,
  ): void {
    const { outbox } = connection
    const at = outbox.claim(errorResponseMaxBytes(remark.length, this.#ext))
    outbox.commit(writeErrorResponse(outbox.bytes, at, opaque, code, remark, this.#ext))
  }

  #answer(slot: number): void {
    const pending = this.#pending
    const connection = this.#connections.get(pending.connectionId[slot] as number)
    if (connection === undefined) return
    const response = this.#response
    const physicalOffset = pending.physicalOffset[slot] as number
    const entryAt = this.#arena.offsetOf(physicalOffset - ENTRY_HEADER_BYTES)
    const keyAt = entryAt + ENTRY_HEADER_BYTES + (pending.uniqueKeyStart[slot] as number)
    response.opaque = pending.opaque[slot] as number
    response.queueId = pending.queueId[slot] as number
    response.queueOffset = pending.queueOffset[slot] as number
    response.physicalOffset = physicalOffset
    response.transactionIdStart = keyAt
    response.transactionIdEnd = keyAt + (pending.uniqueKeyBytes[slot] as number)
    const { outbox } = connection
    const at = outbox.claim(sendResponseMaxBytes(response))
    outbox.commit(writeSendResponse(outbox.bytes, at, response))
  }

  #tellBroker(slot: number): void {
    const pending = this.#pending
    this.#link.appended(
      pending.sequence[slot] as number,
      pending.physicalOffset[slot] as number,
      pending.queueOffset[slot] as number,
      pending.storeTimestampMs[slot] as number,
      pending.endPosition[slot] as number,
    )
  }
}
