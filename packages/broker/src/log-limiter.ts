/**
 * Log lines, but no more than a client's bad input may cause: a bounded number a second, the rest
 * counted.
 */
import type { Clock } from '@ringledger/base'

const LINES_PER_SECOND = 20
const SECOND_MS = 1_000

export class LogLimiter {
  readonly #clock: Clock
  readonly #write: (line: string) => void
  #secondStartMs = 0
  #lines = 0
  #suppressed = 0

  constructor(clock: Clock, write: (line: string) => void) {
    this.#clock = clock
    this.#write = write
  }

  log(line: string): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#secondStartMs >= SECOND_MS) {
      if (this.#suppressed > 0) this.#write(`${this.#suppressed} more lines of this kind`)
      this.#secondStartMs = nowMs
      this.#lines = 0
      this.#suppressed = 0
    }
    this.#lines += 1
    if (this.#lines > LINES_PER_SECOND) this.#suppressed += 1
    else this.#write(line)
  }
}
