/**
 * How fast peers that lag behind the arena are served from files while clients write. They share
 * disks, processors and links with the majority that clients wait for, so they get a multiple of
 * what clients write now: the more they slow the clients down, the less they get, and they still
 * come closer all the time. Counted in ticks, so that it runs in the simulator as in production.
 */

/** Of what clients write; above one, or nobody would ever catch up. */
const TIMES_WRITTEN = 1.5
/** At 25 ms a tick 16 MiB/s, however little clients write. */
const LEAST_BYTES_PER_TICK = 400 * 1024
/** Clients that write less than this (64 KiB/s) have nothing to be slowed down. */
const IDLE_BYTES_PER_TICK = 1600
/** The written bytes are averaged over so many ticks. */
const AVERAGED_TICKS = 20

export class CatchUpPace {
  #endPosition: number
  #writtenPerTick = 0
  /** Below zero when the last batch was longer than what was left. */
  #leftBytes = 0

  constructor(endPosition: number) {
    this.#endPosition = endPosition
  }

  /** Another batch may be read. */
  get open(): boolean {
    return this.#idle || this.#leftBytes > 0
  }

  get #idle(): boolean {
    return this.#writtenPerTick < IDLE_BYTES_PER_TICK
  }

  /** A tick has passed; the log ends at `endPosition` now. */
  tick(endPosition: number): void {
    const written = Math.max(0, endPosition - this.#endPosition)
    this.#endPosition = endPosition
    this.#writtenPerTick += (written - this.#writtenPerTick) / AVERAGED_TICKS
    const share = Math.max(LEAST_BYTES_PER_TICK, TIMES_WRITTEN * this.#writtenPerTick)
    this.#leftBytes = Math.min(share, this.#leftBytes + share)
  }

  /** A batch was read. */
  take(sizeBytes: number): void {
    // What idle times gave is not to be paid off by clients that come.
    if (!this.#idle) this.#leftBytes -= sizeBytes
  }
}
