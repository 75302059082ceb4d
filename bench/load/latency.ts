/**
 * Latencies of one load in an HdrHistogram: microseconds, three digits. Invariant: a message is
 * recorded from the moment at which it was meant to start, so that a pause of the server counts
 * for all that had to wait for it (no coordinated omission).
 */
import { build, type Histogram } from 'hdr-histogram-js'

export interface LatencySummary {
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

const US_PER_MS = 1000

export class LatencyRecorder {
  readonly #histogram: Histogram = build({ numberOfSignificantValueDigits: 3 })

  get count(): number {
    return this.#histogram.totalCount
  }

  /** A clock that went back counts as nothing, not as an error. */
  record(intendedMs: number, endedMs: number): void {
    this.#histogram.recordValue(Math.max(0, Math.round((endedMs - intendedMs) * US_PER_MS)))
  }

  summary(): LatencySummary {
    return {
      count: this.count,
      p50Ms: this.#at(50),
      p90Ms: this.#at(90),
      p99Ms: this.#at(99),
      p999Ms: this.#at(99.9),
      maxMs: this.count === 0 ? Number.NaN : this.#histogram.maxValue / US_PER_MS,
    }
  }

  /** NaN when nothing was recorded: no figure is better than a zero that looks like one. */
  #at(percentile: number): number {
    if (this.count === 0) return Number.NaN
    // The upper end of a bucket, which may lie above all that is in it.
    const valueUs = this.#histogram.getValueAtPercentile(percentile)
    return Math.min(valueUs, this.#histogram.maxValue) / US_PER_MS
  }
}
