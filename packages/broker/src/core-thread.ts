/**
 * Builds the core thread: the log's core, and who brings it sends. Under `threads=folded` that is
 * the clients' sockets in the same event loop, under `threads=separate` the network workers' rings.
 * Everything that runs per message is in other files; this one only connects them.
 */
import { systemClock } from '@ringledger/base'
import { LedgerCore, type LedgerCoreHooks } from '@ringledger/engine'
import { type Connection, RemotingListener, Turn } from '@ringledger/network'
import { ENTRY_HEADER_BYTES, encodeHost, patchMessage } from '@ringledger/protocol'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { BrokerLink } from './broker-link.ts'
import { ClientGate } from './client-gate.ts'
import { CoreAgent, type CoreClients } from './core-agent.ts'
import type { CoreLog } from './core-log.ts'
import { FrontLink } from './front-link.ts'
import { ledgerSettingsOf } from './ledger-settings.ts'
import { LocalSubmit } from './local-submit.ts'
import { LogOrder } from './log-order.ts'
import { makeSendFront, makeSendResponder } from './make-send-front.ts'
import { followerBrokerId, type NodeSettings } from './node-settings.ts'
import type { OldLogExchange } from './old-log/exchange.ts'
import { PendingSends } from './pending-sends.ts'
import { PlainCore } from './plain/plain-core.ts'
import { RemoteFronts } from './remote-fronts.ts'
import { SendAnswers, type SendOwner } from './send-answers.ts'
import { SendHold } from './send-hold.ts'
import { SendRelay } from './send-relay.ts'
import { isPlain } from './settings.ts'
import { encodeStateMessage } from './state/records.ts'
import { LOG_RESETTING } from './store/log-start.ts'
import { TopicTable } from './topic-table.ts'
import {
  type CoreNote,
  type CoreWorkerData,
  DAMAGED_WORD_AT,
  DISK_FULL_WORD_AT,
  LOG_START_WORD_AT,
  MAX_PENDING_SENDS,
  type SharedParts,
} from './wiring.ts'

interface Clients {
  readonly clients: CoreClients
  readonly owner: SendOwner
}

export class CoreThread {
  readonly #settings: NodeSettings
  readonly #note: (note: CoreNote) => void
  readonly #turn = new Turn()
  readonly #ledger: CoreLog
  /** Only where this thread has the clients. */
  #listener: RemotingListener | undefined
  #gate: ClientGate | undefined
  readonly #agent: CoreAgent
  readonly #bell: { close(): void }
  readonly #diskFullWord: Int32Array
  readonly #damagedWord: Int32Array
  readonly #logStartWord: BigInt64Array
  /** Answers members that are at their first start; made when the first one asks. */
  #oldLogs: Promise<OldLogExchange> | undefined
  #diskFailed = false

  constructor(data: CoreWorkerData, note: (note: CoreNote) => void) {
    const { settings, shared, recovered } = data
    this.#settings = settings
    this.#diskFullWord = new Int32Array(shared.coreState, DISK_FULL_WORD_AT, 1)
    this.#damagedWord = new Int32Array(shared.coreState, DAMAGED_WORD_AT, 1)
    this.#logStartWord = new BigInt64Array(shared.coreState, LOG_START_WORD_AT, 1)
    this.#note = note
    this.#ledger = this.#makeLog(shared, recovered)
    this.#agent = this.#makeAgent(shared)
    this.#bell = new Doorbell(shared.coreBell).listen(() => this.#agent.touch())
  }

  /** Opens the ports and joins the group. Throws PORT_BUSY with the port and the way out. */
  async start(): Promise<void> {
    await this.#ledger.start()
    await this.#listener?.listen()
    this.#note({ kind: 'joined', peerPort: this.#ledger.peerPort, port: this.#listener?.port })
  }

  /** Hands leadership over, if this node leads. */
  transfer(): void {
    this.#ledger.transfer()
  }

  #transferTo(brokerId: number): void {
    const target = this.#settings.peers.find(({ id }) => followerBrokerId(id) === brokerId)
    if (target !== undefined || brokerId < 0) this.#ledger.transfer(target?.id)
    else this.#agent.onTransferEnded(false, `no member of the group has the broker id ${brokerId}`)
  }

  /** Asked for again with the next segment if the boundary is not there yet. */
  #trim(position: number): void {
    const boundary = this.#ledger.replica.committedBoundary
    if (position <= boundary.position) this.#ledger.trim(position, { ...boundary })
  }

  async close(): Promise<void> {
    this.#agent.endTurn()
    await this.#gate?.endRelay()
    await this.#listener?.close()
    await this.#ledger.close()
    this.#bell.close()
    this.#note({ kind: 'closed' })
  }

  #makeLog(shared: SharedParts, recovered: CoreWorkerData['recovered']): CoreLog {
    const settings = this.#settings
    const ledger = ledgerSettingsOf(settings)
    const { syncBeforeAck, segmentBytes } = ledger
    const hooks = this.#makeHooks()
    if ('tail' in recovered) {
      return new LedgerCore(ledger, shared, recovered, this.#turn, hooks)
    }
    return new PlainCore({
      selfId: settings.dLegerSelfId,
      fileBytes: segmentBytes,
      syncBeforeAck,
      arena: shared.arena,
      io: shared.plainIo,
      endPosition: recovered.endPosition,
      hooks,
    })
  }

  #makeHooks(): LedgerCoreHooks {
    const settings = this.#settings
    const storeHost = encodeHost(settings.brokerIP1, settings.listenPort)
    const nodeId = settings.dLegerSelfId
    const address = `${settings.brokerIP1}:${settings.listenPort}`
    return {
      touch: () => this.#agent.touch(),
      barrier: (term) => {
        const record = { kind: 'barrier', term, nodeId, address } as const
        return encodeStateMessage(record, storeHost, systemClock.wallMs())
      },
      patchBarrier: (view, offset, physicalOffset) => {
        patchMessage(view, offset, 0, physicalOffset, systemClock.wallMs())
      },
      onRole: (role, term, leaderId, barrierEnd, reason) => {
        this.#agent.onRole(role, term, leaderId, barrierEnd)
        this.#note({ kind: 'role', role, term, leaderId, reason })
      },
      onCommit: () => this.#agent.onCommit(),
      onForeign: (from, message, payload, start, end) => {
        // The bytes are valid during this call only.
        const kept = Buffer.from(payload.subarray(start, end))
        this.#oldLogs ??= this.#openOldLogs()
        void this.#oldLogs.then((exchange) =>
          exchange.onMessage(from, message, kept, 0, kept.length),
        )
      },
      onStorageFailed: () => {
        this.#diskFailed = true
      },
      onHalted: (reason) => this.#onHalted(reason),
      onDiskFull: (full) => {
        this.#agent.setDiskFull(full)
        Atomics.store(this.#diskFullWord, 0, full ? 1 : 0)
        this.#note({ kind: 'diskFull', full })
      },
      onTick: () => this.#tellDamage(),
      onResetBegins: () => Atomics.store(this.#logStartWord, 0, BigInt(LOG_RESETTING)),
      onLogReset: (firstPosition) => {
        Atomics.store(this.#logStartWord, 0, BigInt(firstPosition))
        // Wakes the broker thread.
        this.#agent.onCommit()
        this.#agent.touch()
      },
      onHandedOver: () => this.#agent.onTransferEnded(true, 'handed over'),
      onTransferred: (done, reason) => {
        if (!done) this.#agent.onTransferEnded(false, reason)
        this.#note({ kind: 'transferred', done, reason })
      },
      log: (level, line) => this.#log(level, line),
    }
  }

  /** Loaded late: most groups never need it. */
  async #openOldLogs(): Promise<OldLogExchange> {
    const [{ OldLogExchange }, { OldLogCopy }] = await Promise.all([
      import('./old-log/exchange.ts'),
      import('./old-log/copy.ts'),
    ])
    const copy = new OldLogCopy(this.#settings)
    return new OldLogExchange(this.#settings.dLegerSelfId, copy, (to, message, pieces) =>
      this.#ledger.sendForeign(to, message, pieces),
    )
  }

  #tellDamage(): void {
    const entries = this.#ledger.damagedEntries
    if (Atomics.exchange(this.#damagedWord, 0, entries) === entries) return
    this.#note({ kind: 'damaged', entries })
  }

  /** Told once this turn's last word to the peers is with the kernel: the process ends then. */
  #onHalted(reason: string): void {
    const note = { kind: 'halted', reason, diskFailed: this.#diskFailed } as const
    this.#agent.touch()
    setImmediate(() => this.#note(note))
  }

  #makeAgent(shared: SharedParts): CoreAgent {
    const brokerBell = new Doorbell(shared.brokerBell)
    const link = new BrokerLink({
      fromBroker: new SpscRing(shared.brokerToCore),
      toBroker: new SpscRing(shared.coreToBroker),
      brokerBell,
    })
    const { replica } = this.#ledger
    const pending = new PendingSends(MAX_PENDING_SENDS)
    const order = new LogOrder({
      log: replica,
      headerBytes: isPlain(this.#settings) ? 0 : ENTRY_HEADER_BYTES,
      topics: new TopicTable(),
      pending,
      clock: systemClock,
    })
    const { clients, owner } =
      shared.fronts.length === 0 ? this.#ownClients(order, link) : this.#workers(order, shared)
    return new CoreAgent({
      replica,
      link,
      order,
      answers: new SendAnswers({ pending, link, owner }),
      clients,
      turn: this.#turn,
      hold: new SendHold(systemClock),
      transfer: (brokerId) => this.#transferTo(brokerId),
      trim: (position) => this.#trim(position),
      endLedgerTurn: () => this.#ledger.endTurn(),
      pollStorage: () => this.#ledger.pollStorage(),
      wakeBroker: () => brokerBell.ring(),
    })
  }

  /** Clients' sockets in this thread. */
  #ownClients(order: LogOrder, link: BrokerLink): Clients {
    const settings = this.#settings
    const connections = new Map<number, Connection>()
    const responder = makeSendResponder(settings)
    const { arena } = this.#ledger
    const submit = new LocalSubmit({ order, arena, responder, connections })
    const { topics } = order
    const relay = new SendRelay({ connections, log: (level, line) => this.#log(level, line) })
    const gate = new ClientGate({
      link,
      relay,
      front: makeSendFront(settings, { port: submit, topics, responder }),
      port: submit,
      connections,
      touch: () => this.#agent.touch(),
      log: (level, line) => this.#log(level, line),
    })
    this.#gate = gate
    this.#listener = new RemotingListener(gate, {
      host: settings.bindAddress,
      port: settings.listenPort,
      turn: this.#turn,
      log: (level, line) => this.#log(level, line),
    })
    return { clients: gate, owner: submit }
  }

  #workers(order: LogOrder, shared: SharedParts): Clients {
    const links = shared.fronts.map((front, number) => {
      return new FrontLink({
        number,
        submissions: new SpscRing(front.submissions),
        completions: new SpscRing(front.completions),
        bell: new Doorbell(front.bell),
      })
    })
    const fronts = new RemoteFronts({
      links,
      order,
      state: new Int32Array(shared.coreState, 0, 1),
      drainBroker: () => this.#agent.drainBroker(),
      touch: () => this.#agent.touch(),
    })
    return { clients: fronts, owner: fronts }
  }

  #log(level: 'info' | 'warn' | 'error', line: string): void {
    this.#note({ kind: 'log', level, line })
  }
}
