/**
 * Which unanswered message has which place. Invariant: a place is taken once until it is given
 * back, and there is room for a fixed number.
 */
export class Lanes {
  readonly #intendedMs: Float64Array
  readonly #free: Int32Array
  #freeCount: number

  constructor(count: number) {
    this.#intendedMs = new Float64Array(count).fill(Number.NaN)
    this.#free = Int32Array.from({ length: count }, (_, at) => count - 1 - at)
    this.#freeCount = count
  }

  get taken(): number {
    return this.#free.length - this.#freeCount
  }

  get full(): boolean {
    return this.#freeCount === 0
  }

  /** @throws Error when all are taken. */
  take(intendedMs: number): number {
    if (this.full) throw new Error(`all ${this.#free.length} lanes are taken`)
    const lane = this.#free[--this.#freeCount] as number
    this.#intendedMs[lane] = intendedMs
    return lane
  }

  /** Returns when the message of the lane was meant to start. @throws Error when it is free. */
  release(lane: number): number {
    const intendedMs = this.#intendedMs[lane]
    if (intendedMs === undefined || Number.isNaN(intendedMs)) {
      throw new Error(`an answer for lane ${lane}, which waits for none`)
    }
    this.#intendedMs[lane] = Number.NaN
    this.#free[this.#freeCount++] = lane
    return intendedMs
  }

  /** The starts of all messages that are still unanswered. */
  waiting(): number[] {
    return [...this.#intendedMs].filter((at) => !Number.isNaN(at))
  }
}
