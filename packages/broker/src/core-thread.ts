/**
 * Builds the core thread of `threads=folded`: client listener, the log's core and the fast path of
 * sends in one event loop. Everything that runs per message is in core-agent, send-front and
 * replica; this file only connects them.
 */
import { systemClock } from '@ringledger/base'
import { LedgerCore, type LedgerCoreHooks } from '@ringledger/engine'
import { type Connection, RemotingListener, Turn } from '@ringledger/network'
import {
  encodeHost,
  formatProperties,
  patchMessage,
  sendExtConstants,
  UniqueIds,
} from '@ringledger/protocol'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { CoreAgent } from './core-agent.ts'
import { CoreLink } from './core-link.ts'
import { ledgerSettingsOf } from './ledger-settings.ts'
import type { NodeSettings } from './node-settings.ts'
import { PendingSends } from './pending-sends.ts'
import { SendAnswers } from './send-answers.ts'
import { SendFront } from './send-front.ts'
import { encodeStateMessage } from './state/records.ts'
import { TopicTable } from './topic-table.ts'
import type { CoreNote, CoreWorkerData } from './wiring.ts'

/** Sends that wait for their commit. */
const MAX_PENDING_SENDS = 32_768

export class CoreThread {
  readonly #settings: NodeSettings
  readonly #note: (note: CoreNote) => void
  readonly #turn = new Turn()
  readonly #ledger: LedgerCore
  readonly #listener: RemotingListener
  readonly #agent: CoreAgent
  readonly #bell: { close(): void }

  constructor(data: CoreWorkerData, note: (note: CoreNote) => void) {
    const { settings, shared, recovered } = data
    this.#settings = settings
    this.#note = note
    this.#ledger = new LedgerCore(
      ledgerSettingsOf(settings),
      shared,
      recovered,
      this.#turn,
      this.#makeHooks(),
    )
    const brokerBell = new Doorbell(shared.brokerBell)
    const link = new CoreLink({
      fromBroker: new SpscRing(shared.brokerToCore),
      toBroker: new SpscRing(shared.coreToBroker),
      brokerBell,
    })
    this.#agent = this.#makeAgent(link, brokerBell)
    this.#listener = new RemotingListener(this.#agent, {
      host: settings.bindAddress,
      port: settings.listenPort,
      turn: this.#turn,
      log: (level, line) => this.#log(level, line),
    })
    this.#bell = new Doorbell(shared.coreBell).listen(() => this.#agent.touch())
  }

  /** Opens the ports and joins the group. Throws PORT_BUSY with the port and the way out. */
  async start(): Promise<void> {
    await this.#ledger.start()
    await this.#listener.listen()
    this.#note({
      kind: 'listening',
      port: this.#listener.port,
      peerPort: this.#ledger.peerPort,
    })
  }

  /** Hands leadership over, if this node leads. */
  transfer(): void {
    this.#ledger.transfer()
  }

  async close(): Promise<void> {
    await this.#listener.close()
    await this.#ledger.close()
    this.#bell.close()
    this.#note({ kind: 'closed' })
  }

  #makeHooks(): LedgerCoreHooks {
    const settings = this.#settings
    const storeHost = encodeHost(settings.brokerIP1, settings.listenPort)
    const nodeId = settings.dLegerSelfId
    return {
      touch: () => this.#agent.touch(),
      barrier: (term) =>
        encodeStateMessage({ kind: 'barrier', term, nodeId }, storeHost, systemClock.wallMs()),
      patchBarrier: (view, offset, physicalOffset) => {
        patchMessage(view, offset, 0, physicalOffset, systemClock.wallMs())
      },
      onRole: (role, term, leaderId, barrierEnd, reason) => {
        this.#agent.onRole(role, term, leaderId, barrierEnd)
        this.#note({ kind: 'role', role, term, leaderId, reason })
      },
      onCommit: () => this.#agent.onCommit(),
      onHalted: (reason) => this.#note({ kind: 'halted', reason }),
      onDiskFull: (full) => this.#agent.setDiskFull(full),
      onTransferred: (done, reason) => this.#note({ kind: 'transferred', done, reason }),
      log: (level, line) => this.#log(level, line),
    }
  }

  #makeAgent(link: CoreLink, brokerBell: Doorbell): CoreAgent {
    const connections = new Map<number, Connection>()
    const pending = new PendingSends(MAX_PENDING_SENDS)
    const topics = new TopicTable()
    const { arena, replica } = this.#ledger
    const { regionId, traceOn, brokerIP1, listenPort } = this.#settings
    const storeHost = encodeHost(brokerIP1, listenPort)
    const ext = sendExtConstants(regionId, traceOn)
    const answers = new SendAnswers({ pending, arena, link, connections, ext, storeHost })
    const front = new SendFront({
      log: replica,
      topics,
      pending,
      answers,
      clock: systemClock,
      uniqueIds: new UniqueIds(storeHost.subarray(0, 4), process.pid),
      storeHost,
      maxMessageSize: this.#settings.maxMessageSize,
      brokerPermission: this.#settings.brokerPermission,
      brokerProperties: brokerProperties(this.#settings),
    })
    return new CoreAgent({
      replica,
      link,
      front,
      answers,
      topics,
      connections,
      turn: this.#turn,
      pollStorage: () => this.#ledger.pollStorage(),
      wakeBroker: () => brokerBell.ring(),
      log: (level, line) => this.#log(level, line),
    })
  }

  #log(level: 'info' | 'warn' | 'error', line: string): void {
    this.#note({ kind: 'log', level, line })
  }
}

/** What the broker adds to every message it stores (rocketmq-remoting.md §3.2). */
function brokerProperties(settings: NodeSettings): Buffer {
  const properties = new Map([
    ['MSG_REGION', settings.regionId],
    ['TRACE_ON', String(settings.traceOn)],
    ['CLUSTER', settings.brokerClusterName],
  ])
  return Buffer.from(formatProperties(properties))
}
