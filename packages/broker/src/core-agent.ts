/**
 * The core thread's work, turn by turn: client frames and peer messages come in as events, and
 * everything they cause is finished once at the end of the loop turn: durability reports, the
 * broker thread's orders, entries to disk and peers, commits and their answers, one write per
 * socket. Invariant: within a turn's end, entries are handed to disk and peers before answers are
 * written.
 */
import { assert } from '@ringledger/base'
import { ClaimRefusal, type Replica, Role } from '@ringledger/consensus'
import type { Connection, Turn } from '@ringledger/network'
import { decodeCommand, encodeCommand, isOneway, ResponseCode } from '@ringledger/protocol'
import type { BrokerCommands, CoreLink } from './core-link.ts'
import type { Role as BrokerRole, PublishedTopic } from './core-port-api.ts'
import { type AppendError, MAX_REQUEST_BYTES } from './core-port-frames.ts'
import type { SendAnswers } from './send-answers.ts'
import { type SendFront, Taken } from './send-front.ts'
import type { TopicTable } from './topic-table.ts'

export interface CoreAgentParts {
  replica: Replica
  link: CoreLink
  front: SendFront
  answers: SendAnswers
  topics: TopicTable
  connections: Map<number, Connection>
  turn: Turn
  /** Drains the IO worker's reports into the replica. */
  pollStorage(): void
  /** The broker thread met a full ring and waits for room. */
  wakeBroker(): void
  log(level: 'info' | 'warn' | 'error', line: string): void
}

export class CoreAgent implements BrokerCommands {
  readonly #parts: CoreAgentParts
  /** Connections that the full ring to the broker thread has paused. */
  readonly #paused = new Set<Connection>()
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
    this.#parts.front.beginTurn()
    this.#parts.turn.schedule()
  }

  onOpen(connection: Connection): void {
    this.#parts.connections.set(connection.id, connection)
    this.#parts.link.connected(connection.id, connection.remoteAddress, connection.remoteHost)
    this.touch()
  }

  onClose(connection: Connection): void {
    this.#parts.connections.delete(connection.id)
    this.#paused.delete(connection)
    this.#parts.link.closed(connection.id)
    this.touch()
  }

  /** One client frame; false keeps it until the broker thread has room. */
  onFrame(connection: Connection, frame: Buffer, start: number, end: number): boolean {
    this.touch()
    if (this.#parts.front.take(connection, frame, start, end) === Taken.DONE) return true
    if (end - start > MAX_REQUEST_BYTES) {
      this.#refuseLarge(connection, frame, start, end)
      return true
    }
    if (this.#parts.link.request(connection.id, frame, start, end)) return true
    this.#paused.add(connection)
    return false
  }

  endTurn(): void {
    const { replica, link, front, answers } = this.#parts
    front.beginTurn()
    this.#parts.pollStorage()
    if (link.drain(this) > 0 && link.brokerStarved()) this.#parts.wakeBroker()
    replica.endTurn()
    answers.complete(replica.committedPosition)
    link.flush(this.#commitAdvanced)
    this.#commitAdvanced = false
    this.#inTurn = false
    if (this.#paused.size > 0) this.#resumePaused()
  }

  /** No space for new segments: sends are refused with the cause until it returns. */
  setDiskFull(full: boolean): void {
    this.#parts.front.setDiskFull(full)
  }

  onCommit(): void {
    this.#commitAdvanced = true
  }

  onRole(role: Role, term: number, leaderId: string, barrierEnd: number): void {
    const { front, answers, link } = this.#parts
    front.setServing(false)
    if (role !== Role.leader) answers.failAll('LEADERSHIP_LOST')
    link.role(brokerRole(role), term, leaderId, barrierEnd)
    this.touch()
  }

  onAnswer(connectionId: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#parts.connections.get(connectionId)
    if (connection === undefined) return
    const { outbox } = connection
    const at = outbox.claim(end - start)
    bytes.copy(outbox.bytes, at, start, end)
    outbox.commit(end - start)
  }

  onAppend(sequence: number, queueSlot: number, bytes: Buffer, start: number, end: number): void {
    const refusal = this.#orderEncoded(sequence, queueSlot, bytes, start, end)
    if (refusal === undefined) return
    let failed = sequence
    for (let at = start; at < end; at += bytes.readInt32BE(at)) {
      this.#parts.link.appendFailed(failed++, refusal)
    }
  }

  #orderEncoded(
    sequence: number,
    queueSlot: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): AppendError | undefined {
    const { front, replica } = this.#parts
    if (!replica.leading) return 'NOT_LEADER'
    if (queueSlot >= 0 && !front.serving) return 'NOT_SERVING'
    if (front.diskFull) return 'DISK_FULL'
    const ordered = front.orderEncoded(sequence, queueSlot, bytes, start, end)
    if (ordered >= 0) return undefined
    if (ordered === ClaimRefusal.TOO_LARGE) return 'TOO_LARGE'
    return ordered === ClaimRefusal.HANDING_OVER ? 'NOT_SERVING' : 'BUSY'
  }

  onTopic(entry: PublishedTopic): void {
    this.#parts.topics.put(entry)
  }

  onRemoveTopic(topic: string): void {
    this.#parts.topics.remove(topic)
  }

  onQueueOffset(queueSlot: number, nextOffset: number): void {
    assert(!this.#parts.front.serving, 'queue offsets are set before a leader serves')
    this.#parts.topics.setNextOffset(queueSlot, nextOffset)
  }

  onServing(term: number): void {
    const { replica, front } = this.#parts
    if (replica.leading && replica.term === term) front.setServing(true)
  }

  onCloseRequest(connectionId: number): void {
    this.#parts.connections.get(connectionId)?.close('closed by the broker')
  }

  #resumePaused(): void {
    const waiting = [...this.#paused]
    this.#paused.clear()
    for (const connection of waiting) connection.resume()
  }

  #refuseLarge(connection: Connection, frame: Buffer, start: number, end: number): void {
    const opaque = opaqueOf(frame, start, end)
    const remark = `a request of ${end - start} bytes is over the limit of ${MAX_REQUEST_BYTES}`
    this.#parts.log('warn', `${connection.remoteAddress}: ${remark}`)
    if (opaque === undefined) {
      connection.close(remark)
      return
    }
    connection.outbox.write(
      encodeCommand({ code: ResponseCode.MESSAGE_ILLEGAL, opaque, flag: 1, remark }),
    )
  }
}

/** Undefined for a frame that cannot be decoded or wants no answer. */
function opaqueOf(frame: Buffer, start: number, end: number): number | undefined {
  try {
    const command = decodeCommand(frame.subarray(start, end))
    return isOneway(command) ? undefined : command.opaque
  } catch {
    return undefined
  }
}

function brokerRole(role: Role): BrokerRole {
  if (role === Role.leader) return 'leader'
  return role === Role.follower ? 'follower' : 'candidate'
}
