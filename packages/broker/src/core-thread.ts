/**
 * Builds the core thread of `threads=folded`: client listener, peers, Raft and the fast path of sends in one event loop.
 * Everything that runs per message is in core-agent, send-front and replica; this file only connects them.
 */
import { randomInt } from 'node:crypto'
import { systemClock } from '@ringledger/base'
import {
  type LogEnd,
  type PeerMessage,
  Raft,
  Replica,
  type ReplicaHooks,
  Role,
} from '@ringledger/consensus'
import { IoClient, type IoEventHandlers, LogFileReader, type Recovered } from '@ringledger/io'
import { type Connection, PeerHub, RemotingListener, Turn } from '@ringledger/network'
import { encodeHost, formatProperties, patchMessage, sendExtConstants } from '@ringledger/protocol'
import { Doorbell, LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { catchUpReader } from './catch-up-reader.ts'
import { CoreAgent } from './core-agent.ts'
import { CoreLink } from './core-link.ts'
import type { NodeSettings } from './node-settings.ts'
import { PendingSends } from './pending-sends.ts'
import { SendAnswers } from './send-answers.ts'
import { SendFront } from './send-front.ts'
import { encodeStateMessage } from './state/records.ts'
import { storeConfigOf } from './store-config.ts'
import { TopicTable } from './topic-table.ts'
import { UniqueKeys } from './unique-key.ts'
import type { CoreNote, CoreWorkerData } from './wiring.ts'

const TICK_MS = 25
/** Sends that wait for their commit. */
const MAX_PENDING_SENDS = 32_768
const CHECKPOINT_TICKS = 40
/** How long a planned stop waits for the transfer of leadership, in ticks. */
const TRANSFER_TICKS = 40

export class CoreThread {
  readonly #settings: NodeSettings
  readonly #note: (note: CoreNote) => void
  readonly #turn = new Turn()
  readonly #arena: LogArena
  readonly #storage: IoClient
  readonly #listener: RemotingListener
  readonly #hub: PeerHub<PeerMessage>
  readonly #replica: Replica
  readonly #agent: CoreAgent
  readonly #bell: { close(): void }
  readonly #files: LogFileReader
  readonly #ioHandlers: IoEventHandlers
  #ticker: NodeJS.Timeout | undefined
  #ticks = 0
  #transferDeadline = -1

  constructor(data: CoreWorkerData, note: (note: CoreNote) => void) {
    const { settings, shared, recovered } = data
    this.#settings = settings
    this.#note = note
    this.#arena = new LogArena(shared.arena)
    this.#arena.reset(recovered.tail.endPosition)
    this.#arena.committed = recovered.committedPosition
    this.#storage = new IoClient(shared.ioPort, this.#arena)
    this.#files = new LogFileReader(storeConfigOf(settings))
    this.#hub = this.#makeHub()
    this.#replica = this.#makeReplica(recovered)
    this.#ioHandlers = this.#makeIoHandlers()
    const link = new CoreLink({
      fromBroker: new SpscRing(shared.brokerToCore),
      toBroker: new SpscRing(shared.coreToBroker),
      brokerBell: new Doorbell(shared.brokerBell),
    })
    this.#agent = this.#makeAgent(link, new Doorbell(shared.brokerBell))
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
    await this.#hub.listen()
    await this.#listener.listen()
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
    this.#note({ kind: 'listening', port: this.#listener.port, peerPort: this.#hub.port })
  }

  /** Hands leadership to a follower that has everything, if this node leads. */
  transfer(): void {
    const status = this.#replica.raft.status()
    const best = status.peers
      .filter((peer) => peer.connected)
      .sort((left, right) => right.matchPosition - left.matchPosition)[0]
    if (status.role !== Role.leader || best === undefined) {
      this.#note({ kind: 'transferred', done: false, reason: 'nothing to hand over' })
      return
    }
    this.#transferDeadline = this.#ticks + TRANSFER_TICKS
    this.#replica.transfer(best.id)
    this.#agent.touch()
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker)
    await this.#listener.close()
    await this.#hub.close()
    this.#checkpoint()
    this.#storage.close()
    this.#storage.flush()
    this.#bell.close()
    this.#files.close()
    this.#note({ kind: 'closed' })
  }

  #tick(): void {
    this.#ticks += 1
    this.#replica.tick()
    if (this.#ticks % CHECKPOINT_TICKS === 0) this.#checkpoint()
    if (this.#transferDeadline >= 0) this.#watchTransfer()
    this.#agent.touch()
  }

  #watchTransfer(): void {
    const gone = !this.#replica.leading
    if (!gone && this.#ticks < this.#transferDeadline) return
    this.#transferDeadline = -1
    this.#note({
      kind: 'transferred',
      done: gone,
      reason: gone ? 'handed over' : 'no follower took it',
    })
  }

  #checkpoint(): void {
    const { position, index } = this.#replica.committedBoundary
    if (index < 0) return
    this.#storage.checkpoint(position, index)
    this.#storage.flush()
  }

  #makeHub(): PeerHub<PeerMessage> {
    const settings = this.#settings
    const own = settings.peers.find((peer) => peer.id === settings.dLegerSelfId)
    return new PeerHub<PeerMessage>(
      {
        selfId: settings.dLegerSelfId,
        group: settings.dLegerGroup,
        segmentBytes: settings.mappedFileSizeCommitLog,
        host: settings.bindAddress,
        port: own?.port ?? 0,
        peers: settings.peers,
        turn: this.#turn,
        log: (level, line) => this.#log(level, line),
      },
      {
        onMessage: (_from, message, payload, start, end) => {
          this.#agent.touch()
          this.#replica.onPeerMessage(message, payload, start, end)
        },
        onConnected: (id) => {
          this.#agent.touch()
          this.#replica.onPeerConnected(id)
        },
        onDisconnected: (id) => {
          this.#agent.touch()
          this.#replica.onPeerDisconnected(id)
        },
      },
    )
  }

  #makeReplica(recovered: Recovered): Replica {
    const settings = this.#settings
    const peerIds = settings.peers
      .map((peer) => peer.id)
      .filter((id) => id !== settings.dLegerSelfId)
    const preferred = settings.preferredLeaderIds[0]
    const electionTicksMin = Math.max(8, Math.round(settings.electionTimeoutMs / TICK_MS))
    const raft = new Raft(
      {
        selfId: settings.dLegerSelfId,
        peerIds,
        random: Math.random,
        tickMs: TICK_MS,
        heartbeatTicks: Math.max(1, Math.round(settings.heartbeatIntervalMs / TICK_MS)),
        electionTicksMin,
        electionTicksMax: Math.ceil(electionTicksMin * 1.5),
        ...(preferred === undefined ? {} : { preferredLeaderId: preferred }),
      },
      recovered.hardState,
      { ...recovered.tail, commitPosition: recovered.committedPosition },
    )
    const end: LogEnd = {
      endPosition: recovered.tail.endPosition,
      lastIndex: recovered.tail.lastIndex,
      lastTerm: recovered.tail.lastTerm,
      lastChainCrc: recovered.lastChainCrc,
    }
    return new Replica({
      raft,
      arena: this.#arena,
      end,
      committedPosition: recovered.committedPosition,
      segmentBytes: settings.mappedFileSizeCommitLog,
      storage: this.#storage,
      peers: this.#hub,
      peerIds,
      reader: catchUpReader(this.#files),
      syncBeforeAck: settings.flushDiskType === 'SYNC_FLUSH',
      maxUncommittedBytes: this.#arena.sizeBytes / 2,
      hooks: this.#makeHooks(),
      wake: () => this.#agent.touch(),
    })
  }

  #makeHooks(): ReplicaHooks {
    const settings = this.#settings
    const storeHost = encodeHost(settings.brokerIP1, settings.listenPort)
    return {
      barrier: (term) =>
        encodeStateMessage(
          { kind: 'barrier', term, nodeId: settings.dLegerSelfId },
          storeHost,
          systemClock.wallMs(),
        ),
      patchBarrier: (view, offset, physicalOffset) => {
        patchMessage(view, offset, 0, physicalOffset, systemClock.wallMs())
      },
      onRole: (role, term, leaderId, barrierEnd, reason) => {
        this.#agent.onRole(role, term, leaderId, barrierEnd)
        this.#note({ kind: 'role', role, term, leaderId, reason })
      },
      onCommit: () => this.#agent.onCommit(),
      onHalted: (reason) => this.#note({ kind: 'halted', reason }),
      log: (level, line) => this.#log(level, line),
    }
  }

  #makeIoHandlers(): IoEventHandlers {
    const replica = this.#replica
    return {
      onDurable: (position) => replica.onDurable(position),
      onHardStateSaved: (id) => replica.onHardStateSaved(id),
      onTruncated: (truncated) => {
        this.#files.forget(truncated.endPosition)
        replica.onTruncated(truncated.id, truncated)
      },
      onFailed: (file, error) => replica.onStorageFailed(`${file}: ${error}`),
      onDiskFull: () => {
        this.#agent.setDiskFull(true)
        this.#log('error', 'the disk is full: new writes are refused until space returns')
      },
      onDiskOk: () => {
        this.#agent.setDiskFull(false)
        this.#log('info', 'the disk has space again: writes are taken')
      },
      onRemoved: (firstPosition) => this.#files.forget(firstPosition),
    }
  }

  #makeAgent(link: CoreLink, brokerBell: Doorbell): CoreAgent {
    const settings = this.#settings
    const connections = new Map<number, Connection>()
    const pending = new PendingSends(MAX_PENDING_SENDS)
    const topics = new TopicTable()
    const storeHost = encodeHost(settings.brokerIP1, settings.listenPort)
    const ext = sendExtConstants(settings.regionId, settings.traceOn)
    const arena = this.#arena
    const answers = new SendAnswers({ pending, arena, link, connections, ext, storeHost })
    const replica = this.#replica
    const front = new SendFront({
      log: replica,
      topics,
      pending,
      answers,
      clock: systemClock,
      uniqueKeys: new UniqueKeys(systemClock, storeHost, process.pid, randomInt(2 ** 32)),
      storeHost,
      maxMessageSize: settings.maxMessageSize,
      brokerPermission: settings.brokerPermission,
      brokerProperties: Buffer.from(
        formatProperties(
          new Map([
            ['MSG_REGION', settings.regionId],
            ['TRACE_ON', String(settings.traceOn)],
            ['CLUSTER', settings.brokerClusterName],
          ]),
        ),
      ),
    })
    return new CoreAgent({
      replica,
      link,
      front,
      answers,
      topics,
      pending,
      connections,
      turn: this.#turn,
      pollStorage: () => {
        this.#storage.poll(this.#ioHandlers)
      },
      wakeBroker: () => brokerBell.ring(),
      log: (level, line) => this.#log(level, line),
    })
  }

  #log(level: 'info' | 'warn' | 'error', line: string): void {
    this.#note({ kind: 'log', level, line })
  }
}
