/**
 * The core thread's work, turn by turn: sends and peer messages come in as events, and everything
 * they cause is finished once at the end of the loop turn: durability reports, the broker thread's
 * orders, entries to disk and peers, commits and their answers, one write per socket. Invariant:
 * within a turn's end, entries are handed to disk and peers before answers are written.
 */
import { assert } from '@ringledger/base'
import { ClaimRefusal, Role } from '@ringledger/consensus'
import type { Turn } from '@ringledger/network'
import type { BrokerCommands, BrokerLink } from './broker-link.ts'
import type { CoreReplica } from './core-log.ts'
import type { Role as BrokerRole, PublishedTopic } from './core-port-api.ts'
import type { AppendError } from './core-port-frames.ts'
import type { LogOrder } from './log-order.ts'
import type { SendAnswers } from './send-answers.ts'
import type { SendHold } from './send-hold.ts'

/** The clients as a core turn meets them: sockets of this thread, or network workers. */
export interface CoreClients {
  /** Before entries go to disk and peers: orders what waits. */
  drain(): void
  /** After the turn: hands on its answers, and may ask for the next one. */
  flush(): void
  onAnswer(connectionId: number, bytes: Buffer, start: number, end: number): void
  onCloseRequest(connectionId: number): void
  /** Where sends are to be handed on; empty: nowhere. */
  relayTo(address: string): void
}

export interface CoreAgentParts {
  replica: Omit<CoreReplica, 'committedBoundary'>
  link: BrokerLink
  order: LogOrder
  answers: SendAnswers
  clients: CoreClients
  turn: Turn
  hold: SendHold
  /** Hands leadership to a follower by its broker id, -1 for any; see `onTransferEnded`. */
  transfer(brokerId: number): void
  /** Deletes whole segments below `position`, which the broker thread has applied. */
  trim(position: number): void
  /** The log's turn ends: entries go to disk and peers, segments are deleted. */
  endLedgerTurn(): void
  /** Drains the IO worker's reports into the replica. */
  pollStorage(): void
  /** The broker thread met a full ring and waits for room. */
  wakeBroker(): void
}

export class CoreAgent implements BrokerCommands {
  readonly #parts: CoreAgentParts
  #commitAdvanced = false
  #inTurn = false

  constructor(parts: CoreAgentParts) {
    this.#parts = parts
    parts.turn.onEnd(() => this.endTurn())
  }

  /** An event has arrived: its consequences are finished at the end of this turn. */
  touch(): void {
    if (this.#inTurn) return
    this.#inTurn = true
    this.#parts.order.beginTurn()
    this.#parts.turn.schedule()
  }

  endTurn(): void {
    const { replica, link, order, answers, clients } = this.#parts
    order.beginTurn()
    this.#parts.pollStorage()
    this.drainBroker()
    this.#updateHolding()
    clients.drain()
    this.#parts.endLedgerTurn()
    answers.complete(replica.committedPosition)
    this.#updateHolding()
    link.flush(this.#commitAdvanced)
    this.#commitAdvanced = false
    this.#inTurn = false
    clients.flush()
  }

  drainBroker(): void {
    const { link } = this.#parts
    if (link.drain(this) > 0 && link.brokerStarved()) this.#parts.wakeBroker()
  }

  /** No space for new segments: sends are refused with the cause until it returns. */
  setDiskFull(full: boolean): void {
    this.#parts.order.diskFull = full
  }

  onCommit(): void {
    this.#commitAdvanced = true
  }

  onRole(role: Role, term: number, leaderId: string, barrierEnd: number): void {
    const { order, answers, link, hold } = this.#parts
    order.serving = false
    hold.onRole(role, leaderId)
    this.#updateHolding()
    if (role !== Role.leader) answers.failAll('LEADERSHIP_LOST')
    link.role(brokerRole(role), term, leaderId, barrierEnd)
    this.touch()
  }

  onAnswer(connectionId: number, bytes: Buffer, start: number, end: number): void {
    this.#parts.clients.onAnswer(connectionId, bytes, start, end)
  }

  onCloseRequest(connectionId: number): void {
    this.#parts.clients.onCloseRequest(connectionId)
  }

  onAppend(sequence: number, queueSlot: number, bytes: Buffer, start: number, end: number): void {
    const refusal = this.#appendAll(sequence, queueSlot, bytes, start, end)
    if (refusal === undefined) return
    let failed = sequence
    for (let at = start; at < end; at += bytes.readInt32BE(at)) {
      this.#parts.link.appendFailed(failed++, refusal)
    }
  }

  onTransfer(brokerId: number): void {
    this.#parts.transfer(brokerId)
  }

  onRelay(address: string): void {
    const { clients, hold } = this.#parts
    clients.relayTo(address)
    if (address !== '') hold.onRelay()
  }

  onTrim(position: number): void {
    this.#parts.trim(position)
  }

  onTransferEnded(done: boolean, reason: string): void {
    if (done) this.#parts.hold.onHandedOver()
    this.#parts.link.transferEnded(done, reason)
    this.touch()
  }

  onTopic(entry: PublishedTopic): void {
    this.#parts.order.topics.put(entry)
  }

  onRemoveTopic(topic: string): void {
    this.#parts.order.topics.remove(topic)
  }

  onQueueOffset(queueSlot: number, nextOffset: number): void {
    assert(!this.#parts.order.serving, 'queue offsets are set before a leader serves')
    this.#parts.order.topics.setNextOffset(queueSlot, nextOffset)
  }

  onServing(term: number): void {
    const { replica, order, hold } = this.#parts
    if (!replica.leading || replica.term !== term) return
    order.serving = true
    hold.onServing()
  }

  #updateHolding(): void {
    const { order, replica, hold } = this.#parts
    order.holding = hold.holds || replica.handingOver
  }

  #appendAll(
    sequence: number,
    queueSlot: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): AppendError | undefined {
    const { order, replica } = this.#parts
    if (!replica.leading) return 'NOT_LEADER'
    if (queueSlot >= 0 && !order.serving) return 'NOT_SERVING'
    if (order.diskFull) return 'DISK_FULL'
    const ordered = order.appendAll(sequence, queueSlot, bytes, start, end)
    if (ordered >= 0) return undefined
    if (ordered === ClaimRefusal.TOO_LARGE) return 'TOO_LARGE'
    return ordered === ClaimRefusal.HANDING_OVER ? 'NOT_SERVING' : 'BUSY'
  }
}

function brokerRole(role: Role): BrokerRole {
  if (role === Role.leader) return 'leader'
  return role === Role.follower ? 'follower' : 'candidate'
}
