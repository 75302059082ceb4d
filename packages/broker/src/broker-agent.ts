/**
 * The broker thread's duty cycle: requests from core, dispatch of the committed log, held pulls,
 * timers. Owns the order of a duty (apply first, then answer what the applying made true) and the
 * node's role as handlers see it: `serving` only after everything up to the leader's own first
 * entry has been applied here.
 */
import { LedgerError } from '@ringledger/base'
import {
  decodeCommand,
  isOneway,
  isResponse,
  type RemotingCommand,
  ResponseCode,
  SystemTopic,
} from '@ringledger/protocol'
import { AgentContext, type AgentParts } from './agent-context.ts'
import type { CoreEvents, Role } from './core-port-api.ts'
import { failureAnswer } from './handlers/failures.ts'
import { handlerOf } from './handlers/registry.ts'
import { Housekeeping } from './housekeeping.ts'
import type { BrokerReport } from './report.ts'
import type { Answer, BrokerRequest } from './request.ts'
import { DelaySchedule } from './schedule.ts'
import { isPlain } from './settings.ts'
import { SnapshotWriter } from './snapshot-writer.ts'
import type { StateRecord } from './state/records.ts'
import type { QueueView } from './store-view.ts'
import { systemTopics } from './system-topics.ts'

/** Entries applied in one duty before requests are looked at again. */
const DISPATCHED_PER_DUTY = 1_024
/** When nothing was to be done for so long, the store may take its time for what it writes. */
const QUIET_MS = 10
/** The store's write-back looks at the clock by itself, so it must be asked now and then. */
const MAX_WAIT_MS = 500

export class BrokerAgent {
  readonly context: AgentContext
  readonly #report: BrokerReport
  #servingUnreported = false
  readonly #schedule: DelaySchedule
  readonly #housekeeping: Housekeeping
  /** Of a Raft log. */
  readonly #snapshots: SnapshotWriter | undefined
  readonly #events: CoreEvents
  #busyAtMs = Number.NEGATIVE_INFINITY
  #unwritten = false

  constructor(parts: AgentParts) {
    this.context = new AgentContext(parts)
    this.#report = parts.report
    this.#schedule = new DelaySchedule(this.context)
    this.#housekeeping = new Housekeeping(this.context, () => this.#createSystemTopics())
    this.#snapshots = this.#makeSnapshots(parts)
    this.#events = {
      onRequest: (connectionId, frame, start, end) =>
        this.#onFrame(connectionId, frame.subarray(start, end)),
      onConnected: (id, remoteAddress, remoteHost) =>
        this.context.connections.add({ id, remoteAddress, remoteHost }),
      onClosed: (id) => this.#housekeeping.dropConnection(id),
      onRole: (role, term, leaderId, barrierEnd) => this.#onRole(role, term, leaderId, barrierEnd),
      onTransferEnded: (done, reason) => {
        if (done) this.context.relayTarget.onHandedOver()
        this.context.leaderTransfer.onEnded(done, reason)
      },
    }
  }

  #makeSnapshots({ store, clock, settings }: AgentParts): SnapshotWriter | undefined {
    if (isPlain(settings)) return undefined
    const { changes, role } = this.context
    const segmentBytes = settings.mappedFileSizeCommitLog
    return new SnapshotWriter({ store, changes, role, clock, segmentBytes })
  }

  /** One round of everything there is to do, in bounded pieces; true: the next is due at once. */
  duty(): boolean {
    const { context } = this
    const { store, port } = context
    const applied = store.duty(DISPATCHED_PER_DUTY)
    const polled = port.poll(this.#events)
    const settled = context.changes.settle()
    this.#serveWhenCaughtUp()
    this.#reportServing()
    const nowMs = context.clock.monotonicMs()
    const resumed = context.held.runReady(nowMs) > 0
    context.calls.expire(nowMs)
    context.leaderTransfer.expire(nowMs)
    context.relayTarget.expire()
    const wrote = context.role.serving && this.#writeDue(nowMs)
    const cleaned = this.#snapshots?.duty(nowMs) === true || context.retention.duty(nowMs)
    this.#housekeeping.duty(nowMs)
    context.sendNotifications()
    if (context.topicsChanged) {
      context.topicsChanged = false
      this.#report.topicsChanged()
    }
    const busy = polled || applied || settled || resumed || wrote || cleaned
    if (busy) this.#busyAtMs = nowMs
    const isQuiet = nowMs - this.#busyAtMs >= QUIET_MS
    this.#unwritten = store.tick(context.clock.wallMs(), isQuiet)
    port.flush()
    return busy || (this.#unwritten && isQuiet)
  }

  /** The store has more to write, and can wait a little with it: others need the processor. */
  get unwritten(): boolean {
    return this.#unwritten
  }

  /** Connections are about to close: from the next duty on nobody is left waiting for an answer. */
  stopHolding(): void {
    this.context.held.stop()
  }

  /**
   * Nobody waits for what commits next: what applies it may come a little later, in one go. Whoever
   * asks meanwhile is answered after that.
   */
  get mayNap(): boolean {
    const { held, changes, role } = this.context
    const isComing = role.role === 'leader' && !role.serving
    return held.size === 0 && changes.size === 0 && !isComing
  }

  /** How long the thread may sleep when nothing arrives. */
  waitMs(): number {
    const { context } = this
    if (context.changes.ready) return 0
    const nowMs = context.clock.monotonicMs()
    let waitMs = Math.min(
      MAX_WAIT_MS,
      context.held.nextDeadlineMs - nowMs,
      context.calls.nextDeadlineMs - nowMs,
      this.#housekeeping.nextMs - nowMs,
      context.retention.nextMs - nowMs,
    )
    if (context.role.serving) {
      const dueInMs = this.#schedule.nextDueMs() - context.clock.wallMs()
      waitMs = Math.min(waitMs, context.offsets.nextFlushMs - nowMs, dueInMs)
    }
    return Math.max(0, waitMs)
  }

  /** From the store's dispatch. */
  onMessage(queue: QueueView, queueOffset: number, tagsCode: number): void {
    this.context.held.onMessage(queue, queueOffset, tagsCode)
  }

  /** From the store's dispatch, after the state has it. */
  onRecord(record: StateRecord): void {
    const { context } = this
    context.topics.onRecord(record)
    context.offsets.onRecord(record)
    if (record.kind === 'barrier') {
      context.relayTarget.onBarrier(record.term, record.address ?? '')
    }
    if (record.kind === 'resetOffset') context.held.wakeTopic(record.topic)
  }

  /** From the store: queues or tables are others now. */
  onReplaced(): void {
    const { context } = this
    context.topics.onReplaced()
    context.held.wakeAll()
  }

  #writeDue(nowMs: number): boolean {
    const flushed = this.context.offsets.flush(nowMs)
    return this.#schedule.duty() || flushed
  }

  #onFrame(connectionId: number, frame: Buffer): void {
    let command: RemotingCommand
    try {
      command = decodeCommand(frame)
    } catch (error) {
      // Without a header there is no opaque to answer to; Apache closes the connection, too.
      const reason = error instanceof LedgerError ? error.message : String(error)
      const address = this.context.connections.addressOf(connectionId)
      this.context.log(`${address}: ${reason}; the connection is closed`)
      this.context.port.close(connectionId)
      return
    }
    if (isResponse(command)) {
      this.context.onClientAnswer(connectionId, command)
      return
    }
    const request: BrokerRequest = {
      ticket: {
        connectionId,
        opaque: command.opaque,
        oneWay: isOneway(command),
        code: command.code,
      },
      code: command.code,
      version: command.version,
      language: command.language,
      ext: command.ext,
      body: command.body,
    }
    const answer = this.#handle(request)
    if (answer !== undefined) this.context.answer(request.ticket, answer)
  }

  #handle(request: BrokerRequest): Answer | undefined {
    const handler = handlerOf(request.code)
    if (handler === undefined) {
      return {
        code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        remark: ` request type ${request.code} not supported`,
      }
    }
    try {
      return handler(request, this.context)
    } catch (error) {
      return failureAnswer(this.context, error)
    }
  }

  #onRole(role: Role, term: number, leaderId: string, barrierEnd: number): void {
    const state = this.context.role
    const continues = role === 'leader' && state.role === 'leader' && term === state.term
    if (!continues) this.#stepDown()
    state.role = role
    state.term = term
    state.leaderId = leaderId
    state.barrierEnd = barrierEnd
    this.context.relayTarget.onRole(role, term, leaderId)
    if (role === 'follower') this.context.leaderTransfer.onFollows(leaderId, term)
  }

  #stepDown(): void {
    const { context } = this
    context.role.serving = false
    this.#schedule.stop()
    context.offsets.stepDown()
    context.locks.clear()
  }

  #serveWhenCaughtUp(): void {
    const { context } = this
    const { role, store } = context
    if (role.role !== 'leader' || role.serving) return
    if (store.dispatchedPosition < role.barrierEnd) return
    if (!context.takeOver.settled(role.term)) return
    context.port.serving(role.term, context.topics.nextOffsets())
    role.serving = true
    this.#schedule.start()
    this.#createSystemTopics()
    this.#servingUnreported = true
  }

  /** A group that has just been born tells nobody before it can make topics on demand. */
  #reportServing(): void {
    const { topics, settings, role } = this.context
    if (!this.#servingUnreported || !role.serving) return
    const waitsForTemplate = settings.autoCreateTopicEnable
    if (waitsForTemplate && topics.get(SystemTopic.AUTO_CREATE_TOPIC_KEY) === undefined) return
    this.#servingUnreported = false
    this.#report.serving(role.term)
  }

  /** Also run now and then, for what could not be written at once. */
  #createSystemTopics(): void {
    const { context } = this
    if (!context.role.serving) return
    for (const config of systemTopics(context.settings, context.delayLevelsMs.length)) {
      const known = context.topics.get(config.topicName)
      if (known !== undefined && known.readQueueNums >= config.readQueueNums) continue
      if (known !== undefined && config.topicName !== SystemTopic.SCHEDULE) continue
      context.topics.create(config, (failure) => {
        if (failure === undefined) return
        context.log(`the topic ${config.topicName} was not made yet: ${failure.message}`)
      })
    }
  }
}
