/**
 * Log lines that a stranger can cause with every connection. Owns the bound: so many a second, the
 * rest as one line with their number when the second is over.
 */
import type { NetworkLog } from './log.ts'

const LINES_PER_SECOND = 10
const SECOND_MS = 1000

export class LineLimiter {
  readonly #log: NetworkLog
  #timer: NodeJS.Timeout | undefined
  #lines = 0

  constructor(log: NetworkLog) {
    this.#log = log
  }

  warn(line: string): void {
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#endSecond(), SECOND_MS)
      this.#timer.unref()
    }
    this.#lines++
    if (this.#lines <= LINES_PER_SECOND) this.#log('warn', line)
  }

  /** Tells what was kept back. */
  close(): void {
    clearTimeout(this.#timer)
    this.#endSecond()
  }

  #endSecond(): void {
    const keptBack = this.#lines - LINES_PER_SECOND
    this.#timer = undefined
    this.#lines = 0
    if (keptBack <= 0) return
    this.#log('warn', `${keptBack} more connections had to be closed within a second`)
  }
}
