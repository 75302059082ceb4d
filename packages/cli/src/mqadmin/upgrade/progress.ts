/** A line of progress with rate and time left: overwritten on a terminal, rare lines elsewhere. */
import type { TextSink } from '../view.ts'

const PLAIN_INTERVAL_MS = 10_000
const GIB = 2 ** 30

export class Progress {
  readonly #what: string
  readonly #sink: TextSink
  readonly #startedMs = performance.now()
  #saidMs = 0
  #open = false

  constructor(what: string, sink: TextSink) {
    this.#what = what
    this.#sink = sink
  }

  tell(doneBytes: number, totalBytes: number): void {
    const nowMs = performance.now()
    const terminal = this.#sink.isTTY === true
    if (!terminal && nowMs - Math.max(this.#saidMs, this.#startedMs) < PLAIN_INTERVAL_MS) return
    this.#saidMs = nowMs
    const line = progressLine(this.#what, doneBytes, totalBytes, nowMs - this.#startedMs)
    this.#sink.write(terminal ? `\r\u001b[K${line}` : `${line}\n`)
    this.#open = terminal
  }

  end(): void {
    if (this.#open) this.#sink.write('\r\u001b[K')
  }
}

/** `/data/store  37 %  3.70 of 10.00 GiB  1.52 GiB/s  4 s left`. */
export function progressLine(
  what: string,
  doneBytes: number,
  totalBytes: number,
  elapsedMs: number,
): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes)
  const bytesPerMs = doneBytes / Math.max(1, elapsedMs)
  const rate = (bytesPerMs * 1000) / GIB
  const left =
    bytesPerMs === 0 ? '' : `  ${Math.ceil((totalBytes - doneBytes) / bytesPerMs / 1000)} s left`
  const done = `${(doneBytes / GIB).toFixed(2)} of ${(totalBytes / GIB).toFixed(2)} GiB`
  return `${what}  ${percent} %  ${done}  ${rate.toFixed(2)} GiB/s${left}`
}
