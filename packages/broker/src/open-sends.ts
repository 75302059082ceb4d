/**
 * Plain sends of one network worker that the core thread has not answered yet: what the answer
 * needs, in fixed typed arrays by token. Invariant: a token is given out again only after it came
 * back.
 */
import { assert } from '@ringledger/base'

/** Room for a unique key. RocketMQ's own are 32 characters. */
export const MAX_KEY_BYTES = 64
const FREE = -1

export class OpenSends {
  readonly capacity: number
  readonly opaque: Int32Array
  readonly queueId: Int32Array
  readonly keyBytes: Int32Array
  /** The key of token t starts at `t * MAX_KEY_BYTES`. */
  readonly keys: Buffer
  readonly #connectionId: Int32Array
  /** The free tokens, below `#freeCount`. */
  readonly #free: Int32Array
  #freeCount: number

  constructor(capacity: number) {
    this.capacity = capacity
    this.opaque = new Int32Array(capacity)
    this.queueId = new Int32Array(capacity)
    this.keyBytes = new Int32Array(capacity)
    this.keys = Buffer.alloc(capacity * MAX_KEY_BYTES)
    this.#connectionId = new Int32Array(capacity).fill(FREE)
    this.#free = Int32Array.from({ length: capacity }, (_, at) => capacity - 1 - at)
    this.#freeCount = capacity
  }

  get freeCount(): number {
    return this.#freeCount
  }

  /** A token for a send of this connection; ask for `freeCount` before. */
  take(connectionId: number): number {
    assert(this.#freeCount > 0, 'the caller asked before')
    this.#freeCount -= 1
    const token = this.#free[this.#freeCount] as number
    this.#connectionId[token] = connectionId
    return token
  }

  /** Gives the token back; returns whose it was. What else is noted stays until the next `take`. */
  giveBack(token: number): number {
    const connectionId = this.#connectionId[token]
    assert(connectionId !== undefined && connectionId !== FREE, 'a token comes back once')
    this.#connectionId[token] = FREE
    this.#free[this.#freeCount] = token
    this.#freeCount += 1
    return connectionId
  }
}
