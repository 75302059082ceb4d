/**
 * A network worker's work, turn by turn: client frames come in as events; at the end of the loop
 * turn what they ask goes to the core and broker threads, and what those answered goes out with one
 * write per socket.
 */
import { assert } from '@ringledger/base'
import type { Turn } from '@ringledger/network'
import type { BrokerCommands, BrokerLink } from './broker-link.ts'
import type { ClientGate } from './client-gate.ts'
import type { PublishedTopic } from './core-port-api.ts'
import type { RingSubmit } from './ring-submit.ts'
import type { TopicTable } from './topic-table.ts'

export interface NetworkAgentParts {
  link: BrokerLink
  submit: RingSubmit
  gate: ClientGate
  topics: TopicTable
  turn: Turn
  /** The broker thread met a full ring and waits for room. */
  wakeBroker(): void
}

export class NetworkAgent implements BrokerCommands {
  readonly #parts: NetworkAgentParts
  #inTurn = false

  constructor(parts: NetworkAgentParts) {
    this.#parts = parts
    parts.turn.onEnd(() => this.endTurn())
  }

  /** An event has arrived: its consequences are finished at the end of this turn. */
  touch(): void {
    if (this.#inTurn) return
    this.#inTurn = true
    this.#parts.submit.beginTurn()
    this.#parts.turn.schedule()
  }

  endTurn(): void {
    const { link, submit, gate } = this.#parts
    submit.flush()
    link.flush(false)
    submit.drain()
    if (link.drain(this) > 0 && link.brokerStarved()) this.#parts.wakeBroker()
    this.#inTurn = false
    gate.flush()
  }

  onAnswer(connectionId: number, bytes: Buffer, start: number, end: number): void {
    this.#parts.gate.onAnswer(connectionId, bytes, start, end)
  }

  onCloseRequest(connectionId: number): void {
    this.#parts.gate.onCloseRequest(connectionId)
  }

  onTopic(entry: PublishedTopic): void {
    this.#parts.topics.put(entry)
  }

  onRemoveTopic(topic: string): void {
    this.#parts.topics.remove(topic)
  }

  onAppend(): void {
    assert(false, 'the broker thread appends through the core thread')
  }

  onQueueOffset(): void {
    assert(false, 'queue offsets are known to the core thread alone')
  }

  onRelay(address: string): void {
    this.#parts.gate.relayTo(address)
  }

  onTransfer(): void {
    assert(false, "leadership is the core thread's")
  }

  onTrim(): void {
    assert(false, "the log's files are the core thread's")
  }

  onServing(): void {
    assert(false, 'the core thread alone decides whether this node takes writes')
  }
}
