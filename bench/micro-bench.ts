/**
 * What a micro benchmark is. Owns the rule that an operation states what it does and how its result
 * is recognised: one that cannot be checked is not measured.
 */

/** One thing whose time is taken. */
export interface Operation {
  readonly name: string
  /**
   * Times it is carried out per sample: enough for some microseconds, so that the clock is fine.
   */
  readonly batch: number
  /** Bytes that one operation moves, for the column MB/s. */
  readonly bytes?: number
  /** Not timed, before each sample: makes what the next `batch` operations will use up. */
  prepare?(): void
  /** Carries the operation out `count` times; the loop is inside, so that no call is timed. */
  run(count: number): void
  /**
   * Carries it out once and looks at the result; throws when it is wrong. Called before and after
   * the measurement.
   */
  check(): void
}

export interface OpenBench {
  readonly operations: readonly Operation[]
  close?(): void
}

/** A file `micro/<name>.bench.ts` exports one of these as `bench`. */
export interface MicroBench {
  /** One line for `--list`. */
  readonly title: string
  /** Makes what the operations work on; `directory` is empty, and removed afterwards. */
  open(directory: string): OpenBench | Promise<OpenBench>
}
