/**
 * What a load saw: when acknowledgements came, which errors there were. A gap is the time between
 * two acknowledgements that follow one another, whoever got them; the gap of an event is the
 * longest one of those that ended after it began.
 */

export interface Quantiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** Of 100 values p99 is the second largest: one in a hundred may be above. */
export function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}

export class Acknowledgements {
  readonly errors: Map<string, number> = new Map()
  count = 0
  #lastMs = 0
  #longestMs = 0
  readonly #waiting: { count: number; resolve: () => void }[] = []

  add(nowMs: number): void {
    if (this.#lastMs > 0) this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    this.count++
    while ((this.#waiting[0]?.count ?? Number.POSITIVE_INFINITY) <= this.count) {
      this.#waiting.shift()?.resolve()
    }
  }

  addError(reason: string): void {
    this.errors.set(reason, (this.errors.get(reason) ?? 0) + 1)
  }

  /** The longest gap since the last call; the one that is under way begins the next window. */
  takeLongestMs(): number {
    const longestMs = this.#longestMs
    this.#longestMs = 0
    return longestMs
  }

  /** Resolves when `count` more messages than now are acknowledged. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ count: this.count + count, resolve })
      this.#waiting.sort((a, b) => a.count - b.count)
    })
  }
}
