/** What a load was promised: place and sequence number of every acknowledged message. */
export interface Acknowledged {
  readonly sequence: number
  readonly queueId: number
  readonly queueOffset: number
}

export class LoadRecord {
  readonly run: number
  readonly topic: string
  readonly acknowledged: Acknowledged[] = []
  /** Answers that were no success, and requests without answer, by what they said. */
  readonly failures: Map<string, number> = new Map()
  longestGapMs = 0
  #nextSequence = 0
  #lastMs = 0
  readonly #waiting: { count: number; resolve: () => void }[] = []

  constructor(run: number, topic: string) {
    this.run = run
    this.topic = topic
  }

  nextSequence(): number {
    return this.#nextSequence++
  }

  get attempted(): number {
    return this.#nextSequence
  }

  add(sequence: number, queueId: number, queueOffset: number): void {
    const nowMs = performance.now()
    if (this.#lastMs > 0) this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    this.acknowledged.push({ sequence, queueId, queueOffset })
    while ((this.#waiting[0]?.count ?? Infinity) <= this.acknowledged.length) {
      this.#waiting.shift()?.resolve()
    }
  }

  fail(reason: string): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1)
  }

  /** Resolves when `count` more messages than now are acknowledged. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ count: this.acknowledged.length + count, resolve })
      this.#waiting.sort((a, b) => a.count - b.count)
    })
  }

  summary(): string {
    const failures = [...this.failures].map(([reason, count]) => `${count} × ${reason}`)
    const gap = `longest gap ${Math.round(this.longestGapMs)} ms`
    return `${this.acknowledged.length} of ${this.attempted} acknowledged, ${gap}; ${failures.join(', ') || 'no failures'}`
  }
}
