/**
 * The broker thread's door to the threads that own the log and the clients' sockets, over SPSC
 * rings: one pair to the core thread, one to each network worker. Owns the promise that answers of
 * one connection, and appends, leave in the order of the calls.
 */
import { assert, LedgerError } from '@ringledger/base'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type {
  AnswerClaim,
  AppendResult,
  CoreEvents,
  CorePort,
  PublishedTopic,
} from './core-port-api.ts'
import { BrokerFrame, PART_BYTES } from './core-port-frames.ts'
import { PortReader } from './port-reader.ts'
import { PortWriter } from './port-writer.ts'

/** Appends under way at once; more are refused as busy. */
const MAX_PENDING_APPENDS = 16_384
const OFFSETS_PER_FRAME = 4_096

export interface PortRings {
  readonly toBroker: SpscRing
  readonly fromBroker: SpscRing
  /** Of the thread at the other end. */
  readonly bell: Doorbell
}

export interface CorePortParts {
  readonly core: PortRings
  /**
   * Network workers; the connection ids of number n are congruent n modulo their count. None: the
   * core thread owns the clients.
   */
  readonly fronts: readonly PortRings[]
  readonly ownBell: Doorbell
  /** True once the threads at the other ends may have ended: a full ring stays full then. */
  closed?(): boolean
}

export class RingCorePort implements CorePort {
  readonly #core: PortWriter
  /** Who owns the clients. */
  readonly #fronts: readonly PortWriter[]
  /** The core thread first, so that it knows a topic before a client's send can name it. */
  readonly #writers: readonly PortWriter[]
  readonly #readers: readonly PortReader[]
  readonly #pendingAppends = new Map<number, (result: AppendResult) => void>()
  #nextSequence = 1
  #answering: PortWriter
  #largeAnswer: Buffer | undefined
  #largeAnswerTo = 0

  constructor({ core, fronts, ownBell, closed }: CorePortParts) {
    const all = [core, ...fronts]
    const beforeWait = (): void => {
      this.flush()
      if (closed?.()) throw new LedgerError('CLOSED', 'nobody reads the rings of this thread')
    }
    this.#writers = all.map(({ fromBroker, bell }) => {
      return new PortWriter(fromBroker, bell, ownBell, beforeWait)
    })
    this.#readers = all.map(
      (rings) =>
        new PortReader(rings.toBroker, (sequence, result) => this.#complete(sequence, result)),
    )
    this.#core = this.#writers[0] as PortWriter
    this.#fronts = fronts.length === 0 ? this.#writers : this.#writers.slice(1)
    this.#answering = this.#core
  }

  get pending(): boolean {
    return this.#readers.some((reader) => reader.pending)
  }

  poll(events: CoreEvents): boolean {
    let busy = false
    for (const reader of this.#readers) if (reader.poll(events)) busy = true
    return busy
  }

  claimAnswer(connectionId: number, sizeBytes: number): AnswerClaim {
    const writer = this.#frontOf(connectionId)
    this.#answering = writer
    if (sizeBytes > PART_BYTES) {
      const large = Buffer.allocUnsafeSlow(sizeBytes)
      this.#largeAnswer = large
      this.#largeAnswerTo = connectionId
      return { bytes: large, view: new DataView(large.buffer, 0, sizeBytes), offset: 0 }
    }
    const offset = writer.claimPart(BrokerFrame.ANSWER, connectionId, sizeBytes, 0, sizeBytes)
    return { bytes: writer.ring.bytes, view: writer.ring.view, offset }
  }

  commitAnswer(): void {
    const large = this.#largeAnswer
    if (large === undefined) {
      this.#answering.ring.commit()
      return
    }
    this.#largeAnswer = undefined
    this.#answering.writeParts(BrokerFrame.ANSWER, this.#largeAnswerTo, large, 0)
  }

  send(connectionId: number, frame: Buffer): void {
    this.#frontOf(connectionId).writeParts(BrokerFrame.ANSWER, connectionId, frame, 0)
  }

  close(connectionId: number): void {
    const writer = this.#frontOf(connectionId)
    const offset = writer.claim(BrokerFrame.CLOSE, 4)
    writer.ring.view.setInt32(offset, connectionId, true)
    writer.ring.commit()
  }

  append(queueSlot: number, message: Buffer, onDone: (result: AppendResult) => void): boolean {
    if (this.#pendingAppends.size >= MAX_PENDING_APPENDS) return false
    const sequence = this.#nextSequence++
    this.#pendingAppends.set(sequence, onDone)
    this.#core.writeParts(BrokerFrame.APPEND, queueSlot, message, sequence)
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
    this.#core.writeParts(BrokerFrame.APPEND, queueSlot, messages, first)
    return true
  }

  publishTopic(entry: PublishedTopic): void {
    const text = JSON.stringify(entry)
    for (const writer of this.#writers) writer.writeText(BrokerFrame.TOPIC, text)
  }

  removeTopic(topic: string): void {
    for (const writer of this.#writers) writer.writeText(BrokerFrame.REMOVE_TOPIC, topic)
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
    const { ring } = this.#core
    const offset = this.#core.claim(BrokerFrame.SERVING, 8)
    ring.view.setFloat64(offset, term, true)
    ring.commit()
    this.flush()
  }

  relayTo(address: string): void {
    for (const front of this.#fronts) front.writeText(BrokerFrame.RELAY, address)
    // Last: core lets waiting sends go on when it reads this.
    if (!this.#fronts.includes(this.#core)) this.#core.writeText(BrokerFrame.RELAY, address)
  }

  transfer(brokerId: number): void {
    const offset = this.#core.claim(BrokerFrame.TRANSFER, 4)
    this.#core.ring.view.setInt32(offset, brokerId, true)
    this.#core.ring.commit()
  }

  trim(position: number): void {
    const offset = this.#core.claim(BrokerFrame.TRIM, 8)
    this.#core.ring.view.setFloat64(offset, position, true)
    this.#core.ring.commit()
  }

  flush(): void {
    for (const writer of this.#writers) writer.flush()
  }

  #frontOf(connectionId: number): PortWriter {
    return this.#fronts[connectionId % this.#fronts.length] as PortWriter
  }

  #writeOffsets(batch: number[]): void {
    const { ring } = this.#core
    const offset = this.#core.claim(BrokerFrame.QUEUE_OFFSETS, 8 + batch.length * 8)
    const { view } = ring
    view.setInt32(offset, batch.length / 2, true)
    view.setInt32(offset + 4, 0, true)
    for (const [at, value] of batch.entries()) view.setFloat64(offset + 8 + at * 8, value, true)
    ring.commit()
  }

  #complete(sequence: number, result: AppendResult): void {
    const onDone = this.#pendingAppends.get(sequence)
    assert(onDone !== undefined, 'an append completes once')
    this.#pendingAppends.delete(sequence)
    onDone(result)
  }
}
