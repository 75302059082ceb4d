/** Shared memory between the core thread and the IO thread of a plain log, beside the log arena. */
import { Doorbell } from 'sharedarraybuffer-ringbuffer'

export interface PlainIoShared {
  /** Of the IO thread. */
  readonly bell: SharedArrayBuffer
  readonly words: SharedArrayBuffer
}

/** Each word has a cache line of its own. */
const WORDS_BYTES = 256
const WRITTEN_AT = 0
const CLOSING_AT = 64
const FULL_AT = 128

export class PlainIoWords {
  readonly #written: BigInt64Array
  readonly #closing: Int32Array
  readonly #full: Int32Array

  static allocate(): PlainIoShared {
    return { bell: Doorbell.allocate(), words: new SharedArrayBuffer(WORDS_BYTES) }
  }

  constructor({ words }: PlainIoShared) {
    this.#written = new BigInt64Array(words, WRITTEN_AT, 1)
    this.#closing = new Int32Array(words, CLOSING_AT, 1)
    this.#full = new Int32Array(words, FULL_AT, 1)
  }

  /** Set by the IO thread: the kernel has what lies below, the disk perhaps not yet. */
  get written(): number {
    return Number(Atomics.load(this.#written, 0))
  }

  set written(position: number) {
    Atomics.store(this.#written, 0, BigInt(position))
  }

  /** Set by the core thread: nothing is appended any more. */
  get closing(): boolean {
    return Atomics.load(this.#closing, 0) !== 0
  }

  set closing(closing: boolean) {
    Atomics.store(this.#closing, 0, closing ? 1 : 0)
  }

  /** Set by the IO thread: no space, new messages are to be refused. */
  get full(): boolean {
    return Atomics.load(this.#full, 0) !== 0
  }

  set full(full: boolean) {
    Atomics.store(this.#full, 0, full ? 1 : 0)
  }
}
