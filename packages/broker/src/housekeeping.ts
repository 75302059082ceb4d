/**
 * What the broker thread does now and then: silent clients, expired locks, statistics. Owns the
 * rule that a closed connection leaves nothing behind in any table.
 */
import type { AgentContext } from './agent-context.ts'
import { StatName, WHOLE_BROKER } from './stats.ts'

const SCAN_MS = 10_000

export class Housekeeping {
  readonly #context: AgentContext
  readonly #everyScan: () => void
  #nextScanMs = 0

  constructor(context: AgentContext, everyScan: () => void) {
    this.#context = context
    this.#everyScan = everyScan
  }

  get nextMs(): number {
    return this.#nextScanMs
  }

  duty(nowMs: number): void {
    if (nowMs < this.#nextScanMs) return
    const isFirst = this.#nextScanMs === 0
    this.#nextScanMs = nowMs + SCAN_MS
    const context = this.#context
    this.#sampleStats(nowMs)
    if (isFirst) return
    this.#dropSilent(nowMs - context.settings.channelExpiredTimeoutMs)
    context.locks.sweep(nowMs)
    this.#everyScan()
  }

  dropConnection(id: number): void {
    const context = this.#context
    context.connections.remove(id)
    context.held.dropConnection(id)
    context.producers.dropConnection(id)
    context.calls.dropConnection(id)
    for (const group of context.groups.dropConnection(id)) context.notifyMembers(group)
  }

  #dropSilent(beforeMs: number): void {
    const { groups, producers, port } = this.#context
    const silent = new Set([...groups.silentSince(beforeMs), ...producers.silentSince(beforeMs)])
    for (const connectionId of silent) {
      port.close(connectionId)
      this.dropConnection(connectionId)
    }
  }

  #sampleStats(nowMs: number): void {
    const { stats, putCounts, dayTotals, clock } = this.#context
    putCounts.refresh(nowMs)
    stats.sample(nowMs)
    const put = stats.total(StatName.BROKER_PUT_NUMS, WHOLE_BROKER)
    const get = stats.total(StatName.BROKER_GET_NUMS, WHOLE_BROKER)
    dayTotals.observe(clock.wallMs(), { put, get })
  }
}
