/**
 * Linearizable reads of one importer: those of a turn share one question to the majority.
 * Invariant: a read is answered only after a round that began after it came, and only when readers
 * see the log up to where it was committed then.
 */
import type { Replica } from '@ringledger/consensus'

export interface ReadRoundsParts {
  readonly replica: Replica
  /** Readers see what the read must see. */
  confirm(token: number): void
  /** This node does not lead. */
  refuse(token: number): void
}

interface Confirmed {
  readonly position: number
  readonly tokens: readonly number[]
}

/** Far below what the machine takes; reads that come meanwhile gather for the next round. */
const MAX_ROUNDS = 64

export class ReadRounds {
  readonly #parts: ReadRoundsParts
  #gathered: number[] = []
  readonly #asked = new Map<number, number[]>()
  readonly #confirmed: Confirmed[] = []
  #lastId = 0

  constructor(parts: ReadRoundsParts) {
    this.#parts = parts
  }

  add(token: number): void {
    this.#gathered.push(token)
  }

  /** Asks for what was gathered. A new leader first commits an entry of its own term. */
  start(): void {
    if (this.#gathered.length === 0 || this.#asked.size >= MAX_ROUNDS) return
    const { replica } = this.#parts
    if (!replica.raft.serving) return
    const id = ++this.#lastId
    this.#asked.set(id, this.#gathered)
    this.#gathered = []
    replica.readIndex(id)
  }

  onReadIndex(id: number, position: number): void {
    const tokens = this.#asked.get(id)
    if (tokens === undefined) return
    this.#asked.delete(id)
    if (position >= 0) this.#confirmed.push({ position, tokens })
    else for (const token of tokens) this.#parts.refuse(token)
  }

  /** Readers see the log up to `visible`. */
  answer(visible: number): void {
    let done = 0
    for (const { position, tokens } of this.#confirmed) {
      if (position > visible) break
      for (const token of tokens) this.#parts.confirm(token)
      done += 1
    }
    if (done > 0) this.#confirmed.splice(0, done)
  }

  /** This node leads no more. Rounds that a majority confirmed still hold. */
  refuseAll(): void {
    const asked = [...this.#asked.values(), this.#gathered]
    this.#asked.clear()
    this.#gathered = []
    for (const tokens of asked) for (const token of tokens) this.#parts.refuse(token)
  }
}
