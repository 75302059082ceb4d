/**
 * The broker thread's door to the core thread: requests in, answers and appends out, over two SPSC
 * rings. Owns the promise that answers of one connection and appends leave in the order of the
 * calls.
 */
import { assert } from '@ringledger/base'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type {
  AnswerClaim,
  AppendResult,
  CoreEvents,
  CorePort,
  PublishedTopic,
} from './core-port-api.ts'
import {
  APPEND_ERRORS,
  BrokerFrame,
  CoreFrame,
  PART_BYTES,
  PART_HEAD_BYTES,
  ROLES,
} from './core-port-frames.ts'

/** Appends under way at once; more are refused as busy. */
const MAX_PENDING_APPENDS = 16_384
/** So that a flood of requests never keeps the broker thread from dispatch and timers. */
const MAX_FRAMES_PER_POLL = 512
const OFFSETS_PER_FRAME = 4_096
/** A full ring means that the core thread is behind; it never waits for us, so this ends. */
const FULL_RING_WAIT_MS = 5

export class RingCorePort implements CorePort {
  readonly #in: SpscRing
  readonly #out: SpscRing
  readonly #coreBell: Doorbell
  readonly #ownBell: Doorbell
  readonly #pendingAppends = new Map<number, (result: AppendResult) => void>()
  #nextSequence = 1
  #request: Buffer | undefined
  #requestFilled = 0
  #largeAnswer: Buffer | undefined
  #largeAnswerTo = 0

  constructor(parts: {
    fromCore: SpscRing
    toCore: SpscRing
    coreBell: Doorbell
    ownBell: Doorbell
  }) {
    this.#in = parts.fromCore
    this.#out = parts.toCore
    this.#coreBell = parts.coreBell
    this.#ownBell = parts.ownBell
  }

  get pending(): boolean {
    return this.#in.pending
  }

  poll(events: CoreEvents): boolean {
    const handled = this.#in.drain(
      (type, offset, sizeBytes) => this.#onFrame(type, offset, sizeBytes, events),
      MAX_FRAMES_PER_POLL,
    )
    return handled > 0
  }

  claimAnswer(connectionId: number, sizeBytes: number): AnswerClaim {
    if (sizeBytes > PART_BYTES) {
      const large = Buffer.allocUnsafeSlow(sizeBytes)
      this.#largeAnswer = large
      this.#largeAnswerTo = connectionId
      return { bytes: large, view: new DataView(large.buffer, 0, sizeBytes), offset: 0 }
    }
    const offset = this.#claimPart(BrokerFrame.ANSWER, connectionId, sizeBytes, 0, sizeBytes)
    return { bytes: this.#out.bytes, view: this.#out.view, offset }
  }

  commitAnswer(): void {
    const large = this.#largeAnswer
    if (large === undefined) {
      this.#out.commit()
      return
    }
    this.#largeAnswer = undefined
    this.#writeParts(BrokerFrame.ANSWER, this.#largeAnswerTo, large, 0)
  }

  send(connectionId: number, frame: Buffer): void {
    this.#writeParts(BrokerFrame.ANSWER, connectionId, frame, 0)
  }

  close(connectionId: number): void {
    const offset = this.#claim(BrokerFrame.CLOSE, 4)
    this.#out.view.setInt32(offset, connectionId, true)
    this.#out.commit()
  }

  append(queueSlot: number, message: Buffer, onDone: (result: AppendResult) => void): boolean {
    if (this.#pendingAppends.size >= MAX_PENDING_APPENDS) return false
    const sequence = this.#nextSequence++
    this.#pendingAppends.set(sequence, onDone)
    this.#writeParts(BrokerFrame.APPEND, queueSlot, message, sequence)
    return true
  }

  appendBatch(
    queueSlot: number,
    messages: Buffer,
    onDone: (results: readonly AppendResult[]) => void,
  ): boolean {
    let count = 0
    for (let at = 0; at < messages.length; at += messages.readInt32BE(at)) count += 1
    if (this.#pendingAppends.size + count > MAX_PENDING_APPENDS) return false
    const first = this.#nextSequence
    this.#nextSequence += count
    const results: AppendResult[] = []
    const onOne = (result: AppendResult): void => {
      results.push(result)
      if (results.length === count) onDone(results)
    }
    for (let at = 0; at < count; at++) this.#pendingAppends.set(first + at, onOne)
    this.#writeParts(BrokerFrame.APPEND, queueSlot, messages, first)
    return true
  }

  publishTopic(entry: PublishedTopic): void {
    this.#writeText(BrokerFrame.TOPIC, JSON.stringify(entry))
  }

  removeTopic(topic: string): void {
    this.#writeText(BrokerFrame.REMOVE_TOPIC, topic)
  }

  serving(term: number, nextOffsets: Iterable<readonly [slot: number, next: number]>): void {
    let batch: number[] = []
    for (const [slot, next] of nextOffsets) {
      batch.push(slot, next)
      if (batch.length >= OFFSETS_PER_FRAME * 2) {
        this.#writeOffsets(batch)
        batch = []
      }
    }
    if (batch.length > 0) this.#writeOffsets(batch)
    const offset = this.#claim(BrokerFrame.SERVING, 8)
    this.#out.view.setFloat64(offset, term, true)
    this.#out.commit()
    this.flush()
  }

  flush(): void {
    if (this.#out.publish()) this.#coreBell.ring()
  }

  #writeOffsets(batch: number[]): void {
    const offset = this.#claim(BrokerFrame.QUEUE_OFFSETS, 8 + batch.length * 8)
    const view = this.#out.view
    view.setInt32(offset, batch.length / 2, true)
    view.setInt32(offset + 4, 0, true)
    for (const [at, value] of batch.entries()) view.setFloat64(offset + 8 + at * 8, value, true)
    this.#out.commit()
  }

  #writeText(type: number, text: string): void {
    const sizeBytes = Buffer.byteLength(text)
    assert(sizeBytes <= PART_BYTES, 'a topic entry is far smaller than a part')
    const offset = this.#claim(type, sizeBytes)
    this.#out.bytes.write(text, offset, 'utf8')
    this.#out.commit()
  }

  #writeParts(type: number, id: number, item: Buffer, sequence: number): void {
    const totalBytes = item.length
    for (let done = 0; done < totalBytes || totalBytes === 0; ) {
      const partBytes = Math.min(PART_BYTES, totalBytes - done)
      const offset = this.#claimPart(type, id, totalBytes, sequence, partBytes)
      item.copy(this.#out.bytes, offset, done, done + partBytes)
      this.#out.commit()
      done += partBytes
      if (totalBytes === 0) break
    }
  }

  #claimPart(
    type: number,
    id: number,
    totalBytes: number,
    sequence: number,
    partBytes: number,
  ): number {
    const offset = this.#claim(type, PART_HEAD_BYTES + partBytes)
    const view = this.#out.view
    view.setInt32(offset, id, true)
    view.setInt32(offset + 4, totalBytes, true)
    view.setFloat64(offset + 8, sequence, true)
    return offset + PART_HEAD_BYTES
  }

  #claim(type: number, sizeBytes: number): number {
    let offset = this.#out.claim(sizeBytes, type)
    while (offset < 0) {
      this.flush()
      this.#ownBell.wait(FULL_RING_WAIT_MS, () => this.#out.freeBytes > 2 * sizeBytes)
      offset = this.#out.claim(sizeBytes, type)
    }
    return offset
  }

  #onFrame(type: number, offset: number, sizeBytes: number, events: CoreEvents): void {
    const view = this.#in.view
    switch (type) {
      case CoreFrame.REQUEST:
        this.#onRequestPart(offset, sizeBytes, events)
        return
      case CoreFrame.CONNECTED: {
        const hostBytes = view.getInt32(offset + 4, true)
        const host = Buffer.from(this.#in.bytes.subarray(offset + 8, offset + 8 + hostBytes))
        const address = this.#in.bytes.toString('utf8', offset + 8 + hostBytes, offset + sizeBytes)
        events.onConnected(view.getInt32(offset, true), address, host)
        return
      }
      case CoreFrame.CLOSED:
        events.onClosed(view.getInt32(offset, true))
        return
      case CoreFrame.APPENDED:
        this.#complete(view.getFloat64(offset, true), {
          ok: true,
          physicalOffset: view.getFloat64(offset + 8, true),
          queueOffset: view.getFloat64(offset + 16, true),
          storeTimestampMs: view.getFloat64(offset + 24, true),
          endPosition: view.getFloat64(offset + 32, true),
        })
        return
      case CoreFrame.APPEND_FAILED: {
        const code = APPEND_ERRORS[view.getInt32(offset + 8, true)]
        assert(code !== undefined, 'known append error')
        this.#complete(view.getFloat64(offset, true), { ok: false, code })
        return
      }
      case CoreFrame.ROLE: {
        const role = ROLES[view.getInt32(offset, true)]
        assert(role !== undefined, 'known role')
        const leaderId = this.#in.bytes.toString('utf8', offset + 24, offset + sizeBytes)
        const term = view.getFloat64(offset + 8, true)
        events.onRole(role, term, leaderId, view.getFloat64(offset + 16, true))
        return
      }
      default:
        assert(false, `unknown frame type ${type} from the core thread`)
    }
  }

  #onRequestPart(offset: number, sizeBytes: number, events: CoreEvents): void {
    const connectionId = this.#in.view.getInt32(offset, true)
    const totalBytes = this.#in.view.getInt32(offset + 4, true)
    const start = offset + PART_HEAD_BYTES
    const partBytes = sizeBytes - PART_HEAD_BYTES
    if (partBytes === totalBytes) {
      events.onRequest(connectionId, this.#in.bytes, start, start + partBytes)
      return
    }
    this.#request ??= Buffer.allocUnsafeSlow(totalBytes)
    this.#in.bytes.copy(this.#request, this.#requestFilled, start, start + partBytes)
    this.#requestFilled += partBytes
    assert(this.#requestFilled <= totalBytes, 'parts of a request fit its announced size')
    if (this.#requestFilled < totalBytes) return
    const request = this.#request
    this.#request = undefined
    this.#requestFilled = 0
    events.onRequest(connectionId, request, 0, totalBytes)
  }

  #complete(sequence: number, result: AppendResult): void {
    const onDone = this.#pendingAppends.get(sequence)
    assert(onDone !== undefined, 'an append completes once')
    this.#pendingAppends.delete(sequence)
    onDone(result)
  }
}
