/**
 * What a run did, as one number, and for people as lines. Owns the invariant that two runs with the
 * same digest did the same things in the same order.
 */
import { type Scheduler, SLOT_MS } from './scheduler.ts'

export class Trace {
  /** Lines are made only while this is set: they cost more than the run. */
  print: ((line: string) => void) | undefined
  #digest = 0x811c9dc5
  readonly #scheduler: Scheduler

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  get digest(): string {
    return (this.#digest >>> 0).toString(16).padStart(8, '0')
  }

  reset(): void {
    this.#digest = 0x811c9dc5
  }

  /** Four numbers that say what happened. */
  mix(a: number, b: number, c: number, d: number): void {
    let hash = this.#digest
    hash = Math.imul(hash ^ a, 0x01000193)
    hash = Math.imul(hash ^ b, 0x85ebca6b)
    hash = Math.imul(hash ^ c, 0xc2b2ae35)
    hash = Math.imul(hash ^ d, 0x27d4eb2f)
    this.#digest = hash ^ (hash >>> 15)
  }

  line(node: number, text: string): void {
    const atMs = this.#scheduler.now * SLOT_MS
    this.print?.(`${(atMs / 1000).toFixed(3).padStart(8)} n${node} ${text}`)
  }
}
