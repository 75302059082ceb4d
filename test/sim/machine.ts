/**
 * A node of the simulated group: its disk, which outlives its processes, and the process that runs
 * on it now. Owns the events of its life (start, turn, tick, disk work, crash) and the invariant
 * that no process hears or says anything after its end.
 */
import { type Clock, type Random, randomBetween, seededRandom } from '@ringledger/base'
import { type PeerMessage, Role } from '@ringledger/consensus'
import {
  type IoPort,
  type LogStore,
  openStore,
  type Recovered,
  type StoreConfig,
} from '@ringledger/io'
import type { LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import { Ending, Stopped } from './ending.ts'
import { ensure, judgeLine } from './failure.ts'
import { decodeFrame, type Frame, payloadStartOf } from './frames.ts'
import type { Witness } from './history.ts'
import { NodeLog } from './node-log.ts'
import { SimProcess } from './process.ts'
import { EventKind, SLOT_MS, TICK_SLOTS } from './scheduler.ts'
import { MAX_PASSES, type SimSettings } from './settings.ts'
import { clearShared, type SharedMemory } from './shared-memory.ts'
import { SimDisk } from './sim-disk.ts'
import type { World } from './world.ts'

export class Machine implements Witness {
  readonly world: World
  readonly number: number
  readonly name: string
  readonly names: readonly string[]
  readonly settings: SimSettings
  readonly random: Random
  readonly disk: SimDisk
  readonly storeConfig: StoreConfig
  readonly arenaShared: LogArenaShared
  readonly port: IoPort
  readonly coreBell: SharedArrayBuffer
  readonly clock: Clock
  readonly log: NodeLog = new NodeLog()
  readonly preferred: string | undefined
  process: SimProcess | undefined
  syncedEnd = 0
  /** Where a cut under way cuts; Infinity for none. */
  cutPending: number = Number.POSITIVE_INFINITY
  committedIndex = -1
  shownIndex = -1
  /** Grows with every process; events of earlier ones are void. */
  life = 0
  pausedUntil = 0
  tickSlots: number = TICK_SLOTS
  /** Disk work waits this much longer. */
  slowDiskSlots = 0
  /** A refusal to start on damage that was done to it. */
  refused = false
  /** Bits that flipped in its log or its index since all of it was whole. */
  flips = 0
  /** A bit flipped in one copy of term and vote, or of the mark, since the start. */
  slotRotten = false
  /** The oldest entry kept. */
  firstIndex = 0
  #scrubbed = false
  /** The process that was asked to look for rot. */
  #scrubLife = -1
  #passes = 0
  /** Damage that the pass has found and not made good. */
  #findings = 0
  /** Starts again by itself. */
  #restartPlanned = false
  /** Changes on the disk left until the process is stopped in one; -1: none planned. */
  #changesLeft = -1
  #stopBy: Ending = Ending.power
  #stopped = false
  #nextTick = 0
  /** Failures that were put into its disk and may halt it. */
  faultsPending = 0
  #savedTerm = 0
  #savedVote: string | null = null
  /** A read from the files waits for the disk. */
  readonly #readers: (() => void)[] = []

  constructor(world: World, number: number, shared: SharedMemory) {
    const { settings } = world
    this.world = world
    this.number = number
    this.settings = settings
    this.names = world.names
    this.name = world.names[number] as string
    this.random = seededRandom(Math.imul(settings.seed, 31) + number * 7919 + 17)
    const settle = (): void => world.settleSoon()
    this.disk = new SimDisk(settings, number, () => this.#diskTurn(), settle)
    this.disk.beforeChange = () => this.#beforeChange()
    this.storeConfig = {
      rootDirectory: '/store',
      selfId: this.name,
      segmentBytes: settings.segmentBytes,
      indexSegmentBytes: settings.indexSegmentBytes,
      minimumFreeBytes: 1,
      zeroAheadBytes: settings.zeroAheadBytes,
      markEveryBytes: settings.markEveryBytes,
    }
    this.arenaShared = shared.arena(settings)
    this.port = shared.portFor(settings)
    this.coreBell = shared.coreBell
    const nowMs = (): number => world.scheduler.now * SLOT_MS
    this.clock = { wallMs: nowMs, monotonicMs: nowMs }
    const preferred = settings.preferredLeader
    this.preferred = preferred < 0 ? undefined : (world.names[preferred] as string)
  }

  get damaged(): boolean {
    return this.flips > 0
  }

  /** It knows of damage that it could not have repaired. */
  get reports(): boolean {
    return this.#findings > 0 || (this.process?.core.damagedEntries ?? 0) > 0
  }

  get up(): boolean {
    return this.process !== undefined
  }

  /** Peers can connect to it now. */
  get reachable(): boolean {
    return this.process !== undefined && !this.process.closing && !this.paused
  }

  get leads(): boolean {
    return this.process?.replica.leading ?? false
  }

  get paused(): boolean {
    return this.pausedUntil > this.world.scheduler.now
  }

  /** Opens the store and joins the group; tried again later when the disk does not let it. */
  start(): void {
    const { world } = this
    this.#restartPlanned = false
    if (this.up || this.refused) return
    clearShared(this.arenaShared, this.port)
    let opened: ReturnType<typeof openStore>
    try {
      opened = openStore(this.storeConfig, this.disk)
    } catch (error) {
      this.#notStarted(error)
      return
    }
    this.#changesLeft = -1
    this.life++
    world.counts.restarts++
    this.#checkRecovered(opened.recovered)
    this.syncedEnd = opened.store.end.position
    this.#watchCuts(opened.store)
    this.process = new SimProcess(this, opened.store, opened.recovered)
    const { term, votedFor } = this.process.raft.status()
    const isKept = term > this.#savedTerm || votedFor === this.#savedVote
    ensure(isKept, `${this.name} starts without the vote that it has cast`)
    world.trace.mix(1, this.number, opened.recovered.tail.lastIndex, this.life)
    world.trace.print && world.trace.line(this.number, `starts with ${this.log.last + 1} entries`)
    this.#nextTick = world.scheduler.now + this.random() * this.tickSlots
    this.#planTick()
    this.planDisk(randomBetween(this.random, 0, 10))
  }

  /** Ends the process at once. */
  stop(ending: Ending, silently: boolean): void {
    if (this.process !== undefined) {
      this.process.ended = true
      this.process = undefined
      this.life++
      this.pausedUntil = 0
      this.#readers.length = 0
      this.world.network.nodeGone(this.number, silently)
    }
    this.#stopped = false
    this.#changesLeft = -1
    this.faultsPending = 0
    if (ending === Ending.power) this.disk.crash()
    else this.disk.kill()
    const { trace } = this.world
    trace.mix(2, this.number, ending === Ending.power ? 1 : 0, this.life)
    trace.print && trace.line(this.number, `ends: ${ending}`)
  }

  restartIn(slots: number): void {
    if (this.#restartPlanned) return
    this.#restartPlanned = true
    this.world.scheduler.plan(slots, EventKind.restart, this.number, 0)
  }

  /** The process ends in the middle of the `changes`-th change to the disk from now. */
  stopInChange(changes: number, ending: Ending): void {
    this.#changesLeft = changes
    this.#stopBy = ending
  }

  /**
   * Looks for rot in all of its files and has it repaired, until a pass finds nothing; called again
   * and again, `healthy` says when it is done.
   */
  scrub(): void {
    const { process } = this
    if (process === undefined) return
    if (this.#scrubLife !== this.life) {
      this.#scrubLife = this.life
      this.#passes = 0
    } else if (!this.#scrubbed || !this.#isWhole || this.healthy || this.#passes >= MAX_PASSES) {
      return
    }
    this.#passes++
    this.#scrubbed = false
    this.#findings = 0
    process.core.scrub()
    this.planDisk(1)
  }

  onFound(repaired: boolean): void {
    if (!repaired) this.#findings++
  }

  onScrubbed(): void {
    this.#scrubbed = true
  }

  /** What was damaged may be damaged again. */
  forgetDamage(): void {
    this.flips = 0
    this.#scrubLife = -1
  }

  /** A pass that began after all repairs has found nothing. */
  get healthy(): boolean {
    return this.#scrubbed && this.#passes > 1 && this.#findings === 0 && this.#isWhole
  }

  get #isWhole(): boolean {
    const { process } = this
    if (process === undefined) return false
    return process.core.damagedEntries === 0 && process.raft.status().healing === null
  }

  /** The end of injected trouble. */
  calmDown(): void {
    this.#changesLeft = -1
    this.disk.clearFaults()
    this.disk.capacityBytes = Number.POSITIVE_INFINITY
    this.slowDiskSlots = 0
    this.tickSlots = TICK_SLOTS
  }

  onTick(): void {
    const { process } = this
    if (process === undefined) return
    const quiet = process.tick()
    this.#planTick()
    if (!quiet) this.touch()
  }

  /** Something arrived: the turn ends in this slot. */
  touch(): void {
    const { process } = this
    if (process === undefined || process.turnPlanned) return
    process.turnPlanned = true
    this.world.scheduler.plan(0, EventKind.turn, this.number, this.life)
  }

  onTurn(): void {
    const { process } = this
    if (process === undefined) return
    process.turnPlanned = false
    process.core.pollStorage()
    process.core.endTurn()
    this.look()
    if (process.agent.hasWork()) this.planDisk(randomBetween(this.random, 0, this.#syncSlots()))
  }

  /** The checkers look at what the process holds now. */
  look(): void {
    const { process } = this
    if (process === undefined) return
    const { replica, raft } = process
    const end = replica.endPosition
    if (end < this.log.endPosition) {
      this.log.cutTo(end)
      ensure(this.log.last >= this.shownIndex, `${this.name} cut off entries shown to readers`)
    }
    if (end > this.log.endPosition) this.log.follow(replica.arena, end, this.#onEntry)
    if (raft.commitPosition !== process.seenCommit) {
      process.seenCommit = raft.commitPosition
      this.world.history.onCommitted(this, raft.term, raft.commitPosition, replica.leading)
    }
  }

  readonly #onEntry = (index: number): void => {
    this.world.history.onEntry(this, index)
  }

  /** Disk work: one duty of the IO agent. */
  onDisk(): void {
    const { process, world } = this
    if (process === undefined) return
    process.diskAt = Number.POSITIVE_INFINITY
    const worked = process.agent.duty()
    if (this.#stopped) {
      world.nemesis.onStoppedInCall(this, this.#stopBy)
      return
    }
    this.syncedEnd = process.store.end.position
    const { term, votedFor } = process.store.hardState.current
    this.#savedTerm = term
    this.#savedVote = votedFor
    world.trace.mix(3, this.number, this.syncedEnd, term)
    if (worked) {
      world.scheduler.plan(randomBetween(this.random, 0, 2), EventKind.turn, this.number, this.life)
    }
    if (process.agent.closed) {
      world.nemesis.onClosed(this)
      return
    }
    const soon = worked && process.agent.hasWork()
    const slots = soon ? this.#syncSlots() : Math.ceil(process.agent.sleepMs / SLOT_MS)
    this.planDisk(worked && !soon ? Math.min(slots, 10) : slots)
  }

  planDisk(slots: number): void {
    const { process, world } = this
    if (process === undefined) return
    const at = world.scheduler.now + slots
    if (process.diskAt <= at) return
    process.diskAt = at
    process.diskStamp++
    world.scheduler.plan(slots, EventKind.disk, this.number, process.diskStamp, this.life)
  }

  receive(frame: Frame): void {
    const { process, world } = this
    if (process === undefined) return
    const payloadStart = payloadStartOf(frame)
    const message = decodeFrame(frame, payloadStart, this.names) as PeerMessage
    // What it asks for is read beside the event loop, even from memory.
    if (message.type.startsWith('repair')) world.settleSoon()
    world.trace.mix(4, frame.from * 16 + frame.to, frame.sizeBytes, message.term)
    world.onArrival(message)
    const { handlers } = process
    handlers?.onMessage(message.from, message, frame.bytes, payloadStart, frame.sizeBytes)
  }

  /** Resolved when the disk has turned; never when the process ends before. */
  #diskTurn(): Promise<void> {
    const { world } = this
    world.counts.catchUpReads++
    return new Promise((resolve) => {
      this.#readers.push(resolve)
      world.scheduler.plan(this.#syncSlots(), EventKind.read, this.number, this.life)
    })
  }

  onReadDone(): void {
    this.#readers.shift()?.()
    this.world.settleSoon()
  }

  onSend(message: PeerMessage): void {
    if (message.type !== 'voteReply' || !message.granted) return
    ensure(
      this.#savedTerm === message.term && this.#savedVote === message.to,
      `${this.name} votes for ${message.to} in term ${message.term} before that is synced`,
    )
  }

  onCut(): void {
    this.world.counts.truncations++
    this.cutPending = Number.POSITIVE_INFINITY
  }

  onTrimmed(firstIndex: number): void {
    this.firstIndex = firstIndex
    ensure(firstIndex <= this.world.history.last + 1, `${this.name} dropped uncommitted entries`)
    this.world.counts.trims++
  }

  onShown(position: number): void {
    this.look()
    this.world.history.onShown(this, position)
  }

  onAcknowledged(index: number, chain: number): void {
    this.world.history.onAcknowledged(this, index, chain)
    this.world.counts.acknowledged++
  }

  onRead(floor: number, position: number): void {
    if (position < 0) return
    this.world.counts.reads++
    this.world.history.onRead(this, floor, position)
  }

  onTransferred(done: boolean): void {
    if (done) this.world.counts.transfers++
  }

  onRole(role: Role, term: number, reason: string): void {
    const { world } = this
    world.trace.mix(5, this.number, term, role.length)
    world.trace.print && world.trace.line(this.number, `${role} in term ${term}: ${reason}`)
    if (role !== Role.leader) return
    world.counts.elections++
    world.history.onElected(this, term)
    this.look()
    world.history.onLeader(this, term)
  }

  /** Only what was done to its disk may take a node out of the group. */
  onHalted(reason: string): void {
    this.world.trace.print && this.world.trace.line(this.number, `halted: ${reason}`)
    const expected =
      this.damaged || this.#stopped || (this.faultsPending > 0 && reason.includes('injected'))
    ensure(expected, `${this.name} halted: ${reason}`)
    if (this.#stopped) return
    this.world.counts.failStops++
    this.world.nemesis.onFailStop(this)
  }

  onLog(level: string, line: string): void {
    judgeLine(this.name, level, line, this.world.counts.bitFlips > 0)
    this.world.trace.print && this.world.trace.line(this.number, `${level}: ${line}`)
  }

  onDropped(id: string, reason: string): void {
    this.world.trace.print && this.world.trace.line(this.number, `drops ${id}: ${reason}`)
  }

  #syncSlots(): number {
    const slots = 1 + randomBetween(this.random, 0, this.settings.maxSyncSlots + 1)
    return slots + this.slowDiskSlots
  }

  #planTick(): void {
    const { now } = this.world.scheduler
    this.#nextTick = Math.max(this.#nextTick + this.tickSlots, now + 1)
    const slots = Math.max(1, Math.round(this.#nextTick - now))
    this.world.scheduler.plan(slots, EventKind.tick, this.number, this.life)
  }

  #beforeChange(): void {
    if (this.#changesLeft < 0) return
    if (this.#changesLeft-- > 0) return
    this.#stopped = true
    // Whatever the process still tries has no effect on the disk.
    this.#changesLeft = 0
    throw new Stopped('the process was stopped in a call')
  }

  #notStarted(error: unknown): void {
    const { world } = this
    if (error instanceof Stopped) {
      if (this.#stopBy === Ending.power) world.counts.powerLossesInRecovery++
      this.stop(this.#stopBy, true)
      this.restartIn(randomBetween(this.random, 1, 200))
      return
    }
    world.nemesis.onRefusedStart(this, error)
  }

  #checkRecovered(recovered: Recovered): void {
    const { tail, lastChainCrc, hardState, committedPosition } = recovered
    // Behind a damaged last entry the chain is not known.
    const chained = lastChainCrc < 0 || this.log.chainOf(tail.lastIndex) === lastChainCrc
    ensure(tail.lastIndex <= this.log.last && chained, `${this.name} found a log that it never had`)
    const kept = tail.endPosition >= Math.min(this.syncedEnd, this.cutPending)
    ensure(kept, `${this.name} lost what it had synced`)
    this.cutPending = Number.POSITIVE_INFINITY
    const voteKept =
      hardState.term > this.#savedTerm ||
      (hardState.term === this.#savedTerm &&
        (this.#savedVote === null || hardState.votedFor === this.#savedVote))
    ensure(voteKept, `${this.name} lost its term or vote`)
    this.#savedTerm = hardState.term
    this.#savedVote = hardState.votedFor
    this.log.cut(tail.lastIndex)
    this.firstIndex = tail.firstIndex
    this.slotRotten = false
    this.world.history.onRecovered(this, committedPosition, tail.firstPosition)
  }

  /** A cut that a stop interrupts may be done or not. */
  #watchCuts(store: LogStore): void {
    const truncate = store.truncate.bind(store)
    store.truncate = (position) => {
      this.cutPending = position
      return truncate(position)
    }
  }
}
