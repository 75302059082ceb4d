/**
 * Turns a byte stream into frames. Owns the invariants: the kept buffer stays small but for a large
 * frame and only grows as its bytes arrive (a length field alone costs nobody memory); all buffers
 * of a process side together stay in a budget; a frame is offered again until it was taken, and in
 * order.
 */
import { assert } from '@ringledger/base'

/** Answer of a {@link FrameLength} that needs more bytes to tell. */
export const NEED_MORE = 0
/** Answer of a {@link FrameLength} when the bytes are no frame. */
export const NOT_A_FRAME = -1

/** Total bytes of the frame that starts at `start`, {@link NEED_MORE} or {@link NOT_A_FRAME}. */
export type FrameLength = (buffer: Buffer, start: number, end: number) => number

/** Memory that many readers share for frames larger than their kept buffer. */
export class ReadBudget {
  readonly maxBytes: number
  usedBytes = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  take(bytes: number): boolean {
    if (this.usedBytes + bytes > this.maxBytes) return false
    this.usedBytes += bytes
    return true
  }

  giveBack(bytes: number): void {
    this.usedBytes -= bytes
    assert(this.usedBytes >= 0, 'a read budget gets back what was taken')
  }
}

export interface FrameReaderOptions {
  readonly keptBytes: number
  readonly budget: ReadBudget
  readonly frameLength: FrameLength
  /** Takes one frame, valid during the call. False: not now, keep it. */
  readonly onFrame: (buffer: Buffer, start: number, end: number) => boolean
}

/** Why reading cannot go on. */
export type ReadFailure = 'none' | 'not-a-frame' | 'no-memory' | 'closed'

/** Less free room than this is not worth a read. */
const MIN_READ_BYTES = 1024
/** Extra room of a full reader that was stopped: only what is on its way still comes. */
const STOPPED_GROWTH_BYTES = 16 * 1024

export class FrameReader {
  /** Set when the stream cannot be read any further; the owner closes it. */
  failure: ReadFailure = 'none'

  readonly #options: FrameReaderOptions
  #buffer: Buffer
  #place: Buffer
  #start = 0
  #end = 0
  #stopped = false
  #dispatching = false

  constructor(options: FrameReaderOptions) {
    this.#options = options
    this.#buffer = Buffer.allocUnsafeSlow(options.keptBytes)
    this.#place = this.#buffer
  }

  /**
   * Where the next bytes of the stream go; they are announced by {@link received}. Changes only
   * during `received` and `feed`: a socket that was told a place keeps it over a pause.
   */
  place(): Buffer {
    return this.#place
  }

  /**
   * The socket wrote `sizeBytes` to {@link place}. Returns false when no further bytes may be read
   * now.
   */
  received(sizeBytes: number): boolean {
    this.#end += sizeBytes
    this.#makeRoom(this.#offer())
    return this.readable
  }

  /** Takes a chunk that lies elsewhere; for sockets that cannot read into {@link place}. */
  feed(chunk: Buffer): boolean {
    let offset = 0
    while (offset < chunk.length && this.failure === 'none') {
      const sizeBytes = Math.min(this.#place.length, chunk.length - offset)
      chunk.copy(this.#place, 0, offset, offset + sizeBytes)
      offset += sizeBytes
      this.#end += sizeBytes
      this.#makeRoom(this.#offer())
    }
    return this.readable
  }

  /** Whether frames may be offered and bytes read now. */
  get readable(): boolean {
    return !this.#stopped && this.failure === 'none'
  }

  /** No frame is offered until {@link restart}. */
  stop(): void {
    this.#stopped = true
  }

  /** Offers kept frames again. Returns false when it was stopped once more or failed. */
  restart(): boolean {
    this.#stopped = false
    if (!this.#dispatching) this.#offer()
    return this.readable
  }

  /** First byte that was not taken, or -1; for a log line about a stream that is no frame. */
  get firstByte(): number {
    return this.#start < this.#end ? this.#buffer[this.#start]! : -1
  }

  /** Gives the budget back; no frame is offered afterwards. */
  close(): void {
    if (this.failure === 'closed') return
    this.failure = 'closed'
    const extraBytes = this.#buffer.length - this.#options.keptBytes
    if (extraBytes > 0) this.#options.budget.giveBack(extraBytes)
  }

  /**
   * Offers complete frames in order. Returns the length of the incomplete one at the end, as far as
   * it is known.
   */
  #offer(): number {
    const { frameLength, onFrame } = this.#options
    let frameBytes = NEED_MORE
    this.#dispatching = true
    while (this.readable && this.#start < this.#end) {
      frameBytes = frameLength(this.#buffer, this.#start, this.#end)
      if (frameBytes === NOT_A_FRAME) {
        this.failure = 'not-a-frame'
        break
      }
      if (frameBytes === NEED_MORE || frameBytes > this.#end - this.#start) break
      if (onFrame(this.#buffer, this.#start, this.#start + frameBytes)) {
        this.#start += frameBytes
      } else {
        this.#stopped = true
      }
      frameBytes = NEED_MORE
    }
    this.#dispatching = false
    return frameBytes
  }

  /** Leaves room to read at least a little, and the rest of the frame if it is a small one. */
  #makeRoom(frameBytes: number): void {
    if (this.failure !== 'none') return
    const { keptBytes } = this.#options
    const heldBytes = this.#end - this.#start
    if (heldBytes === 0) {
      this.#start = 0
      this.#end = 0
      if (this.#buffer.length > keptBytes) this.#resize(keptBytes)
      this.#place = this.#buffer
      return
    }
    if (
      this.#buffer.length > keptBytes &&
      heldBytes <= keptBytes - MIN_READ_BYTES &&
      frameBytes <= keptBytes
    ) {
      this.#resize(keptBytes)
    } else if (
      this.#start + Math.max(frameBytes, heldBytes + MIN_READ_BYTES) >
      this.#buffer.length
    ) {
      this.#compactOrGrow(heldBytes)
    }
    this.#place = this.#buffer.subarray(this.#end)
  }

  #compactOrGrow(heldBytes: number): void {
    if (heldBytes + MIN_READ_BYTES > this.#buffer.length) {
      const { length } = this.#buffer
      this.#resize(this.#stopped ? length + STOPPED_GROWTH_BYTES : length * 2)
      return
    }
    if (this.#start === 0) return
    this.#buffer.copyWithin(0, this.#start, this.#end)
    this.#start = 0
    this.#end = heldBytes
  }

  #resize(sizeBytes: number): void {
    const { budget } = this.#options
    const change = sizeBytes - this.#buffer.length
    if (change > 0 && !budget.take(change)) {
      this.failure = 'no-memory'
      return
    }
    if (change < 0) budget.giveBack(-change)
    const buffer = Buffer.allocUnsafeSlow(sizeBytes)
    const heldBytes = this.#end - this.#start
    this.#buffer.copy(buffer, 0, this.#start, this.#end)
    this.#buffer = buffer
    this.#start = 0
    this.#end = heldBytes
  }
}
