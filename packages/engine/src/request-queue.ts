/**
 * The importer's end of the rings: appends and reads on their way, and those that wait for room.
 * Invariants: requests reach the ring in the order they were made; no more is under way than there
 * is room for answers; what waits is bounded; every request is settled once.
 */
import { assert } from '@ringledger/base'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type { Appended, LogPoint } from './ledger.ts'
import { AppendError } from './ledger-errors.ts'
import {
  AnswerFrame,
  APPENDED_HEAD_BYTES,
  answerBytes,
  MAX_BATCH_ENTRIES,
  MAX_TOKENS,
  OPEN_ANSWER_BYTES,
  REQUEST_HEAD_BYTES,
  RequestFrame,
} from './ledger-frames.ts'
import { refusalError } from './refusal-error.ts'

export interface RequestQueueParts {
  readonly requests: SpscRing
  readonly answers: SpscRing
  readonly coreBell: Doorbell
  readonly memberIds: readonly string[]
  readonly maxBodyBytes: number
}

const MAX_WAITING = 4_096
const MAX_WAITING_BYTES: number = 8 * 1024 * 1024

interface Request {
  readonly type: number
  readonly bodies: readonly Uint8Array[]
  readonly sizeBytes: number
  resolve(value: unknown): void
  reject(error: unknown): void
  signal: AbortSignal | undefined
  onAbort: (() => void) | undefined
  /** -1: waits for room. */
  token: number
  settled: boolean
}

export class RequestQueue {
  readonly #parts: RequestQueueParts
  readonly #open: (Request | undefined)[] = []
  readonly #freeTokens: number[] = []
  #openBytes = 0
  #waiting: Request[] = []
  /** How many of `#waiting` have left; they are cut off in long runs. */
  #waitingHead = 0
  #waitingBytes = 0
  #flushScheduled = false
  /** Set once nothing is taken any more; makes the error for it. */
  #ended: ((mayCommit: boolean) => AppendError) | undefined
  readonly #onAnswer = (type: number, offset: number): void => this.#settle(type, offset)
  readonly #flush = (): void => {
    this.#flushScheduled = false
    if (this.#parts.requests.publish()) this.#parts.coreBell.ring()
  }

  constructor(parts: RequestQueueParts) {
    this.#parts = parts
  }

  append(body: Uint8Array, signal: AbortSignal | undefined): Promise<Appended> {
    if (body.length > this.#parts.maxBodyBytes) return Promise.reject(this.#tooLarge(body.length))
    return this.#submit(RequestFrame.APPEND, [body], body.length, signal) as Promise<Appended>
  }

  appendBatch(bodies: readonly Uint8Array[]): Promise<Appended[]> {
    if (bodies.length === 0) return Promise.resolve([])
    let sizeBytes = 4 * bodies.length
    for (const body of bodies) {
      if (body.length > this.#parts.maxBodyBytes) {
        return Promise.reject(this.#tooLarge(body.length))
      }
      sizeBytes += body.length
    }
    const limit = this.#parts.requests.maxPayloadBytes - REQUEST_HEAD_BYTES
    if (sizeBytes > limit || bodies.length > MAX_BATCH_ENTRIES) {
      const message =
        `a batch of ${bodies.length} bodies, ${sizeBytes} bytes with their lengths, is above ` +
        `${MAX_BATCH_ENTRIES} bodies or ${limit} bytes`
      return Promise.reject(new AppendError('TOO_LARGE', message, false))
    }
    const type = bodies.length === 1 ? RequestFrame.APPEND : RequestFrame.BATCH
    const size = bodies.length === 1 ? sizeBytes - 4 : sizeBytes
    const done = this.#submit(type, [...bodies], size, undefined) as Promise<Appended | Appended[]>
    return done.then((appended) => (Array.isArray(appended) ? appended : [appended]))
  }

  read(): Promise<LogPoint> {
    return this.#submit(RequestFrame.READ, [], 0, undefined) as Promise<LogPoint>
  }

  /** Settles what was answered, and hands on what waited for room. */
  drain(): void {
    this.#parts.answers.drain(this.#onAnswer)
    this.#pump()
  }

  /** From now on every request is refused; what is under way still gets its answer. */
  end(error: (mayCommit: boolean) => AppendError): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    const waiting = this.#waiting.slice(this.#waitingHead)
    this.#waiting = []
    this.#waitingHead = 0
    this.#waitingBytes = 0
    for (const request of waiting) this.#reject(request, error(false))
  }

  /** Nothing will be answered any more. */
  abandon(): void {
    const ended = this.#ended
    assert(ended !== undefined, 'a queue ends before it is abandoned')
    for (const request of this.#open) {
      if (request === undefined) continue
      this.#reject(request, ended(request.type !== RequestFrame.READ))
    }
    this.#open.length = 0
  }

  #submit(
    type: number,
    bodies: readonly Uint8Array[],
    sizeBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended(false))
    if (signal?.aborted) return Promise.reject(aborted(false))
    return new Promise((resolve, reject) => {
      const request: Request = {
        type,
        bodies,
        sizeBytes,
        resolve,
        reject,
        signal,
        onAbort: undefined,
        token: -1,
        settled: false,
      }
      if (this.#waitingCount > 0 || !this.#put(request)) this.#wait(request)
      if (signal !== undefined && !request.settled) this.#watch(request, signal)
    })
  }

  get #waitingCount(): number {
    return this.#waiting.length - this.#waitingHead
  }

  /** False when there is no room now. */
  #put(request: Request): boolean {
    const { requests } = this.#parts
    const { bodies, type } = request
    const cost = answerBytes(bodies.length)
    if (this.#openBytes + cost > OPEN_ANSWER_BYTES) return false
    const token = this.#freeTokens.pop() ?? this.#open.length
    if (token >= MAX_TOKENS) return false
    const offset = requests.claim(REQUEST_HEAD_BYTES + request.sizeBytes, type)
    if (offset < 0) {
      this.#freeTokens.push(token)
      if (token === this.#open.length) this.#open.push(undefined)
      return false
    }
    const { view, bytes } = requests
    view.setInt32(offset, token, true)
    view.setInt32(offset + 4, type === RequestFrame.BATCH ? bodies.length : 0, true)
    let at = offset + REQUEST_HEAD_BYTES
    if (type === RequestFrame.BATCH) {
      for (const body of bodies) {
        view.setInt32(at, body.length, true)
        at += 4
      }
    }
    for (const body of bodies) {
      // A Uint8Array may be no Buffer; its own `set` walks shared memory byte by byte.
      Buffer.prototype.copy.call(body, bytes, at)
      at += body.length
    }
    requests.commit()
    request.token = token
    this.#open[token] = request
    this.#openBytes += cost
    this.#schedule()
    return true
  }

  /** After everything that runs in this turn, promises included: one publish for all of it. */
  #schedule(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    process.nextTick(this.#flush)
  }

  #wait(request: Request): void {
    const full = this.#waitingCount >= MAX_WAITING
    if (full || this.#waitingBytes + request.sizeBytes > MAX_WAITING_BYTES) {
      const message = `${this.#waitingCount} appends wait for room; wait for some of them first`
      this.#reject(request, new AppendError('BUSY', message, false))
      return
    }
    this.#waiting.push(request)
    this.#waitingBytes += request.sizeBytes
  }

  #pump(): void {
    while (this.#waitingCount > 0) {
      const request = this.#waiting[this.#waitingHead] as Request
      if (!request.settled && !this.#put(request)) return
      this.#waitingBytes -= request.sizeBytes
      this.#waitingHead += 1
      if (this.#waitingHead < MAX_WAITING && this.#waitingCount > 0) continue
      this.#waiting = this.#waiting.slice(this.#waitingHead)
      this.#waitingHead = 0
    }
  }

  #watch(request: Request, signal: AbortSignal): void {
    request.onAbort = () => this.#reject(request, aborted(request.token >= 0))
    signal.addEventListener('abort', request.onAbort, { once: true })
  }

  #settle(type: number, offset: number): void {
    const { view } = this.#parts.answers
    const token = view.getInt32(offset, true)
    const request = this.#open[token]
    assert(request !== undefined, 'an answer belongs to a request under way')
    this.#open[token] = undefined
    this.#freeTokens.push(token)
    this.#openBytes -= answerBytes(request.bodies.length)
    if (type === AnswerFrame.REFUSED) {
      const leader = this.#parts.memberIds[view.getInt32(offset + 8, true)]
      this.#reject(request, refusalError(view.getInt32(offset + 4, true), leader))
    } else if (type === AnswerFrame.CONFIRMED) {
      this.#resolve(request, {
        index: view.getFloat64(offset + 8, true),
        position: view.getFloat64(offset + 16, true),
      })
    } else {
      assert(type === AnswerFrame.APPENDED, 'answers are of the known types')
      this.#resolve(request, this.#appended(request, offset))
    }
  }

  #appended(request: Request, offset: number): Appended | Appended[] {
    const { view } = this.#parts.answers
    const count = view.getInt32(offset + 4, true)
    assert(count === request.bodies.length, 'every entry of an append is answered')
    const term = view.getFloat64(offset + 8, true)
    const index = view.getFloat64(offset + 16, true)
    const places = offset + APPENDED_HEAD_BYTES
    if (request.type === RequestFrame.APPEND) {
      return { index, term, position: view.getFloat64(places, true) }
    }
    const all: Appended[] = []
    for (let at = 0; at < count; at++) {
      all.push({ index: index + at, term, position: view.getFloat64(places + 8 * at, true) })
    }
    return all
  }

  #resolve(request: Request, value: unknown): void {
    if (this.#finish(request)) request.resolve(value)
  }

  #reject(request: Request, error: AppendError): void {
    if (this.#finish(request)) request.reject(error)
  }

  #finish(request: Request): boolean {
    if (request.settled) return false
    request.settled = true
    if (request.onAbort !== undefined) {
      request.signal?.removeEventListener('abort', request.onAbort)
    }
    return true
  }

  #tooLarge(sizeBytes: number): AppendError {
    const message = `a body of ${sizeBytes} bytes is above ${this.#parts.maxBodyBytes}`
    return new AppendError('TOO_LARGE', message, false)
  }
}

function aborted(mayCommit: boolean): AppendError {
  return new AppendError('ABORTED', 'the signal given with the append fired', mayCommit)
}
