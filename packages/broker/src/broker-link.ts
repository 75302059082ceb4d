/**
 * The end of the two rings to the broker thread, for the core thread and for network workers. Never
 * waits: what does not fit is refused, and the caller pauses the connection that sent it.
 */
import { assert } from '@ringledger/base'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type { PublishedTopic, Role } from './core-port-api.ts'
import {
  APPEND_ERRORS,
  type AppendError,
  BrokerFrame,
  CoreFrame,
  PART_BYTES,
  PART_HEAD_BYTES,
  PORT_RING_BYTES,
  ROLES,
} from './core-port-frames.ts'

export interface BrokerCommands {
  /** The bytes are valid during the call only. */
  onAnswer(connectionId: number, bytes: Buffer, start: number, end: number): void
  onAppend(sequence: number, queueSlot: number, bytes: Buffer, start: number, end: number): void
  onTopic(entry: PublishedTopic): void
  onRemoveTopic(topic: string): void
  onQueueOffset(queueSlot: number, nextOffset: number): void
  onServing(term: number): void
  onCloseRequest(connectionId: number): void
  onTransfer(brokerId: number): void
  onRelay(address: string): void
  onTrim(position: number): void
}

/** Kept free for completions, role changes and closed connections, which may not be refused. */
const RESERVED_BYTES = 1024 * 1024
/** Kept free beside that for new connections, so that a flood of requests does not refuse them. */
const CONNECTIONS_BYTES = 512 * 1024

export class BrokerLink {
  readonly #in: SpscRing
  readonly #out: SpscRing
  readonly #brokerBell: Doorbell
  #item: Buffer | undefined
  #itemFilled = 0
  /** Room that the smallest request refused since the last `retry` waits for. */
  #wantedBytes = Number.POSITIVE_INFINITY

  constructor(parts: { fromBroker: SpscRing; toBroker: SpscRing; brokerBell: Doorbell }) {
    this.#in = parts.fromBroker
    this.#out = parts.toBroker
    this.#brokerBell = parts.brokerBell
  }

  /** False: no room now; offer the same frame again once `retry` says so. */
  request(connectionId: number, frame: Buffer, start: number, end: number): boolean {
    const totalBytes = end - start
    const parts = Math.ceil(totalBytes / PART_BYTES)
    const frameBytes = totalBytes + parts * (PART_HEAD_BYTES + 16) + PART_BYTES
    const neededBytes = frameBytes + RESERVED_BYTES + CONNECTIONS_BYTES
    if (this.#out.freeBytes < neededBytes) {
      this.#wantedBytes = Math.min(this.#wantedBytes, neededBytes)
      return false
    }
    for (let done = 0; done < totalBytes; done += PART_BYTES) {
      const partBytes = Math.min(PART_BYTES, totalBytes - done)
      const offset = this.#claim(CoreFrame.REQUEST, PART_HEAD_BYTES + partBytes)
      const view = this.#out.view
      view.setInt32(offset, connectionId, true)
      view.setInt32(offset + 4, totalBytes, true)
      view.setFloat64(offset + 8, 0, true)
      const from = start + done
      frame.copy(this.#out.bytes, offset + PART_HEAD_BYTES, from, from + partBytes)
      this.#out.commit()
    }
    return true
  }

  /** True if requests that were refused should be offered again; asked before offering them. */
  retry(): boolean {
    if (this.#wantedBytes === Number.POSITIVE_INFINITY) return true
    const { capacityBytes, freeBytes } = this.#out
    // With some room beyond the first request, so that it is not refused one by one.
    const spareBytes = this.#wantedBytes < capacityBytes / 2 ? capacityBytes / 8 : 0
    if (freeBytes < this.#wantedBytes + spareBytes) return false
    this.#wantedBytes = Number.POSITIVE_INFINITY
    return true
  }

  /** False: no room; the connection cannot be served and is to be closed without `closed`. */
  connected(connectionId: number, remoteAddress: string, remoteHost: Buffer): boolean {
    if (this.#out.freeBytes < RESERVED_BYTES) return false
    const addressBytes = Buffer.byteLength(remoteAddress)
    const sizeBytes = 8 + remoteHost.length + addressBytes
    const offset = this.#claim(CoreFrame.CONNECTED, sizeBytes)
    this.#out.view.setInt32(offset, connectionId, true)
    this.#out.view.setInt32(offset + 4, remoteHost.length, true)
    remoteHost.copy(this.#out.bytes, offset + 8)
    this.#out.bytes.write(remoteAddress, offset + 8 + remoteHost.length, 'utf8')
    this.#out.commit()
    return true
  }

  closed(connectionId: number): void {
    const offset = this.#claim(CoreFrame.CLOSED, 4)
    this.#out.view.setInt32(offset, connectionId, true)
    this.#out.commit()
  }

  appended(
    sequence: number,
    physicalOffset: number,
    queueOffset: number,
    storeTimestampMs: number,
    endPosition: number,
  ): void {
    const offset = this.#claim(CoreFrame.APPENDED, 40)
    const view = this.#out.view
    view.setFloat64(offset, sequence, true)
    view.setFloat64(offset + 8, physicalOffset, true)
    view.setFloat64(offset + 16, queueOffset, true)
    view.setFloat64(offset + 24, storeTimestampMs, true)
    view.setFloat64(offset + 32, endPosition, true)
    this.#out.commit()
  }

  appendFailed(sequence: number, code: AppendError): void {
    const offset = this.#claim(CoreFrame.APPEND_FAILED, 12)
    this.#out.view.setFloat64(offset, sequence, true)
    this.#out.view.setInt32(offset + 8, APPEND_ERRORS.indexOf(code), true)
    this.#out.commit()
  }

  role(role: Role, term: number, leaderId: string, barrierEnd: number): void {
    const sizeBytes = 24 + Buffer.byteLength(leaderId)
    const offset = this.#claim(CoreFrame.ROLE, sizeBytes)
    const view = this.#out.view
    view.setInt32(offset, ROLES.indexOf(role), true)
    view.setInt32(offset + 4, 0, true)
    view.setFloat64(offset + 8, term, true)
    view.setFloat64(offset + 16, barrierEnd, true)
    this.#out.bytes.write(leaderId, offset + 24, 'utf8')
    this.#out.commit()
  }

  transferEnded(done: boolean, reason: string): void {
    const offset = this.#claim(CoreFrame.TRANSFER_ENDED, 4 + Buffer.byteLength(reason))
    this.#out.view.setInt32(offset, done ? 1 : 0, true)
    this.#out.bytes.write(reason, offset + 4, 'utf8')
    this.#out.commit()
  }

  /**
   * Publishes the turn's frames; with `committed` the broker thread hears of it without any, too,
   * unless it naps because nobody waits for what commits.
   */
  flush(committed: boolean): void {
    if (this.#out.publish()) this.#brokerBell.ring()
    else if (committed) this.#brokerBell.ringUnlessNapping()
  }

  /** Once after a drain that made room which the broker thread waits for. */
  brokerStarved(): boolean {
    return this.#in.takeStarved()
  }

  drain(commands: BrokerCommands): number {
    return this.#in.drain((type, offset, sizeBytes) =>
      this.#onFrame(type, offset, sizeBytes, commands),
    )
  }

  #claim(type: number, sizeBytes: number): number {
    const offset = this.#out.claim(sizeBytes, type)
    assert(offset >= 0, `room for completions is reserved in the ${PORT_RING_BYTES}-byte ring`)
    return offset
  }

  #onFrame(type: number, offset: number, sizeBytes: number, commands: BrokerCommands): void {
    const view = this.#in.view
    const bytes = this.#in.bytes
    switch (type) {
      case BrokerFrame.ANSWER:
      case BrokerFrame.APPEND:
        this.#onPart(type, offset, sizeBytes, commands)
        return
      case BrokerFrame.TOPIC:
        commands.onTopic(JSON.parse(bytes.toString('utf8', offset, offset + sizeBytes)))
        return
      case BrokerFrame.REMOVE_TOPIC:
        commands.onRemoveTopic(bytes.toString('utf8', offset, offset + sizeBytes))
        return
      case BrokerFrame.QUEUE_OFFSETS: {
        const count = view.getInt32(offset, true)
        for (let at = offset + 8; at < offset + 8 + count * 16; at += 16) {
          commands.onQueueOffset(view.getFloat64(at, true), view.getFloat64(at + 8, true))
        }
        return
      }
      case BrokerFrame.SERVING:
        commands.onServing(view.getFloat64(offset, true))
        return
      case BrokerFrame.CLOSE:
        commands.onCloseRequest(view.getInt32(offset, true))
        return
      case BrokerFrame.TRANSFER:
        commands.onTransfer(view.getInt32(offset, true))
        return
      case BrokerFrame.RELAY:
        commands.onRelay(bytes.toString('utf8', offset, offset + sizeBytes))
        return
      case BrokerFrame.TRIM:
        commands.onTrim(view.getFloat64(offset, true))
        return
      default:
        assert(false, `unknown frame type ${type} from the broker thread`)
    }
  }

  #onPart(type: number, offset: number, sizeBytes: number, commands: BrokerCommands): void {
    const id = this.#in.view.getInt32(offset, true)
    const totalBytes = this.#in.view.getInt32(offset + 4, true)
    const sequence = this.#in.view.getFloat64(offset + 8, true)
    const start = offset + PART_HEAD_BYTES
    const partBytes = sizeBytes - PART_HEAD_BYTES
    let item = this.#in.bytes
    let from = start
    if (partBytes < totalBytes) {
      this.#item ??= Buffer.allocUnsafeSlow(totalBytes)
      item = this.#item
      this.#in.bytes.copy(item, this.#itemFilled, start, start + partBytes)
      this.#itemFilled += partBytes
      assert(this.#itemFilled <= totalBytes, 'parts of an item fit its announced size')
      if (this.#itemFilled < totalBytes) return
      this.#item = undefined
      this.#itemFilled = 0
      from = 0
    }
    if (type === BrokerFrame.ANSWER) commands.onAnswer(id, item, from, from + totalBytes)
    else commands.onAppend(sequence, id, item, from, from + totalBytes)
  }
}
