/**
 * A binary heap of things with deadlines. Owns `heapIndex` of its items, so that removing any item
 * costs O(log n) and a removed item keeps no memory until its deadline.
 */
export interface Deadlined {
  readonly deadlineMs: number
  /** -1 while the item is in no heap. */
  heapIndex: number
}

export class DeadlineHeap<T extends Deadlined> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  /** The earliest deadline, Infinity when empty. */
  get nextMs(): number {
    return this.#items[0]?.deadlineMs ?? Number.POSITIVE_INFINITY
  }

  add(item: T): void {
    this.#items.push(item)
    this.#rise(this.#items.length - 1, item)
  }

  /** Takes out one item that is due at `nowMs`. */
  takeDue(nowMs: number): T | undefined {
    const first = this.#items[0]
    if (first === undefined || first.deadlineMs > nowMs) return undefined
    this.remove(first)
    return first
  }

  remove(item: T): void {
    const index = item.heapIndex
    if (index < 0) return
    item.heapIndex = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    this.#rise(index, last)
    this.#sink(last.heapIndex, last)
  }

  #rise(from: number, item: T): void {
    let index = from
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = this.#items[above] as T
      if (parent.deadlineMs <= item.deadlineMs) break
      this.#place(index, parent)
      index = above
    }
    this.#place(index, item)
  }

  #sink(from: number, item: T): void {
    let index = from
    for (;;) {
      let below = index * 2 + 1
      if (below >= this.#items.length) break
      const right = this.#items[below + 1]
      if (right !== undefined && right.deadlineMs < (this.#items[below] as T).deadlineMs) below += 1
      const child = this.#items[below] as T
      if (child.deadlineMs >= item.deadlineMs) break
      this.#place(index, child)
      index = below
    }
    this.#place(index, item)
  }

  #place(index: number, item: T): void {
    this.#items[index] = item
    item.heapIndex = index
  }
}
