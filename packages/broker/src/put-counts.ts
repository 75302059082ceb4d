/**
 * How many messages were stored, counted without looking at any: the growth of every queue's next
 * offset between two looks. Owns the rule that only what was stored while this node led counts, so
 * that a group's nodes add up to the truth.
 */
import type { RoleView } from './context.ts'
import { type BrokerStats, StatName, WHOLE_BROKER } from './stats.ts'
import type { QueuesView } from './store-view.ts'

/** A look at all queues is not taken more often than this. */
const REFRESH_MS = 1_000

export class PutCounts {
  readonly #queues: Pick<QueuesView, 'forEachQueue'>
  readonly #stats: BrokerStats
  readonly #role: RoleView
  #lastOffsets = new Map<string, number>()
  #nextMs = 0
  #isFirst = true

  constructor(queues: Pick<QueuesView, 'forEachQueue'>, stats: BrokerStats, role: RoleView) {
    this.#queues = queues
    this.#stats = stats
    this.#role = role
  }

  /** Brings the counters up to date. */
  refresh(nowMs: number): void {
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + REFRESH_MS
    const offsets = new Map<string, number>()
    this.#queues.forEachQueue((queue) => {
      offsets.set(queue.topic, (offsets.get(queue.topic) ?? 0) + queue.maxOffset)
    })
    if (this.#role.serving && !this.#isFirst) this.#count(offsets)
    this.#isFirst = false
    this.#lastOffsets = offsets
  }

  #count(offsets: ReadonlyMap<string, number>): void {
    let total = 0
    for (const [topic, offset] of offsets) {
      const last = this.#lastOffsets.get(topic) ?? 0
      // Less than before: the topic was deleted and made anew.
      const stored = offset >= last ? offset - last : offset
      if (stored === 0) continue
      this.#stats.add(StatName.TOPIC_PUT_NUMS, topic, stored, stored)
      total += stored
    }
    if (total > 0) this.#stats.add(StatName.BROKER_PUT_NUMS, WHOLE_BROKER, total, total)
  }
}
