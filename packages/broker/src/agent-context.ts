/**
 * Puts the broker's tables together and is the `BrokerContext` that handlers see. Owns the node's
 * role and the opaques of the broker's own requests.
 */
import type { Clock, Random } from '@ringledger/base'
import { encodeHost, type RemotingCommand, RequestCode, UniqueIds } from '@ringledger/protocol'
import { requestFrame, writeAnswer } from './answer-frames.ts'
import { ClientCalls, type OnClientAnswer } from './client-calls.ts'
import { Connections } from './connections.ts'
import { type BrokerContext, ByteBudget, type ClientCall, type RoleView } from './context.ts'
import type { CorePort, Role } from './core-port-api.ts'
import { DayTotals } from './day-totals.ts'
import { parseDelayLevels } from './delay-levels.ts'
import { BROADCASTING, ConsumerGroups } from './groups.ts'
import { HeldPulls } from './hold.ts'
import { LeaderTransfer } from './leader-transfer.ts'
import { LiveSettings } from './live-settings.ts'
import { QueueLocks } from './locks.ts'
import { LogLimiter } from './log-limiter.ts'
import type { LogSegments } from './log-segments.ts'
import { ConsumerOffsets } from './offsets.ts'
import { Producers } from './producers.ts'
import { PutCounts } from './put-counts.ts'
import { RelayTarget } from './relay-target.ts'
import type { BrokerReport } from './report.ts'
import type { Answer, Ticket } from './request.ts'
import { Retention } from './retention.ts'
import { type BrokerSettings, isPlain } from './settings.ts'
import type { StateRecord } from './state/records.ts'
import { StateChanges } from './state-changes.ts'
import { BrokerStats } from './stats.ts'
import type { StoreView } from './store-view.ts'
import { SubscriptionGroups } from './subscription-groups.ts'
import { TakeOverRecords } from './take-over-records.ts'
import { Topics } from './topics.ts'

/** Pulls that wait at once; more are answered as if there were no message. */
const MAX_HELD_PULLS = 50_000
/** Bodies that wait for a topic's creation. */
const MAX_DEFERRED_BYTES = 64 * 1024 * 1024
/** The largest body of an answer: what a frame may hold, less room for its header. */
const MAX_ANSWER_BODY_BYTES = 16 * 1024 * 1024 - 256 * 1024
const SYSTEM_ERROR = 1

export interface AgentParts {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly random: Random
  readonly port: CorePort
  readonly store: StoreView
  readonly report: BrokerReport
  /** What the group took over from brokers before it; absent: nothing. */
  readonly takeOver?: readonly StateRecord[]
  readonly processId: number
  /** The files of this node's log. */
  readonly segments: LogSegments
  /** How full their disk is, and that of the rest of the store; 0 to 1. */
  usedRatios(): { readonly log: number; readonly rest: number }
  /** This node's disk has no space for more of the log. */
  diskFull(): boolean
  /** Damaged entries of this node's log that are not repaired yet. */
  damagedEntries(): number
}

export class RoleState implements RoleView {
  role: Role = 'follower'
  term = 0
  leaderId = ''
  serving = false
  /** The leader serves once it has applied everything below. */
  barrierEnd = 0
}

export class AgentContext implements BrokerContext {
  readonly settings: BrokerSettings
  readonly liveSettings: LiveSettings
  readonly clock: Clock
  readonly random: Random
  readonly port: CorePort
  readonly store: StoreView
  readonly role: RoleState = new RoleState()
  readonly storeHost: Buffer
  readonly changes: StateChanges
  readonly topics: Topics
  readonly subscriptionGroups: SubscriptionGroups
  readonly groups: ConsumerGroups = new ConsumerGroups()
  readonly producers: Producers = new Producers()
  readonly offsets: ConsumerOffsets
  readonly locks: QueueLocks = new QueueLocks()
  readonly held: HeldPulls = new HeldPulls(MAX_HELD_PULLS)
  readonly leaderTransfer: LeaderTransfer
  readonly relayTarget: RelayTarget
  readonly connections: Connections = new Connections()
  readonly calls: ClientCalls = new ClientCalls()
  readonly stats: BrokerStats = new BrokerStats()
  readonly takeOver: TakeOverRecords
  readonly putCounts: PutCounts
  readonly dayTotals: DayTotals = new DayTotals()
  readonly deferred: ByteBudget = new ByteBudget(MAX_DEFERRED_BYTES)
  readonly retention: Retention
  readonly uniqueIds: UniqueIds
  readonly delayLevelsMs: readonly number[]
  readonly startedAtMs: number
  readonly diskFull: () => boolean
  readonly damagedEntries: () => number
  /** A topic changed since the report about it. */
  topicsChanged = true
  readonly #limiter: LogLimiter
  readonly #groupsToNotify = new Set<string>()
  #opaque = 0

  constructor(parts: AgentParts) {
    const { settings, clock, random, port, store, report } = parts
    this.settings = settings
    this.liveSettings = new LiveSettings(settings, clock)
    this.clock = clock
    this.random = random
    this.port = port
    this.store = store
    this.storeHost = encodeHost(settings.brokerIP1, settings.listenPort)
    this.delayLevelsMs = parseDelayLevels(settings.messageDelayLevel)
    this.uniqueIds = new UniqueIds(this.storeHost.subarray(0, 4), parts.processId)
    this.startedAtMs = clock.wallMs()
    this.diskFull = parts.diskFull
    this.damagedEntries = parts.damagedEntries
    this.retention = new Retention({
      settings,
      store,
      clock,
      segments: parts.segments,
      usedRatios: () => parts.usedRatios(),
      log: (line) => report.log('info', line),
    })
    this.#limiter = new LogLimiter(clock, (line) => report.log('warn', line))
    this.changes = new StateChanges({
      port,
      clock,
      storeHost: this.storeHost,
      check: (record) => store.state.check(record),
      applyHere: isPlain(settings) ? (record) => store.applyHere(record) : undefined,
      dispatchedPosition: () => store.dispatchedPosition,
    })
    this.topics = new Topics({
      table: store.state.topics,
      changes: this.changes,
      port,
      settings,
      maxOffset: (topic, queueId) => store.queues.maxOffset(topic, queueId),
      onChanged: (topic) => {
        this.topicsChanged = true
        this.held.wakeTopic(topic)
      },
    })
    this.subscriptionGroups = new SubscriptionGroups({
      table: store.state.groups,
      changes: this.changes,
      settings,
      role: this.role,
    })
    const answer = this.answer.bind(this)
    this.relayTarget = new RelayTarget({ port, clock })
    this.leaderTransfer = new LeaderTransfer({ port, clock, answer })
    this.offsets = new ConsumerOffsets(store.state, this.changes)
    this.takeOver = new TakeOverRecords({
      records: parts.takeOver ?? [],
      port,
      clock,
      storeHost: this.storeHost,
      state: store.state,
    })
    this.putCounts = new PutCounts(store.queues, this.stats, this.role)
  }

  answer(ticket: Ticket, answer: Answer): void {
    if (ticket.oneWay || !this.connections.has(ticket.connectionId)) return
    const bodyBytes = answer.body?.length ?? 0
    if (bodyBytes <= MAX_ANSWER_BODY_BYTES) {
      writeAnswer(this.port, ticket, answer)
      return
    }
    const remark = `the answer of ${bodyBytes} bytes is larger than a frame`
    writeAnswer(this.port, ticket, { code: SYSTEM_ERROR, remark })
  }

  /** Several changes within one duty make one notification. */
  notifyMembers(group: string): void {
    this.#groupsToNotify.add(group)
  }

  sendNotifications(): void {
    for (const name of this.#groupsToNotify) {
      const group = this.groups.get(name)
      const wanted = this.subscriptionGroups.get(name)?.notifyConsumerIdsChangedEnable ?? true
      if (group === undefined || !wanted || group.messageModel === BROADCASTING) continue
      for (const connectionId of group.members.keys()) {
        const opaque = this.#nextOpaque()
        const code = RequestCode.NOTIFY_CONSUMER_IDS_CHANGED
        this.port.send(connectionId, requestFrame(code, opaque, true, { consumerGroup: name }))
      }
    }
    this.#groupsToNotify.clear()
  }

  callClient(connectionId: number, call: ClientCall, onAnswer: OnClientAnswer): boolean {
    if (!this.connections.has(connectionId)) return false
    const opaque = this.#nextOpaque()
    const deadlineMs = this.clock.monotonicMs() + call.timeoutMs
    if (!this.calls.expect(connectionId, opaque, deadlineMs, onAnswer)) return false
    this.port.send(connectionId, requestFrame(call.code, opaque, false, call.ext, call.body))
    return true
  }

  onClientAnswer(connectionId: number, answer: RemotingCommand): void {
    this.calls.onAnswer(connectionId, answer)
  }

  log(line: string): void {
    this.#limiter.log(line)
  }

  #nextOpaque(): number {
    this.#opaque = (this.#opaque + 1) & 0x7fffffff
    return this.#opaque
  }
}
