/**
 * One life of a node: the shipped core (Raft, replica, arena, IO client, catch-up) and the shipped
 * IO agent over its store, as two threads of a broker have them, on a disk and a network that are
 * simulated. Owns the invariant that nothing here judges or mends: it wires, and tells the machine
 * what happened.
 */
import { seededRandom } from '@ringledger/base'
import {
  type LogPiece,
  type PeerMessage,
  type Raft,
  type Replica,
  Role,
} from '@ringledger/consensus'
import {
  LedgerCore,
  type LedgerCoreHooks,
  type LedgerHub,
  type LedgerSettings,
} from '@ringledger/engine'
import { IoAgent, type LogStore, type Recovered } from '@ringledger/io'
import { type PeerHubHandlers, Turn } from '@ringledger/network'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

const TICK_MS = 25
/** A turn's end at least this often, whether or not something happened. */
const TURN_TICKS = 8
const LEADER_TURN_TICKS = 2
const BARRIER = Buffer.alloc(40, 0xba)

/** An entry that a client waits for. */
interface Pending {
  readonly index: number
  readonly end: number
  readonly chain: number
}

export class SimProcess {
  readonly core: LedgerCore
  readonly replica: Replica
  readonly raft: Raft
  readonly agent: IoAgent
  readonly store: LogStore
  /** Set as soon as the core has made its connections. */
  handlers: PeerHubHandlers<PeerMessage> | undefined
  diskFull = false
  closing = false
  /** What a dead process still computes is heard by nobody. */
  ended = false
  turnPlanned = false
  /** The number of the planned look at the disk that counts; earlier ones are void. */
  diskStamp = 0
  diskAt: number = Number.POSITIVE_INFINITY
  /** What the checkers saw last. */
  seenCommit: number
  pending: Pending[] = []
  /** Reads under way and the least that they may answer. */
  readonly reads: Map<number, number> = new Map()
  readonly #machine: Machine
  #ticks = 0
  #ticking = false

  constructor(machine: Machine, store: LogStore, recovered: Recovered) {
    this.#machine = machine
    this.store = store
    const { arenaShared: arena, port: ioPort, coreBell } = machine
    this.core = new LedgerCore(
      settingsOf(machine),
      { arena, ioPort, coreBell },
      recovered,
      new Turn(),
      this.#makeHooks(),
      {
        disk: machine.disk,
        random: seededRandom(Math.floor(machine.random() * 2 ** 31)),
        makeHub: (handlers) => {
          this.handlers = handlers
          return hubOf(machine, this)
        },
      },
    )
    this.replica = this.core.replica
    this.raft = this.replica.raft
    this.agent = new IoAgent({
      store,
      port: ioPort,
      arena: new LogArena(arena),
      coreDoorbell: coreBell,
      clock: machine.clock,
    })
    this.seenCommit = this.raft.commitPosition
  }

  /** True when nothing can have come of it, so that the turn's end may be left out. */
  tick(): boolean {
    this.#ticks++
    this.#ticking = true
    this.core.tick()
    this.#ticking = false
    if (this.#ticks % TURN_TICKS === 0) return false
    if (this.replica.leading) return this.#ticks % LEADER_TURN_TICKS !== 0
    return this.raft.role === Role.follower
  }

  /** Orders up to `count` entries; returns how many were taken. All or none if `whole`. */
  append(count: number, whole: boolean, sizeOf: () => number): number {
    const { replica } = this
    if (!replica.leading || this.diskFull || this.closing) return 0
    const before = replica.end
    const waiting = this.pending.length
    for (let taken = 0; taken < count; taken++) {
      const bodyBytes = sizeOf()
      const offset = replica.claim(bodyBytes)
      if (offset < 0) {
        if (!whole) return taken
        replica.takeBack(before)
        this.pending.length = waiting
        return 0
      }
      const { number, fill } = this.#machine.world.nextBody()
      replica.bytes.fill(fill, offset, offset + bodyBytes)
      if (bodyBytes >= 4) replica.view.setInt32(offset, number)
      replica.seal()
      const end = replica.end
      this.pending.push({ index: end.lastIndex, end: end.endPosition, chain: end.lastChainCrc })
    }
    return count
  }

  /** An orderly end; the agent says when it is done. */
  close(): void {
    this.closing = true
    this.#machine.world.settleSoon()
    this.core.close()
  }

  #makeHooks(): LedgerCoreHooks {
    const machine = this.#machine
    return {
      touch: () => {
        if (!this.#ticking && !this.ended) machine.touch()
      },
      barrier: () => BARRIER,
      patchBarrier: () => {},
      onRole: (role, term, _leaderId, _end, reason) => {
        this.pending = []
        if (role === Role.candidate) machine.world.handovers.onCampaign(machine.name, term)
        machine.onRole(role, term, reason)
      },
      onCommit: (position) => this.#onCommit(position),
      onReadIndex: (id, position) => {
        const floor = this.reads.get(id)
        this.reads.delete(id)
        if (floor !== undefined) machine.onRead(floor, position)
      },
      onTransferred: (done) => machine.onTransferred(done),
      onHalted: (reason) => machine.onHalted(reason),
      onDiskFull: (full) => {
        this.diskFull = full
      },
      onFound: ({ repaired }) => machine.onFound(repaired),
      onScrubbed: () => machine.onScrubbed(),
      onCut: () => machine.onCut(),
      onTrimmed: (_position, firstIndex) => machine.onTrimmed(firstIndex),
      log: (level, line) => {
        if (!this.ended) machine.onLog(level, line)
      },
    }
  }

  #onCommit(position: number): void {
    this.#machine.onShown(position)
    if (!this.replica.leading) return
    let done = 0
    while (done < this.pending.length && (this.pending[done] as Pending).end <= position) {
      const { index, chain } = this.pending[done] as Pending
      this.#machine.onAcknowledged(index, chain)
      done++
    }
    if (done > 0) this.pending.splice(0, done)
  }
}

function settingsOf(machine: Machine): LedgerSettings {
  const { settings, name, names, preferred, storeConfig } = machine
  return {
    group: 'sim',
    selfId: name,
    members: names.map((id) => ({ id, host: '', port: 0 })),
    bindAddress: '',
    ...(preferred === undefined ? {} : { preferredLeaderId: preferred }),
    electionTimeoutMs: settings.electionTicksMin * TICK_MS,
    heartbeatIntervalMs: settings.heartbeatTicks * TICK_MS,
    store: storeConfig,
    segmentBytes: settings.segmentBytes,
    syncBeforeAck: true,
    arenaBytes: settings.arenaBytes,
    maxEntryBytes: settings.maxEntryBytes,
  }
}

function hubOf(machine: Machine, process: SimProcess): LedgerHub {
  const { world, number } = machine
  const { network }: World = world
  return {
    port: 0,
    listen: async () => {},
    close: async () => {
      if (!process.ended) network.nodeGone(number, false)
    },
    send: (to: string, message: PeerMessage, pieces?: readonly LogPiece[]): boolean => {
      if (process.ended) return false
      machine.onSend(message)
      const sent = network.send(number, peerNumber(to), message, pieces)
      if (sent && message.type === 'timeoutNow') world.onHandover(message)
      return sent
    },
    queuedBytes: (id) => network.queuedBytes(number, peerNumber(id)),
    unflushedPosition: (id) => network.unflushedPosition(number, peerNumber(id ?? '')),
    drop: (id, reason) => {
      if (process.ended) return
      machine.onDropped(id, reason)
      network.drop(number, peerNumber(id))
    },
  }
}

function peerNumber(id: string): number {
  return id.charCodeAt(1) - 48
}
