/**
 * Remembers where entries ended, turn by turn, until they commit: the machine knows positions, a
 * checkpoint also wants the index. Bounded; when it overflows the oldest boundary is forgotten,
 * which only makes a checkpoint a little older.
 */

export interface CommittedBoundary {
  /** End of a committed entry; 0 before the first one. */
  position: number
  /** Its index, -1 before the first one. */
  index: number
}

const CAPACITY = 4096

export class BoundaryLog {
  readonly committed: CommittedBoundary = { position: 0, index: -1 }
  readonly #positions = new Float64Array(CAPACITY)
  readonly #indexes = new Float64Array(CAPACITY)
  #head = 0
  #tail = 0

  add(position: number, index: number): void {
    if (this.#tail - this.#head === CAPACITY) this.#head += 1
    const slot = this.#tail % CAPACITY
    this.#positions[slot] = position
    this.#indexes[slot] = index
    this.#tail += 1
  }

  /** Everything up to `position` is committed. */
  commit(position: number): void {
    while (this.#head < this.#tail) {
      const slot = this.#head % CAPACITY
      if ((this.#positions[slot] as number) > position) return
      this.committed.position = this.#positions[slot] as number
      this.committed.index = this.#indexes[slot] as number
      this.#head += 1
    }
  }

  /** The log was cut: boundaries behind `position` are gone. */
  cut(position: number): void {
    while (this.#tail > this.#head) {
      if ((this.#positions[(this.#tail - 1) % CAPACITY] as number) <= position) return
      this.#tail -= 1
    }
  }
}
