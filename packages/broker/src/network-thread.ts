/**
 * Builds one network worker of `threads=separate`: clients' sockets on the port that all workers
 * share, the reading of plain sends, and the rings to the core and broker threads. This file only
 * connects them.
 */
import { systemClock } from '@ringledger/base'
import { type Connection, RemotingListener, Turn } from '@ringledger/network'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { BrokerLink } from './broker-link.ts'
import { ClientGate } from './client-gate.ts'
import { makeSendFront, makeSendResponder } from './make-send-front.ts'
import { NetworkAgent } from './network-agent.ts'
import { RingSubmit } from './ring-submit.ts'
import { SendRelay } from './send-relay.ts'
import { MAX_TOKENS } from './submit-frames.ts'
import { TopicTable } from './topic-table.ts'
import type { NetworkWorkerData } from './wiring.ts'
import { type FrontShared, MAX_PENDING_SENDS, type NetworkNote } from './wiring.ts'

/** Of all network workers together, as if it were one listener. */
const LARGE_FRAME_BYTES = 128 * 1024 * 1024
const UNREAD_ANSWER_BYTES = 128 * 1024 * 1024
/** A worker can always take a few of the largest frames. */
const MIN_SHARE_BYTES = 32 * 1024 * 1024

export class NetworkThread {
  readonly #data: NetworkWorkerData
  readonly #note: (note: NetworkNote) => void
  readonly #turn = new Turn()
  readonly #listener: RemotingListener
  readonly #agent: NetworkAgent
  readonly #gate: ClientGate
  readonly #bell: { close(): void }

  constructor(data: NetworkWorkerData, note: (note: NetworkNote) => void) {
    this.#data = data
    this.#note = note
    const own = data.shared.fronts[data.number] as FrontShared
    const { agent, gate } = this.#makeAgent(own)
    this.#gate = gate
    this.#agent = agent
    this.#listener = this.#makeListener(gate)
    this.#bell = new Doorbell(own.bell).listen(() => agent.touch())
  }

  /** Opens the port. Throws PORT_BUSY with the port and the way out. */
  async start(): Promise<void> {
    await this.#listener.listen()
    this.#note({ kind: 'listening', port: this.#listener.port })
  }

  /**
   * Closes the port and all connections. The rings are still drained afterwards, so that the broker
   * thread never waits for room in them.
   */
  async close(): Promise<void> {
    this.#agent.endTurn()
    await this.#gate.endRelay()
    await this.#listener.close()
    this.#agent.touch()
    this.#note({ kind: 'drained' })
  }

  /** When the broker thread has ended. */
  end(): void {
    this.#bell.close()
  }

  #makeListener(gate: ClientGate): RemotingListener {
    const { settings, shared, number, port } = this.#data
    const workers = shared.fronts.length
    return new RemotingListener(gate, {
      host: settings.bindAddress,
      port,
      reusePort: workers > 1,
      turn: this.#turn,
      connectionIds: { first: workers + number, step: workers },
      maxLargeFrameBytes: Math.max(MIN_SHARE_BYTES, LARGE_FRAME_BYTES / workers),
      backlogMaxBytes: Math.max(MIN_SHARE_BYTES, UNREAD_ANSWER_BYTES / workers),
      log: (level, line) => this.#log(level, line),
    })
  }

  #makeAgent(own: FrontShared): { agent: NetworkAgent; gate: ClientGate } {
    const { settings, shared } = this.#data
    const connections = new Map<number, Connection>()
    const topics = new TopicTable()
    const brokerBell = new Doorbell(shared.brokerBell)
    const responder = makeSendResponder(settings)
    const link = new BrokerLink({
      fromBroker: new SpscRing(own.fromBroker),
      toBroker: new SpscRing(own.toBroker),
      brokerBell,
    })
    const submit = new RingSubmit({
      submissions: new SpscRing(own.submissions),
      completions: new SpscRing(own.completions),
      coreBell: new Doorbell(shared.coreBell),
      state: new Int32Array(shared.coreState, 0, 1),
      tokens: Math.min(MAX_TOKENS, Math.floor(MAX_PENDING_SENDS / shared.fronts.length)),
      responder,
      connections,
      clock: systemClock,
    })
    const gate = new ClientGate({
      link,
      relay: new SendRelay({ connections, log: (level, line) => this.#log(level, line) }),
      front: makeSendFront(settings, { port: submit, topics, responder }),
      port: submit,
      connections,
      touch: () => this.#agent.touch(),
      log: (level, line) => this.#log(level, line),
    })
    const agent = new NetworkAgent({
      link,
      submit,
      gate,
      topics,
      turn: this.#turn,
      wakeBroker: () => brokerBell.ring(),
    })
    return { agent, gate }
  }

  #log(level: 'info' | 'warn' | 'error', line: string): void {
    this.#note({ kind: 'log', level, line })
  }
}
