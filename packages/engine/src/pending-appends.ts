/**
 * Appends that were ordered and wait for their commit, oldest first, in fixed arrays. Invariants:
 * their ends rise; the positions of their entries lie in the same order in an array of their own.
 */
import { assert } from '@ringledger/base'

export class PendingAppends {
  readonly #slots: number
  readonly #places: number
  readonly #tokens: Int32Array
  readonly #counts: Int32Array
  readonly #ends: Float64Array
  readonly #terms: Float64Array
  readonly #indexes: Float64Array
  readonly #positions: Float64Array
  #head = 0
  #tail = 0
  #positionHead = 0
  #positionTail = 0
  #openPositions = 0

  /** At most `appends` at once, with `entries` among them; both powers of two. */
  constructor(appends: number, entries: number) {
    this.#slots = appends
    this.#places = entries
    this.#tokens = new Int32Array(appends)
    this.#counts = new Int32Array(appends)
    this.#ends = new Float64Array(appends)
    this.#terms = new Float64Array(appends)
    this.#indexes = new Float64Array(appends)
    this.#positions = new Float64Array(entries)
  }

  get size(): number {
    return this.#tail - this.#head
  }

  /** An entry of the append to be added next. */
  addPosition(position: number): void {
    const at = this.#positionTail + this.#openPositions
    assert(at - this.#positionHead < this.#places, 'the importer keeps entries within bounds')
    this.#positions[at % this.#places] = position
    this.#openPositions += 1
  }

  /** Forgets the positions added since the last `add`. */
  dropPositions(): void {
    this.#openPositions = 0
  }

  /** The entries whose positions were added, the last of which ends at `end`. */
  add(token: number, firstIndex: number, term: number, end: number): void {
    assert(this.size < this.#slots, 'the importer keeps appends within bounds')
    assert(this.#openPositions > 0, 'an append has entries')
    const slot = this.#tail % this.#slots
    this.#tokens[slot] = token
    this.#counts[slot] = this.#openPositions
    this.#ends[slot] = end
    this.#terms[slot] = term
    this.#indexes[slot] = firstIndex
    this.#tail += 1
    this.#positionTail += this.#openPositions
    this.#openPositions = 0
  }

  /** Whether there is an oldest append and it ends at or below `position`. */
  oldestWithin(position: number): boolean {
    return this.size > 0 && (this.#ends[this.#head % this.#slots] as number) <= position
  }

  /** Whether there is a newest append and it ends above `position`. */
  newestBeyond(position: number): boolean {
    return this.size > 0 && (this.#ends[(this.#tail - 1) % this.#slots] as number) > position
  }

  get token(): number {
    return this.#tokens[this.#head % this.#slots] as number
  }
  get count(): number {
    return this.#counts[this.#head % this.#slots] as number
  }
  get term(): number {
    return this.#terms[this.#head % this.#slots] as number
  }
  get firstIndex(): number {
    return this.#indexes[this.#head % this.#slots] as number
  }

  /** Position of entry `at` of the oldest append. */
  position(at: number): number {
    return this.#positions[(this.#positionHead + at) % this.#places] as number
  }

  removeOldest(): void {
    assert(this.size > 0, 'there is an oldest append')
    this.#positionHead += this.count
    this.#head += 1
  }

  /** Takes the newest append out and returns its token. */
  removeNewest(): number {
    assert(this.size > 0 && this.#openPositions === 0, 'there is a newest append')
    this.#tail -= 1
    const slot = this.#tail % this.#slots
    this.#positionTail -= this.#counts[slot] as number
    return this.#tokens[slot] as number
  }
}
