/**
 * Dense numbers for the queues of all topics, so that core can keep a queue's next offset in an
 * array. Owns the invariant: no two live queues share a slot. A freed range is used again for a
 * topic of the same size.
 */
export class QueueSlots {
  readonly #bases = new Map<string, { base: number; count: number }>()
  readonly #free = new Map<number, number[]>()
  #next = 0

  /** First slot of the topic's range and its length, once the topic has one. */
  rangeOf(topic: string): { readonly base: number; readonly count: number } | undefined {
    return this.#bases.get(topic)
  }

  /** The slot of one queue, -1 when the topic has no such queue. */
  slotOf(topic: string, queueId: number): number {
    const range = this.#bases.get(topic)
    return range !== undefined && queueId >= 0 && queueId < range.count ? range.base + queueId : -1
  }

  /** Gives the topic at least `count` slots; true when its range is new. Ranges never shrink. */
  assign(topic: string, count: number): boolean {
    const known = this.#bases.get(topic)
    if (known !== undefined && known.count >= count) return false
    this.release(topic)
    let base = this.#free.get(count)?.pop()
    if (base === undefined) {
      base = this.#next
      this.#next += count
    }
    this.#bases.set(topic, { base, count })
    return true
  }

  release(topic: string): void {
    const known = this.#bases.get(topic)
    if (known === undefined) return
    this.#bases.delete(topic)
    const free = this.#free.get(known.count)
    if (free === undefined) this.#free.set(known.count, [known.base])
    else free.push(known.base)
  }

  *all(): Iterable<readonly [topic: string, queueId: number, slot: number]> {
    for (const [topic, { base, count }] of this.#bases) {
      for (let queueId = 0; queueId < count; queueId++) yield [topic, queueId, base + queueId]
    }
  }
}
