/**
 * Reads that wait for proof that this node still leads. Two generations: the one whose round is on
 * its way, and the one gathered meanwhile, so that any number of reads costs one round at a time.
 * Invariant: a read is answered only by a round that began after the read arrived.
 */
import type { ReadResult } from './effects.ts'

interface Read {
  readonly id: number
  readonly position: number
}

export class ReadQueue {
  readonly #limit: number
  #underWay: Read[] = []
  #gathered: Read[] = []
  /** The round that confirms the generation under way; -1 without one. */
  #round = -1

  constructor(limit: number) {
    this.#limit = limit
  }

  /** False when too many wait already. */
  add(id: number, position: number): boolean {
    if (this.#underWay.length + this.#gathered.length >= this.#limit) return false
    this.#gathered.push({ id, position })
    return true
  }

  /** True when gathered reads should start a round of their own now. */
  get wantsRound(): boolean {
    return this.#round < 0 && this.#gathered.length > 0
  }

  /** A round begins that proves leadership for everything gathered so far. */
  startRound(round: number): void {
    if (!this.wantsRound) return
    this.#underWay = this.#gathered
    this.#gathered = []
    this.#round = round
  }

  /** A majority echoed `round`. */
  confirm(round: number, results: ReadResult[]): void {
    if (this.#round < 0 || round < this.#round) return
    results.push(...this.#underWay)
    this.#underWay = []
    this.#round = -1
  }

  refuseAll(results: ReadResult[]): void {
    for (const read of this.#underWay) results.push({ id: read.id, position: -1 })
    for (const read of this.#gathered) results.push({ id: read.id, position: -1 })
    this.#underWay = []
    this.#gathered = []
    this.#round = -1
  }
}
