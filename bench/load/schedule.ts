/**
 * When each message of an open-loop load is meant to start, whatever the server does. Messages
 * start in bursts, one a millisecond, because that is how fine timers are; their mean rate is
 * exact.
 */
export class Schedule {
  readonly #ratePerMs: number
  readonly #startMs: number
  /** Messages altogether. */
  readonly total: number

  /** @throws Error for a rate or a duration that is not above zero. */
  constructor(ratePerSecond: number, seconds: number, startMs: number) {
    if (!(ratePerSecond > 0) || !(seconds > 0)) {
      throw new Error(`a rate and a duration above zero are wanted: ${ratePerSecond}, ${seconds}`)
    }
    this.#ratePerMs = ratePerSecond / 1000
    this.#startMs = startMs
    this.total = this.#startedBy(Math.floor(seconds * 1000))
  }

  /** How many messages must have started by then. */
  dueBy(nowMs: number): number {
    if (nowMs < this.#startMs) return 0
    return Math.min(this.total, this.#startedBy(Math.floor(nowMs - this.#startMs)))
  }

  /** The start of the message with that number, from 0 on: the millisecond that it is due in. */
  intendedMs(number: number): number {
    let slice = Math.ceil((number + 1) / this.#ratePerMs)
    // Division rounds; the promise is that of dueBy.
    while (slice > 0 && this.#startedBy(slice - 1) > number) slice--
    while (this.#startedBy(slice) <= number) slice++
    return this.#startMs + slice
  }

  #startedBy(milliseconds: number): number {
    return Math.floor(milliseconds * this.#ratePerMs)
  }
}
