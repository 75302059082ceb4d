/**
 * Who campaigned in a run, and whether by order. Owns the answer to the question whether a term
 * was given away: a campaign is by order when a TimeoutNow of the term before reached that node in
 * the same slot, and at no other time (thesis §3.10).
 */
import type { RaftStatus } from '@ringledger/consensus'
import type { Scheduler } from './scheduler.ts'

export interface Campaign {
  readonly name: string
  readonly term: number
  readonly byOrder: boolean
}

interface Order {
  readonly term: number
  readonly slot: number
}

export class Handovers {
  readonly #scheduler: Scheduler
  /** By term: who was told to take over. */
  readonly #told = new Map<number, string[]>()
  /** By node: the last TimeoutNow that arrived. */
  readonly #arrived = new Map<string, Order>()
  #campaigns: Campaign[] = []

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** A TimeoutNow left. */
  onTold(heir: string, term: number): void {
    const told = this.#told.get(term)
    if (told === undefined) this.#told.set(term, [heir])
    else told.push(heir)
  }

  /** A TimeoutNow arrived. */
  onArrived(heir: string, term: number): void {
    this.#arrived.set(heir, { term, slot: this.#scheduler.now })
  }

  onCampaign(name: string, term: number): void {
    const order = this.#arrived.get(name)
    const byOrder = order?.slot === this.#scheduler.now && order.term === term - 1
    this.#campaigns.push({ name, term, byOrder })
  }

  /** Whom the leader of this status has told, or is about to tell: its word may arrive late. */
  heirsOf({ term, transferTarget }: Pick<RaftStatus, 'term' | 'transferTarget'>): Set<string> {
    const heirs = new Set(this.#told.get(term))
    if (transferTarget !== null) heirs.add(transferTarget)
    return heirs
  }

  /** The campaigns since it was asked last. */
  takeCampaigns(): readonly Campaign[] {
    const taken = this.#campaigns
    this.#campaigns = []
    return taken
  }
}
