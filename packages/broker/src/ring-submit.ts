/**
 * Plain sends when clients have threads of their own: the message is laid into the ring to the core
 * thread, and answered when the core thread says what became of it. Invariants: nothing here waits
 * or spins, a full ring pauses the connection; only the core thread gives a message its place.
 */
import { assert, type Clock } from '@ringledger/base'
import type { Connection } from '@ringledger/network'
import { ByteRange, encodeMessage, msgTopicRange } from '@ringledger/protocol'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { MAX_KEY_BYTES, OpenSends } from './open-sends.ts'
import type { SendRefusal, SendResponder } from './send-responder.ts'
import { CompletionFrame, CoreState, SUBMIT_HEAD_BYTES, SubmitFrame } from './submit-frames.ts'
import { type PlainSend, type SubmitPort, Taken } from './submit-port.ts'
import type { TopicSlot } from './topic-table.ts'

export interface RingSubmitParts {
  submissions: SpscRing
  completions: SpscRing
  coreBell: Doorbell
  /** The core thread's word, see `CoreState`. */
  state: Int32Array
  /** Sends that may wait for the core thread at once. */
  tokens: number
  responder: SendResponder
  connections: ReadonlyMap<number, Connection>
  clock: Clock
}

export class RingSubmit implements SubmitPort {
  readonly #parts: RingSubmitParts
  readonly #open: OpenSends
  /** A longer message goes the broker thread's way, whose frames travel in parts. */
  readonly #maxFrameBytes: number
  readonly #topic = new ByteRange()
  readonly #onCompletion = (type: number, offset: number): void => this.#complete(type, offset)
  #nowMs = 0
  /** Something was put off since `retry` said yes. */
  #full = false

  constructor(parts: RingSubmitParts) {
    this.#parts = parts
    this.#open = new OpenSends(parts.tokens)
    this.#maxFrameBytes = parts.submissions.capacityBytes / 4
    parts.responder.response.transactionId = this.#open.keys
  }

  get serving(): boolean {
    return Atomics.load(this.#parts.state, 0) === CoreState.SERVING
  }

  get holding(): boolean {
    return (Atomics.load(this.#parts.state, 0) & CoreState.HOLDING) !== 0
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** Once per loop turn. */
  beginTurn(): void {
    this.#nowMs = Math.max(this.#nowMs, this.#parts.clock.wallMs())
  }

  submit(connection: Connection, _topic: TopicSlot, send: PlainSend): Taken {
    const { sizeBytes } = send
    const ring = this.#parts.submissions
    const frameBytes = SUBMIT_HEAD_BYTES + sizeBytes
    if (frameBytes > this.#maxFrameBytes) return Taken.FORWARD
    if (send.uniqueKeyBytes > MAX_KEY_BYTES) return Taken.FORWARD
    const offset = this.#open.freeCount > 0 ? ring.claim(frameBytes, SubmitFrame.SUBMIT) : -1
    if (offset < 0) {
      this.#full = true
      return Taken.LATER
    }
    const messageAt = offset + SUBMIT_HEAD_BYTES
    const written = encodeMessage(ring.bytes, messageAt, send.parts)
    assert(written === sizeBytes, 'a message is as long as was claimed')
    const token = send.oneWay ? -1 : this.#note(connection, send, messageAt)
    const topic = msgTopicRange(ring.bytes, messageAt, this.#topic)
    const { view } = ring
    view.setInt32(offset, token, true)
    view.setInt32(offset + 4, send.parts.queueId, true)
    view.setInt32(offset + 8, topic.start - messageAt, true)
    view.setInt32(offset + 12, topic.end - topic.start, true)
    ring.commit()
    return Taken.DONE
  }

  retry(): boolean {
    if (this.holding) return false
    if (!this.#full) return true
    if (this.#open.freeCount < this.#open.capacity / 8) return false
    // Asks for the longest, so that the core thread rings when there is room for that.
    const ring = this.#parts.submissions
    if (ring.claim(this.#maxFrameBytes, SubmitFrame.SUBMIT) < 0) return false
    ring.abort()
    this.#full = false
    return true
  }

  /** Hands the turn's sends to the core thread. */
  flush(): void {
    if (this.#parts.submissions.publish()) this.#parts.coreBell.ring()
  }

  /** Answers what the core thread has decided. */
  drain(): void {
    this.#parts.completions.drain(this.#onCompletion)
  }

  #note(connection: Connection, send: PlainSend, messageAt: number): number {
    const open = this.#open
    const token = open.take(connection.id)
    open.opaque[token] = send.opaque
    open.queueId[token] = send.parts.queueId
    open.keyBytes[token] = send.uniqueKeyBytes
    const keyAt = messageAt + send.uniqueKeyStart
    const { bytes } = this.#parts.submissions
    bytes.copy(open.keys, token * MAX_KEY_BYTES, keyAt, keyAt + send.uniqueKeyBytes)
    return token
  }

  #complete(type: number, offset: number): void {
    const open = this.#open
    const { responder, connections, completions } = this.#parts
    const { view } = completions
    const token = view.getInt32(offset, true)
    const connection = connections.get(open.giveBack(token))
    if (connection === undefined) return
    const opaque = open.opaque[token] as number
    if (type === CompletionFrame.REFUSED) {
      responder.refuse(connection, opaque, view.getInt32(offset + 4, true) as SendRefusal)
      return
    }
    assert(type === CompletionFrame.STORED, 'the core thread stores or refuses')
    const { response } = responder
    response.opaque = opaque
    response.queueId = open.queueId[token] as number
    response.physicalOffset = view.getFloat64(offset + 8, true)
    response.queueOffset = view.getFloat64(offset + 16, true)
    response.transactionIdStart = token * MAX_KEY_BYTES
    response.transactionIdEnd = response.transactionIdStart + (open.keyBytes[token] as number)
    responder.stored(connection)
  }
}
