/**
 * The log's part of the core thread: Raft, the arena's writer, the peers' sockets and the IO
 * worker's client, on one event loop. Whoever owns the thread orders entries through `replica` and
 * calls `endTurn` once per loop turn. Invariant: this object alone writes the arena.
 */

import { assert, type Random } from '@ringledger/base'
import {
  type CommittedBoundary,
  isRepairMessage,
  type LogEnd,
  type LogTail,
  type PeerMessage,
  type PeerStatus,
  Raft,
  Repairer,
  Replica,
  type ReplicaHooks,
  Role,
} from '@ringledger/consensus'
import {
  type Disk,
  type Finding,
  IoClient,
  type IoEventHandlers,
  LogFileReader,
  type Recovered,
  soundPositionOf,
} from '@ringledger/io'
import {
  type NetworkLog,
  PeerHub,
  type PeerHubHandlers,
  type PeerPiece,
  type Turn,
} from '@ringledger/network'
import { CHANNEL_NORMAL } from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { catchUpReader } from './catch-up-reader.ts'
import { type ForeignMessage, isForeign } from './foreign-message.ts'
import type { LedgerSettings } from './settings.ts'
import type { LedgerShared } from './shared.ts'

/** Nominal tick of the Raft machine. */
export const TICK_MS = 25
const MAX_BATCH_BYTES = 1024 * 1024
const MAX_INFLIGHT_BYTES = 8 * 1024 * 1024
/** The commit position is noted for the next start this often. */
const CHECKPOINT_TICKS = 40
/** How long a planned stop waits for the transfer of leadership. */
const TRANSFER_TICKS = 40

/** A plain object: its functions are copied. */
export interface LedgerCoreHooks extends Omit<ReplicaHooks, 'log' | 'onTransferEnded'> {
  /** Something arrived: `endTurn` must follow in this loop turn. */
  touch(): void
  /** Every {@link TICK_MS}, before the turn's end. */
  onTick?(): void
  /** True: no space for new segments, entries must be refused; false: space is back. */
  onDiskFull(full: boolean): void
  /** The answer to `transfer`. */
  onTransferred(done: boolean, reason: string): void
  /** Leadership has moved as planned, asked for or to the preferred leader. */
  onHandedOver?(): void
  /** The first failed write or sync, before `onHalted`. */
  onStorageFailed?(file: string, error: string): void
  /** Segments were deleted: the log begins here now. */
  onTrimmed?(firstPosition: number, firstIndex: number): void
  /** A suffix was cut off the files: what readers know of them is void. */
  onCut?(endPosition: number, lastIndex: number): void
  /** Damage was met on this node's disk, and perhaps repaired already. */
  onFound?(finding: Finding): void
  /** A damaged entry is whole again. */
  onRepaired?(position: number): void
  /** A message of the importer's own kind (`isForeign`) came from a peer. */
  onForeign?(
    from: string,
    message: ForeignMessage,
    payload: Buffer,
    start: number,
    end: number,
  ): void
  /** The answer to `scrub`. */
  onScrubbed?(): void
  log: NetworkLog
}

/** What the core needs of the peers' connections. */
export type LedgerHub = Pick<
  PeerHub<PeerMessage>,
  'port' | 'listen' | 'close' | 'send' | 'queuedBytes' | 'unflushedPosition' | 'drop'
> & {
  /** May the peer be asked for damaged entries? Absent: every one may. */
  repairs?(id: string): boolean
}

/** Put by a simulation in the place of files, chance and sockets; absent in production. */
export interface LedgerSurroundings {
  readonly disk?: Disk
  readonly random?: Random
  makeHub?(handlers: PeerHubHandlers<PeerMessage>): LedgerHub
}

export class LedgerCore {
  readonly arena: LogArena
  readonly replica: Replica
  readonly #settings: LedgerSettings
  readonly #hooks: LedgerCoreHooks
  readonly #storage: IoClient
  /** The log's files, for this thread. */
  readonly files: LogFileReader
  readonly #hub: LedgerHub
  readonly #surroundings: LedgerSurroundings
  readonly #repairer: Repairer
  readonly #ioHandlers: IoEventHandlers
  #ticker: NodeJS.Timeout | undefined
  #ticks = 0
  #transferDeadline = -1
  /** Segments below are to be deleted; -1: none. */
  #trimBelow = -1
  #trimCommitted: CommittedBoundary = { position: 0, index: -1 }
  #onClosed: () => void = () => {}

  constructor(
    settings: LedgerSettings,
    shared: LedgerShared,
    recovered: Recovered,
    turn: Turn,
    hooks: LedgerCoreHooks,
    surroundings: LedgerSurroundings = {},
  ) {
    this.#settings = settings
    this.#surroundings = surroundings
    this.#hooks = hooks
    this.arena = new LogArena(shared.arena)
    this.arena.reset(recovered.tail.endPosition)
    this.arena.committed = Math.min(recovered.committedPosition, soundPositionOf(recovered.holes))
    this.#storage = new IoClient(shared.ioPort, this.arena)
    this.files = new LogFileReader(settings.store, surroundings.disk, (position) =>
      this.#storage.check(position),
    )
    this.#hub = this.#makeHub(turn)
    this.#repairer = this.#makeRepairer(recovered)
    this.replica = this.#makeReplica(recovered)
    this.#ioHandlers = this.#makeIoHandlers()
  }

  /** Port for peers; 0 before `start`. */
  get peerPort(): number {
    return this.#hub.port
  }

  /**
   * Opens the peer port, if there are members, and joins the group. @throws LedgerError PORT_BUSY,
   * BAD_CONFIG
   */
  async start(): Promise<void> {
    if (this.#settings.members.length > 0) await this.#hub.listen()
    this.#ticker = setInterval(() => this.tick(), TICK_MS)
  }

  /** A message of the importer's own kind; false when the peer is not connected or busy. */
  sendForeign(to: string, message: ForeignMessage, pieces: readonly PeerPiece[]): boolean {
    return this.#hub.send(to, message as unknown as PeerMessage, pieces)
  }

  /** First half of a turn's end: what the IO worker did since. */
  pollStorage(): void {
    this.#storage.poll(this.#ioHandlers)
  }

  /** Second half: the turn's entries go to disk and to the peers. */
  endTurn(): void {
    if (this.#trimBelow >= 0) this.#trim()
    this.replica.endTurn()
  }

  /**
   * Deletes whole segments below `position`, at or below `committed`, an entry's end that is
   * committed, and its index; answered by `onTrimmed`. Ignored while readers have not seen that end
   * yet, as on a member that catches up: what is committed is not on its disk. Ask again then.
   */
  trim(position: number, committed: CommittedBoundary): void {
    assert(position <= committed.position, 'only what is committed is dropped')
    if (committed.position > this.arena.committed) return
    this.#trimBelow = Math.max(this.#trimBelow, position)
    this.#trimCommitted = committed
    this.#hooks.touch()
  }

  /**
   * Hands leadership to `targetId`, else to a follower whose disk has space, of those to the one
   * with the most of the log; answered by
   * `onTransferred`.
   */
  transfer(targetId?: string): void {
    const status = this.replica.raft.status()
    const best = status.peers
      .filter((peer) => peer.connected && (targetId === undefined || peer.id === targetId))
      .sort(byFitness)[0]
    if (status.role !== Role.leader || best === undefined) {
      const whom = targetId === undefined ? 'there is nobody' : `${targetId} is not connected`
      this.#hooks.onTransferred(false, `${whom} to hand over to`)
      return
    }
    this.#transferDeadline = this.#ticks + TRANSFER_TICKS
    this.replica.transfer(best.id)
    this.#hooks.touch()
  }

  /**
   * Leaves the group and lets the IO worker close the store; its thread ends then. Turns must go on
   * meanwhile.
   */
  async close(): Promise<void> {
    clearInterval(this.#ticker)
    await this.#hub.close()
    this.#checkpoint()
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve
    })
    this.#storage.close()
    this.#storage.flush()
    // The IO thread is in a long sync and its ring is full: the owner's turns hand CLOSE on.
    if (this.#storage.waits) await closed
    this.files.close()
  }

  /** Leaves without closing the store: what a crash leaves behind. */
  async abandon(): Promise<void> {
    clearInterval(this.#ticker)
    await this.#hub.close()
    this.files.close()
  }

  /** One tick; called by the timer of `start`, or by whoever owns time. */
  tick(): void {
    this.#ticks += 1
    this.replica.tick()
    this.#repairer.tick()
    if (this.#ticks % CHECKPOINT_TICKS === 0) this.#checkpoint()
    if (this.#transferDeadline >= 0) this.#watchTransfer()
    this.#hooks.onTick?.()
    this.#hooks.touch()
  }

  #watchTransfer(): void {
    const gone = !this.replica.leading
    if (gone) this.#endTransfer(true, 'handed over')
    else if (this.#ticks >= this.#transferDeadline) {
      this.#endTransfer(false, 'no follower took it in time')
    }
  }

  #endTransfer(done: boolean, reason: string): void {
    if (this.#transferDeadline < 0) return
    this.#transferDeadline = -1
    this.#hooks.onTransferred(done, reason)
  }

  #trim(): void {
    // The mark must say that the segments are committed before they go; behind a disk that hangs a
    // checkpoint may be left out.
    if (this.#storage.waits) return
    this.#storage.checkpoint(this.#trimCommitted.position, this.#trimCommitted.index)
    this.#storage.removeBelow(this.#trimBelow)
    this.#trimBelow = -1
  }

  #onFound(finding: Finding): void {
    const { path, position, reason, repaired } = finding
    const where = position < 0 ? path : `${path}, position ${position}`
    this.#hooks.log(repaired ? 'warn' : 'error', `damage in ${where}: ${reason}`)
    this.#hooks.onFound?.(finding)
  }

  #checkpoint(): void {
    const { position, index } = this.replica.committedBoundary
    if (index < 0) return
    this.#storage.checkpoint(position, index)
    this.#storage.flush()
  }

  /** Damaged entries that are not repaired yet. */
  get damagedEntries(): number {
    return this.#repairer.count
  }

  /** A reader met damage at `position`: the IO thread looks, and has it repaired. */
  check(position: number): void {
    this.#storage.check(position)
    this.#storage.flush()
  }

  /** Looks through the whole store for damage, now; answered by `onScrubbed`. */
  scrub(): void {
    this.#storage.scrub()
    this.#storage.flush()
  }

  #makeRepairer(recovered: Recovered): Repairer {
    const { settings, hub } = { settings: this.#settings, hub: this.#hub }
    const { log } = this.#hooks
    for (const { position, index, reason } of recovered.holes) {
      log('error', `entry ${index} at position ${position} is damaged (${reason})`)
    }
    if (recovered.holes.length > 0 || recovered.lost !== undefined) {
      log('error', 'this node lacks what it once acknowledged: it does not vote until it has it')
    }
    return new Repairer(
      {
        selfId: settings.selfId,
        peerIds: settings.members.map(({ id }) => id).filter((id) => id !== settings.selfId),
        send: (to, message, pieces) => hub.send(to, message as unknown as PeerMessage, pieces),
        canAsk: (id) => hub.repairs?.(id) ?? true,
        arena: this.arena,
        storage: this.#storage,
        readEntry: (from, to, target) => this.files.readEntriesAsync(from, to, target),
        log,
      },
      recovered.holes,
    )
  }

  #makeHub(turn: Turn): LedgerHub {
    const settings = this.#settings
    const { makeHub } = this.#surroundings
    if (makeHub !== undefined) return makeHub(this.#hubHandlers())
    return new PeerHub<PeerMessage>(
      {
        selfId: settings.selfId,
        group: settings.group,
        segmentBytes: settings.segmentBytes,
        maxEntryBytes: settings.maxEntryBytes,
        host: settings.bindAddress,
        port: settings.members.find((member) => member.id === settings.selfId)?.port ?? 0,
        peers: settings.members,
        turn,
        log: this.#hooks.log,
      },
      this.#hubHandlers(),
    )
  }

  #hubHandlers(): PeerHubHandlers<PeerMessage> {
    const { touch } = this.#hooks
    return {
      onMessage: (from, message, payload, start, end) => {
        touch()
        if (isForeign(message)) {
          this.#hooks.onForeign?.(from, message, payload, start, end)
        } else if (isRepairMessage(message)) {
          this.#repairer.onMessage(from, message, payload, start, end)
        } else {
          this.replica.onPeerMessage(from, message, payload, start, end)
        }
      },
      onConnected: (id) => {
        touch()
        this.replica.onPeerConnected(id)
        this.#repairer.onPeerConnected(id)
      },
      onDisconnected: (id) => {
        touch()
        this.replica.onPeerDisconnected(id)
        this.#repairer.onPeerDisconnected(id)
      },
    }
  }

  #makeRaft(recovered: Recovered): Raft {
    const { selfId, members, preferredLeaderId, electionTimeoutMs, heartbeatIntervalMs } =
      this.#settings
    const electionTicksMin = Math.max(8, Math.round(electionTimeoutMs / TICK_MS))
    return new Raft(
      {
        selfId,
        peerIds: members.map((member) => member.id).filter((id) => id !== selfId),
        random: this.#surroundings.random ?? Math.random,
        tickMs: TICK_MS,
        heartbeatTicks: Math.max(1, Math.round(heartbeatIntervalMs / TICK_MS)),
        electionTicksMin,
        electionTicksMax: Math.ceil(electionTicksMin * 1.5),
        // What is on its way to a follower must fit into its arena beside what its disk has not
        // taken yet.
        maxBatchBytes: Math.min(MAX_BATCH_BYTES, this.arena.sizeBytes / 16),
        maxInflightBytes: Math.min(MAX_INFLIGHT_BYTES, this.arena.sizeBytes / 4),
        ...(preferredLeaderId === undefined ? {} : { preferredLeaderId }),
      },
      recovered.hardState,
      {
        ...recovered.tail,
        commitPosition: recovered.committedPosition,
        ...healingOf(recovered),
      },
    )
  }

  #makeReplica(recovered: Recovered): Replica {
    const { tail, lastChainCrc, committedPosition } = recovered
    const { endPosition, lastIndex, lastTerm } = tail
    const end: LogEnd = { endPosition, lastIndex, lastTerm, lastChainCrc }
    return new Replica({
      raft: this.#makeRaft(recovered),
      arena: this.arena,
      end,
      committedPosition,
      soundPosition: soundPositionOf(recovered.holes),
      segmentBytes: this.#settings.segmentBytes,
      storage: this.#storage,
      peers: this.#hub,
      peerIds: this.#settings.members
        .map((member) => member.id)
        .filter((id) => id !== this.#settings.selfId),
      reader: catchUpReader(this.files),
      syncBeforeAck: this.#settings.syncBeforeAck,
      maxUncommittedBytes: this.arena.sizeBytes / 2,
      barrierChannel: this.#settings.barrierChannel ?? CHANNEL_NORMAL,
      hooks: {
        ...this.#hooks,
        onTransferEnded: (_target, done, reason) => {
          if (done) this.#hooks.onHandedOver?.()
          this.#endTransfer(done, reason)
        },
      },
      wake: () => this.#hooks.touch(),
    })
  }

  #makeIoHandlers(): IoEventHandlers {
    const { replica } = this
    const hooks = this.#hooks
    return {
      onDurable: (position) => replica.onDurable(position),
      onHardStateSaved: (id) => replica.onHardStateSaved(id),
      onTruncated: (truncated) => {
        this.files.forget(truncated.endPosition)
        this.#repairer.forget(truncated.endPosition)
        hooks.onCut?.(truncated.endPosition, truncated.lastIndex)
        replica.onTruncated(truncated.id, truncated)
      },
      onFailed: (file, error) => {
        hooks.onStorageFailed?.(file, error)
        replica.onStorageFailed(`${file}: ${error}`)
      },
      onDiskFull: () => {
        hooks.onDiskFull(true)
        replica.onDiskFull(true)
        hooks.log('error', 'the disk is full: new writes are refused until space returns')
      },
      onDiskOk: () => {
        hooks.onDiskFull(false)
        replica.onDiskFull(false)
        hooks.log('info', 'the disk has space again: writes are taken')
      },
      onClosed: () => this.#onClosed(),
      onFound: (finding) => this.#onFound(finding),
      onHole: (hole) => this.#repairer.damaged(hole),
      onRepaired: ({ position, soundPosition, lastChainCrc, refusal }) => {
        this.#repairer.onRepaired(position, refusal)
        if (refusal !== '') return
        replica.onMended(soundPosition, lastChainCrc)
        hooks.onRepaired?.(position)
      },
      onScrubbed: () => hooks.onScrubbed?.(),
      onRemoved: (firstPosition, firstIndex, soundPosition) => {
        // What is kept of the first file may speak of files that are gone.
        this.files.forget(0)
        this.#repairer.forget(Number.POSITIVE_INFINITY, firstPosition)
        replica.onTrimmed(firstPosition, firstIndex, soundPosition)
        hooks.onTrimmed?.(firstPosition, firstIndex)
      },
    }
  }
}

function byFitness(left: PeerStatus, right: PeerStatus): number {
  if (left.diskFull !== right.diskFull) return left.diskFull ? 1 : -1
  return right.matchPosition - left.matchPosition
}

function healingOf(recovered: Recovered): Pick<LogTail, 'healing'> {
  const { holes, lost, hardState } = recovered
  if (holes.length === 0 && lost === undefined) return {}
  const { untilPosition, term } = lost ?? { untilPosition: 0, term: hardState.term }
  return { healing: { soundPosition: soundPositionOf(recovered.holes), untilPosition, term } }
}
