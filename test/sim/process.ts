/**
 * One life of a node: the shipped replica, arena, IO client, IO agent and store, put together as
 * the engine does it. Owns the invariant that nothing here judges or mends: it wires, and tells the
 * machine what happened.
 */
import { randomBetween, seededRandom } from '@ringledger/base'
import {
  type CatchUpReader,
  type LogPiece,
  type LogStorage,
  type PeerMessage,
  type PeerTransport,
  Raft,
  Replica,
  Role,
} from '@ringledger/consensus'
import {
  IoAgent,
  IoClient,
  type IoEventHandlers,
  LogFileReader,
  type LogStore,
  type Recovered,
} from '@ringledger/io'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { catchUpReader } from '../../packages/engine/src/catch-up-reader.ts'
import type { Machine } from './machine.ts'

const CHECKPOINT_TICKS = 40
/** A turn's end at least this often, whether or not something happened. */
const TURN_TICKS = 8
const BARRIER_BYTES = 40

/** An entry that a client waits for. */
interface Pending {
  readonly index: number
  readonly end: number
  readonly chain: number
}

export class SimProcess {
  readonly arena: LogArena
  readonly raft: Raft
  readonly replica: Replica
  readonly client: IoClient
  readonly agent: IoAgent
  readonly store: LogStore
  readonly segmentBytes: number
  diskFull = false
  closing = false
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
  readonly #handlers: IoEventHandlers
  #files: LogFileReader | undefined
  #ticks = 0

  constructor(machine: Machine, store: LogStore, recovered: Recovered) {
    this.#machine = machine
    this.store = store
    this.segmentBytes = machine.settings.segmentBytes
    this.arena = new LogArena(machine.arenaShared)
    this.arena.reset(recovered.tail.endPosition)
    this.arena.committed = recovered.committedPosition
    this.client = new IoClient(machine.port, this.arena)
    this.agent = new IoAgent({
      store,
      port: machine.port,
      arena: new LogArena(machine.arenaShared),
      coreDoorbell: machine.coreBell,
      clock: machine.clock,
    })
    this.raft = this.#makeRaft(recovered)
    this.seenCommit = this.raft.commitPosition
    this.replica = this.#makeReplica(recovered)
    this.#handlers = this.#makeHandlers()
  }

  pollStorage(): void {
    this.client.poll(this.#handlers)
  }

  /** True when nothing can have come of it, so that the turn's end may be left out. */
  tick(): boolean {
    this.#ticks++
    this.replica.tick()
    if (this.#ticks % CHECKPOINT_TICKS === 0) this.checkpoint()
    if (this.#ticks % TURN_TICKS === 0) return false
    return this.replica.leading || this.raft.role === Role.follower
  }

  checkpoint(): void {
    const { position, index } = this.replica.committedBoundary
    if (index < 0) return
    this.client.checkpoint(position, index)
    this.client.flush()
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
      const { index, fill } = this.#machine.nextBody()
      replica.bytes.fill(fill, offset, offset + bodyBytes)
      if (bodyBytes >= 4) replica.view.setInt32(offset, index)
      replica.seal()
      const end = replica.end
      this.pending.push({ index: end.lastIndex, end: end.endPosition, chain: end.lastChainCrc })
    }
    return count
  }

  closeFiles(): void {
    this.#files?.close()
  }

  get files(): LogFileReader {
    this.#files ??= new LogFileReader(this.#machine.storeConfig, this.#machine.disk)
    return this.#files
  }

  #makeRaft(recovered: Recovered): Raft {
    const { settings, name, names, random, preferred } = this.#machine
    const { arenaBytes, heartbeatTicks, electionTicksMin } = settings
    return new Raft(
      {
        selfId: name,
        peerIds: names.filter((id) => id !== name),
        random: seededRandom(randomBetween(random, 1, 2 ** 31)),
        tickMs: 25,
        heartbeatTicks,
        electionTicksMin,
        electionTicksMax: Math.ceil(electionTicksMin * 1.5),
        maxBatchBytes: arenaBytes / 16,
        maxInflightBytes: arenaBytes / 4,
        ...(preferred === undefined ? {} : { preferredLeaderId: preferred }),
      },
      recovered.hardState,
      { ...recovered.tail, commitPosition: recovered.committedPosition },
    )
  }

  #makeReplica(recovered: Recovered): Replica {
    const machine = this.#machine
    const { endPosition, lastIndex, lastTerm } = recovered.tail
    return new Replica({
      raft: this.raft,
      arena: this.arena,
      end: { endPosition, lastIndex, lastTerm, lastChainCrc: recovered.lastChainCrc },
      committedPosition: recovered.committedPosition,
      segmentBytes: this.segmentBytes,
      storage: this.#makeStorage(),
      peers: this.#makeTransport(),
      peerIds: machine.names.filter((id) => id !== machine.name),
      reader: this.#makeReader(),
      syncBeforeAck: true,
      maxUncommittedBytes: this.arena.sizeBytes / 2,
      hooks: {
        barrier: () => Buffer.alloc(BARRIER_BYTES, 0xba),
        patchBarrier: () => {},
        onRole: (role, term, _leaderId, _end, reason) => this.#onRole(role, term, reason),
        onCommit: (position) => this.#onCommit(position),
        onReadIndex: (id, position) => {
          const floor = this.reads.get(id)
          this.reads.delete(id)
          if (floor !== undefined) machine.onRead(floor, position)
        },
        onTransferEnded: (_target, done) => machine.onTransferEnded(done),
        onHalted: (reason) => machine.onHalted(reason),
        log: (level, line) => machine.onLog(level, line),
      },
      wake: () => machine.touch(),
    })
  }

  /** The shipped client; the machine notes what may be cut by a stop in the middle. */
  #makeStorage(): LogStorage {
    const { client } = this
    return {
      write: (toPosition) => client.write(toPosition),
      truncate: (position, id) => {
        this.#machine.cutPending = position
        client.truncate(position, id)
      },
      saveHardState: (state, id) => client.saveHardState(state, id),
      flush: () => client.flush(),
    }
  }

  #makeTransport(): PeerTransport<PeerMessage> {
    const { world, number } = this.#machine
    const { network } = world
    return {
      send: (to: string, message: PeerMessage, pieces?: readonly LogPiece[]): void => {
        this.#machine.onSend(message)
        network.send(number, peerNumber(to), message, pieces)
      },
      queuedBytes: (id) => network.queuedBytes(number, peerNumber(id)),
      unflushedPosition: (id) => network.unflushedPosition(number, peerNumber(id)),
      drop: (id, reason) => {
        this.#machine.onDropped(id, reason)
        network.drop(number, peerNumber(id))
      },
    }
  }

  /** The shipped reader, with the time that a disk takes in front of it. */
  #makeReader(): CatchUpReader {
    let reader: CatchUpReader | undefined
    const files = (): CatchUpReader => {
      reader ??= catchUpReader(this.files)
      return reader
    }
    return {
      range: (from, limit, maxBytes) => {
        this.#machine.world.settleSoon()
        return files().range(from, limit, maxBytes)
      },
      readAsync: async (from, to, target) => {
        await this.#machine.readDelay()
        await files().readAsync(from, to, target)
      },
    }
  }

  #makeHandlers(): IoEventHandlers {
    const { replica } = this
    const machine = this.#machine
    return {
      onDurable: (position) => {
        machine.onDurable(position)
        replica.onDurable(position)
      },
      onHardStateSaved: (id) => replica.onHardStateSaved(id),
      onTruncated: (truncated) => {
        this.#files?.forget(truncated.endPosition)
        machine.onTruncated(truncated.lastIndex)
        replica.onTruncated(truncated.id, truncated)
      },
      onFailed: (file, error) => replica.onStorageFailed(`${file}: ${error}`),
      onDiskFull: () => {
        this.diskFull = true
        replica.onDiskFull(true)
      },
      onDiskOk: () => {
        this.diskFull = false
        replica.onDiskFull(false)
      },
      onClosed: () => machine.onClosed(),
      onRemoved: (firstPosition, firstIndex) => {
        this.#files?.forget(0)
        machine.onTrimmed(firstIndex)
        replica.onTrimmed(firstPosition, firstIndex)
      },
    }
  }

  #onRole(role: Role, term: number, reason: string): void {
    this.pending = []
    this.#machine.onRole(role, term, reason)
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

export function peerNumber(id: string): number {
  return id.charCodeAt(1) - 48
}
