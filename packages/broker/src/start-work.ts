/**
 * What a broker is busy with before it serves, and how far it is: for its status at any time, for
 * its log now and then. Owns the pace of the log's lines and the rate of a work.
 */

/** Told whenever something is new; '' when nothing is left. */
export type TellWork = (text: string) => void

const SAY_EVERY_MS = 5_000
const MB = 1_000_000

export class StartWork {
  readonly #tell: TellWork
  readonly #say: (line: string) => void
  readonly #nowMs: () => number
  #what = ''
  #startedMs = 0
  #startedBytes = 0
  #saidMs: number

  /** `say` gets a line every few seconds at most. */
  constructor(tell: TellWork, say: (line: string) => void, nowMs: () => number = monotonicMs) {
    this.#tell = tell
    this.#say = say
    this.#nowMs = nowMs
    this.#saidMs = nowMs()
  }

  /** Something that has no measure. */
  at(what: string): void {
    this.#what = what
    this.#tell(what)
  }

  /** The rate counts from the first call with the same `what`. */
  progress(what: string, doneBytes: number, totalBytes: number): void {
    const nowMs = this.#nowMs()
    if (what !== this.#what) {
      this.#what = what
      this.#startedMs = nowMs
      this.#startedBytes = doneBytes
    }
    if (totalBytes === 0) return
    const text = this.#textOf(doneBytes, totalBytes, nowMs)
    this.#tell(text)
    if (nowMs - this.#saidMs < SAY_EVERY_MS) return
    this.#saidMs = nowMs
    this.#say(text)
  }

  #textOf(doneBytes: number, totalBytes: number, nowMs: number): string {
    const percent = Math.floor((doneBytes / totalBytes) * 100)
    const known = `${this.#what}: ${percent} %, ${megabytes(doneBytes)} of ${megabytes(totalBytes)} MB`
    const bytesPerMs = (doneBytes - this.#startedBytes) / (nowMs - this.#startedMs)
    if (!(bytesPerMs > 0 && Number.isFinite(bytesPerMs))) return known
    const leftSeconds = Math.ceil((totalBytes - doneBytes) / bytesPerMs / 1000)
    return `${known}, ${megabytes(bytesPerMs * 1000)} MB/s, ${leftSeconds} s left`
  }
}

function megabytes(bytes: number): string {
  return (bytes / MB).toFixed(bytes < 100 * MB ? 1 : 0)
}

function monotonicMs(): number {
  return performance.now()
}
