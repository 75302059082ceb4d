/**
 * Committed offsets of all groups: (topic, group) -> queue id -> next offset to consume. Owns the
 * count of entries, by which the table is kept within its bound.
 */

export interface PairOffsets {
  readonly topic: string
  readonly group: string
  readonly offsets: Map<number, number>
}

export class OffsetTable {
  /** By Apache's key `topic@group`; neither name may hold an `@`. */
  readonly #pairs = new Map<string, PairOffsets>()
  #entryCount = 0

  get entryCount(): number {
    return this.#entryCount
  }

  get(topic: string, group: string, queueId: number): number {
    return this.#pairs.get(`${topic}@${group}`)?.offsets.get(queueId) ?? -1
  }

  has(topic: string, group: string, queueId: number): boolean {
    return this.get(topic, group, queueId) >= 0
  }

  set(topic: string, group: string, queueId: number, offset: number): void {
    const key = `${topic}@${group}`
    let pair = this.#pairs.get(key)
    if (pair === undefined) {
      pair = { topic, group, offsets: new Map() }
      this.#pairs.set(key, pair)
    }
    if (!pair.offsets.has(queueId)) this.#entryCount++
    pair.offsets.set(queueId, offset)
  }

  pair(topic: string, group: string): PairOffsets | undefined {
    return this.#pairs.get(`${topic}@${group}`)
  }

  pairs(): IterableIterator<PairOffsets> {
    return this.#pairs.values()
  }

  /** Forgets every pair for which `isMeant`. */
  remove(isMeant: (pair: PairOffsets) => boolean): void {
    for (const [key, pair] of this.#pairs) {
      if (!isMeant(pair)) continue
      this.#entryCount -= pair.offsets.size
      this.#pairs.delete(key)
    }
  }
}
