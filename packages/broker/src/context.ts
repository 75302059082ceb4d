/**
 * What every handler gets: the broker's tables and the ways to answer, to propose a state change
 * and to reach clients. Invariant: only the broker thread touches any of it.
 */
import type { Clock, Random } from '@ringledger/base'
import type { UniqueIds } from '@ringledger/protocol'
import type { OnClientAnswer } from './client-calls.ts'
import type { Connections } from './connections.ts'
import type { CorePort, Role } from './core-port-api.ts'
import type { DayTotals } from './day-totals.ts'
import type { ConsumerGroups } from './groups.ts'
import type { HeldPulls } from './hold.ts'
import type { LeaderTransfer } from './leader-transfer.ts'
import type { LiveSettings } from './live-settings.ts'
import type { QueueLocks } from './locks.ts'
import type { ConsumerOffsets } from './offsets.ts'
import type { Producers } from './producers.ts'
import type { PutCounts } from './put-counts.ts'
import type { Answer, BrokerRequest, Ticket } from './request.ts'
import type { Retention } from './retention.ts'
import type { BrokerSettings } from './settings.ts'
import type { StateChanges } from './state-changes.ts'
import type { BrokerStats } from './stats.ts'
import type { StoreView } from './store-view.ts'
import type { SubscriptionGroups } from './subscription-groups.ts'
import type { Topics } from './topics.ts'

/**
 * Answers one request code.
 * Returns the answer, or undefined when it will call `context.answer(ticket, …)` later. Throws
 * RequestError for a RocketMQ error code, LedgerError BAD_REQUEST (as protocol's ext readers do)
 * for code 1; any other exception becomes code 1 and one log line. The agent drops answers to
 * one-way requests, so handlers need not look at that.
 */
export type Handler = (request: BrokerRequest, context: BrokerContext) => Answer | undefined

export interface BrokerContext {
  readonly settings: BrokerSettings
  readonly liveSettings: LiveSettings
  readonly clock: Clock
  readonly random: Random
  readonly port: CorePort
  /** This node's part in the Raft group. Writes of clients need `serving`. */
  readonly role: RoleView
  /** 4 address bytes and the port: what clients connect to, part of every offset message id. */
  readonly storeHost: Buffer
  readonly store: StoreView
  readonly changes: StateChanges
  readonly topics: Topics
  readonly subscriptionGroups: SubscriptionGroups
  readonly groups: ConsumerGroups
  readonly producers: Producers
  readonly offsets: ConsumerOffsets
  readonly locks: QueueLocks
  readonly held: HeldPulls
  readonly leaderTransfer: LeaderTransfer
  readonly connections: Connections
  readonly stats: BrokerStats
  /** Refreshed before the put counters are shown. */
  readonly putCounts: PutCounts
  readonly dayTotals: DayTotals
  /** Deletes old parts of the log, and what of the queues speaks of them. */
  readonly retention: Pick<Retention, 'deleteExpiredNow' | 'cleanQueuesNow'>
  /** Bounds what requests keep in memory while they wait for a state change. */
  readonly deferred: ByteBudget
  /** Makes UNIQ_KEY for messages that come without. */
  readonly uniqueIds: UniqueIds
  /** Delay of each level in ms, level 1 first. */
  readonly delayLevelsMs: readonly number[]
  /** When this broker thread started, wall time. */
  readonly startedAtMs: number
  /** This node's disk has no space for more of the log. */
  diskFull(): boolean
  /** Damaged entries of this node's log that are not repaired yet. */
  damagedEntries(): number
  answer(ticket: Ticket, answer: Answer): void
  /**
   * Tells all members of a group that its membership changed (code 40), where the group wants that.
   */
  notifyMembers(group: string): void
  /**
   * Asks a client and calls back once: with its answer, or undefined when none came in time. The
   * answer's body is valid only during the callback. False: nothing was sent.
   */
  callClient(connectionId: number, call: ClientCall, onAnswer: OnClientAnswer): boolean
  /** One line for the operator. */
  log(line: string): void
}

export interface ClientCall {
  readonly code: number
  readonly ext: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly timeoutMs: number
}

export interface RoleView {
  readonly role: Role
  readonly term: number
  readonly leaderId: string
  /** Leader, and everything before its first entry has been applied here. */
  readonly serving: boolean
}

/** A count of bytes that may not pass a limit. */
export class ByteBudget {
  readonly #limitBytes: number
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** False: nothing was taken. */
  take(sizeBytes: number): boolean {
    if (this.#usedBytes + sizeBytes > this.#limitBytes) return false
    this.#usedBytes += sizeBytes
    return true
  }

  give(sizeBytes: number): void {
    this.#usedBytes -= sizeBytes
  }
}
