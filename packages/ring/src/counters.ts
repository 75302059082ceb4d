/**
 * Named counters that one thread writes and any thread reads, for metrics. Owns the invariant "one
 * writer per block": each thread allocates its own. Counting is a plain addition, so a reader may
 * see a value a few nanoseconds old.
 */
import { assert } from '@ringledger/base'
import { allocateRegion } from './region.ts'

/** What `workerData` carries. */
export interface CountersShared {
  readonly names: readonly string[]
  readonly words: SharedArrayBuffer
}

export class Counters {
  readonly shared: CountersShared
  readonly #values: Float64Array

  static allocate(names: readonly string[]): CountersShared {
    assert(new Set(names).size === names.length, 'counter names are unique')
    return { names: [...names], words: allocateRegion(Math.max(1, names.length) * 8) }
  }

  constructor(shared: CountersShared) {
    this.shared = shared
    this.#values = new Float64Array(shared.words, 0, shared.names.length)
  }

  /** The slot of a name, looked up once at start. */
  slot(name: string): number {
    const slot = this.shared.names.indexOf(name)
    assert(slot >= 0, `unknown counter ${name}`)
    return slot
  }

  /** Writer: counts. Whole numbers stay exact below 2^53. */
  add(slot: number, by = 1): void {
    this.#values[slot] = this.#values[slot]! + by
  }

  /** Writer: sets a gauge. */
  set(slot: number, value: number): void {
    this.#values[slot] = value
  }

  get(slot: number): number {
    return this.#values[slot]!
  }

  /** All values by name. */
  snapshot(): Record<string, number> {
    return Object.fromEntries(
      this.shared.names.map((name, slot) => [name, this.#values[slot]!] as const),
    )
  }
}
