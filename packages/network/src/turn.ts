/**
 * The end of an event-loop turn. Owns the invariant "at most one setImmediate is pending":
 * everything that arrived in a turn is finished once, and what was written to a socket in a turn
 * leaves in one write (hot-path rules 1 and 8).
 */
/** Something with bytes to hand over at the end of the turn. */
export interface Flushable {
  flush(): void
}

interface EndCallback {
  readonly order: number
  readonly run: () => void
}

export class Turn {
  #callbacks: EndCallback[] = []
  #dirty: Flushable[] = []
  #flushing: Flushable[] = []
  #scheduled = false
  #ending = false
  readonly #run = (): void => this.#end()

  /**
   * Registers work for the end of every scheduled turn; lower `order` runs first, equal ones in the
   * order of registration. Flushes of the turn come after all of them. Returns the way to take it
   * back.
   */
  onEnd(callback: () => void, order = 0): () => void {
    const entry: EndCallback = { order, run: callback }
    const after = this.#callbacks.findIndex((other) => other.order > order)
    const callbacks = [...this.#callbacks]
    callbacks.splice(after < 0 ? callbacks.length : after, 0, entry)
    this.#callbacks = callbacks
    return () => {
      this.#callbacks = this.#callbacks.filter((other) => other !== entry)
    }
  }

  /** Asks for the callbacks to run when the events of this loop turn are done. */
  schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#run)
  }

  /** Flushes `flushable` once at the end of this turn; the caller asks once per turn. */
  flushAtEnd(flushable: Flushable): void {
    this.#dirty.push(flushable)
    // What the end callbacks write belongs to the end that is running, and needs no other.
    if (!this.#ending) this.schedule()
  }

  #end(): void {
    this.#scheduled = false
    this.#ending = true
    const callbacks = this.#callbacks
    for (let index = 0; index < callbacks.length; index++) callbacks[index]!.run()
    this.#ending = false
    const flushing = this.#dirty
    this.#dirty = this.#flushing
    this.#flushing = flushing
    for (let index = 0; index < flushing.length; index++) flushing[index]!.flush()
    flushing.length = 0
  }
}
