/**
 * A whole group in a world made from one seed. Owns the order of a run: trouble, then calm in which
 * the group must find together again within a bounded time, over and over; and the loop that
 * handles the events. Invariant: nothing here depends on anything but the settings.
 */
import { InvariantError, type Random, randomBetween, seededRandom } from '@ringledger/base'
import type { PeerMessage, TimeoutNow } from '@ringledger/consensus'
import { type Counts, noCounts } from './counts.ts'
import { drillOf } from './drills.ts'
import { ensure, SimFailure } from './failure.ts'
import type { Frame } from './frames.ts'
import { Handovers } from './handovers.ts'
import { History } from './history.ts'
import { Machine } from './machine.ts'
import { Nemesis } from './nemesis.ts'
import { SimNetwork } from './network.ts'
import { EventKind, Scheduler, TICK_SLOTS } from './scheduler.ts'
import type { SimSettings } from './settings.ts'
import { SharedMemory } from './shared-memory.ts'
import { checkStores } from './store-check.ts'
import { Trace } from './trace.ts'

/** Ticks in which a healed group must have a leader that commits. */
const PROGRESS_TICKS = 400
/** Ticks in which then all members must have everything. */
const AGREEMENT_TICKS = 1500
/** Enough turns of the microtask queue for a read from files to go on. */
const SETTLE_TURNS = 16
/** Mean pause between two batches while the group is to show that it goes on. */
const CALM_TICKS = 12
const BODY_SIZES = [8, 20, 60, 120, 200]

/** What is kept between runs, so that a run allocates little. */
export class SimMemory {
  readonly scheduler: Scheduler = new Scheduler()
  readonly shared: SharedMemory[] = []

  of(member: number): SharedMemory {
    this.shared[member] ??= new SharedMemory()
    return this.shared[member] as SharedMemory
  }
}

export interface RunResult {
  readonly seed: number
  readonly digest: string
  readonly counts: Counts
  /** Why it failed; empty when all promises held. */
  readonly failure: string
  readonly tick: number
}

export class World {
  readonly settings: SimSettings
  readonly names: readonly string[]
  readonly scheduler: Scheduler
  readonly trace: Trace
  readonly counts: Counts = noCounts()
  readonly network: SimNetwork
  readonly machines: readonly Machine[]
  readonly history: History
  readonly handovers: Handovers
  readonly nemesis: Nemesis
  readonly #random: Random
  #settle = false
  #bodies = 0
  #reads = 0
  #writing = true

  constructor(settings: SimSettings, memory: SimMemory, print?: (line: string) => void) {
    this.settings = settings
    this.names = Array.from({ length: settings.members }, (_, at) => `n${at}`)
    this.scheduler = memory.scheduler
    this.scheduler.reset()
    this.trace = new Trace(this.scheduler)
    this.trace.print = print
    this.#random = seededRandom(Math.imul(settings.seed, 0x85ebca6b) ^ 0xabcdef)
    this.network = new SimNetwork(
      this.scheduler,
      seededRandom(Math.imul(settings.seed, 0xc2b2ae35) ^ 0x123456),
      settings,
      this.counts,
      {
        reachable: (node) => this.#machine(node).reachable,
        connected: (node, peer) => {
          this.#machine(node).process?.handlers?.onConnected(this.names[peer] as string)
        },
        disconnected: (node, peer) => {
          this.#machine(node).process?.handlers?.onDisconnected(this.names[peer] as string)
        },
      },
    )
    this.machines = this.names.map((_, at) => new Machine(this, at, memory.of(at)))
    this.history = new History(this.machines)
    this.handovers = new Handovers(this.scheduler)
    this.nemesis = new Nemesis(this, this.#random)
  }

  get tick(): number {
    return Math.floor(this.scheduler.now / TICK_SLOTS)
  }

  /** Runs to the end, or to the first broken promise. */
  async run(): Promise<RunResult> {
    let failure = ''
    try {
      await this.#story()
    } catch (error) {
      failure = describe(error)
    }
    const { counts } = this
    counts.runs = 1
    counts.ticks = this.tick
    counts.events = this.scheduler.handled
    counts.committed = this.history.last + 1
    this.trace.mix(99, this.history.last, this.history.acknowledgedIndex, counts.events)
    return { seed: this.settings.seed, digest: this.trace.digest, counts, failure, tick: this.tick }
  }

  /** Something asynchronous goes on: the microtasks run before the next slot. */
  settleSoon(): void {
    this.#settle = true
  }

  nextBody(): { number: number; fill: number } {
    this.#bodies++
    return { number: this.#bodies, fill: this.#bodies & 0xff }
  }

  /** A leader tells another node to campaign. */
  onHandover({ from, to, term }: TimeoutNow): void {
    this.handovers.onTold(to, term)
    this.trace.print && this.trace.line(Number(from.slice(1)), `hands over to ${to}`)
  }

  onArrival(message: PeerMessage): void {
    if (message.type === 'timeoutNow') this.handovers.onArrived(message.to, message.term)
    if (this.trace.print === undefined) return
    const { type, from, to, ...rest } = message
    this.trace.line(Number(to.slice(1)), `from ${from}: ${type} ${JSON.stringify(rest)}`)
  }

  /** Lets `ticks` pass; `done` ends it earlier. True if it did. */
  async pass(ticks: number, done?: () => boolean): Promise<boolean> {
    const { scheduler } = this
    const end = scheduler.now + ticks * TICK_SLOTS
    while (scheduler.now < end) {
      if (scheduler.now % TICK_SLOTS === 0) {
        if (done?.()) return true
        this.#clients()
      }
      scheduler.runSlot(this.#handle)
      if (!this.#settle) continue
      this.#settle = false
      for (let turn = 0; turn < SETTLE_TURNS; turn++) await undefined
    }
    return done?.() ?? false
  }

  /** The one leader that may serve, if there is one. */
  get leader(): Machine | undefined {
    return this.machines.find((one) => one.process?.raft.serving)
  }

  async #story(): Promise<void> {
    const { ticks } = this.settings
    for (const machine of this.machines) machine.start()
    this.network.start()
    await this.#calm()
    while (this.tick < ticks) {
      await this.#trouble(Math.min(randomBetween(this.#random, 200, 1500), ticks - this.tick))
      await this.#calm()
      const drill = drillOf(this.#random, this)
      if (drill === undefined || this.tick >= ticks) continue
      this.counts.drills++
      await drill(this)
      await this.#calm()
    }
    checkStores(this)
  }

  async #trouble(ticks: number): Promise<void> {
    const end = this.tick + ticks
    this.network.troubled = true
    while (this.tick < end) {
      const pause = Math.ceil(-Math.log(1 - this.#random()) * this.settings.faultTicks)
      await this.pass(Math.min(pause, end - this.tick))
      this.nemesis.strike()
    }
  }

  /** All faults end; the group must go on, and all members come to hold the same. */
  async #calm(): Promise<void> {
    this.nemesis.healAll()
    this.counts.healed++
    const before = this.history.acknowledgedIndex
    const goesOn = await this.pass(PROGRESS_TICKS, () => {
      return this.leader !== undefined && this.history.acknowledgedIndex > before
    })
    ensure(goesOn, `no progress within ${PROGRESS_TICKS} ticks after all faults ended`)
    this.#writing = false
    let agree = await this.pass(AGREEMENT_TICKS, () => this.nemesis.repair() && this.agreed)
    if (!agree) {
      this.nemesis.takeOutReported()
      agree = await this.pass(AGREEMENT_TICKS, () => this.nemesis.repair() && this.agreed)
    }
    ensure(this.agreed, `members differ ${AGREEMENT_TICKS} ticks after all faults ended`)
    ensure(agree, `rot is not repaired ${AGREEMENT_TICKS} ticks after all faults ended`)
    this.nemesis.forgetRepaired()
    this.#writing = true
  }

  /** All members that run hold the same log, all of it committed, and one leads. */
  get agreed(): boolean {
    const { leader, history } = this
    if (leader === undefined) return false
    for (const machine of this.machines) {
      if (machine.refused) continue
      if (machine.log.last !== history.last || machine.committedIndex !== history.last) return false
      if (machine.syncedEnd !== machine.log.endPosition) return false
      if (!history.holdsAll(machine) || machine.process?.replica.leading !== (machine === leader)) {
        return false
      }
      if (machine.process.raft.term !== leader.process?.raft.term) return false
    }
    return true
  }

  /** What clients do in a tick. */
  #clients(): void {
    if (!this.#writing) return
    const dice = this.#random() * (this.network.troubled ? this.settings.appendTicks : CALM_TICKS)
    if (dice < 1) this.#append()
    else if (dice < 1.5) this.#read()
  }

  #append(): void {
    const machine = this.#someLeader()
    if (machine?.process === undefined) return
    const random = this.#random
    const count = random() < 0.1 ? randomBetween(random, 8, 20) : randomBetween(random, 1, 5)
    const large = random() < 0.1
    const taken = machine.process.append(count, random() < 0.3, () =>
      large ? randomBetween(random, 200, 900) : (BODY_SIZES[randomBetween(random, 0, 5)] as number),
    )
    if (taken < count) this.counts.refused++
    machine.touch()
  }

  #read(): void {
    const machine = this.#someLeader()
    if (machine?.process === undefined) return
    const id = this.#reads++
    machine.process.reads.set(id, this.history.readFloor)
    machine.process.replica.readIndex(id)
    machine.touch()
  }

  /** Clients also meet nodes that only believe that they lead. */
  #someLeader(): Machine | undefined {
    const first = randomBetween(this.#random, 0, this.machines.length)
    for (let step = 0; step < this.machines.length; step++) {
      const machine = this.#machine((first + step) % this.machines.length)
      if (machine.leads && !machine.paused) return machine
    }
    return undefined
  }

  readonly #handle = (kind: number, node: number, stamp: number, item: unknown): void => {
    const machine = this.#machine(node)
    if (machine.paused && this.#defer(machine, kind, node, stamp, item)) return
    switch (kind) {
      case EventKind.tick:
        if (machine.life === stamp) machine.onTick()
        return
      case EventKind.turn:
        if (machine.life === stamp) machine.onTurn()
        return
      case EventKind.disk:
        if (machine.life === item && machine.process?.diskStamp === stamp) machine.onDisk()
        return
      case EventKind.deliver:
        this.#deliver(machine, item as Frame)
        return
      case EventKind.told:
        this.network.onTold(node, item as number, stamp)
        return
      case EventKind.reconnect:
        this.network.onReconnect(node, item as number)
        return
      case EventKind.silence:
        this.network.onSilence(node, item as number, stamp)
        return
      case EventKind.flush:
        this.network.flush(node, item as number)
        return
      case EventKind.restart:
        machine.start()
        return
      case EventKind.read:
        if (machine.life === stamp) machine.onReadDone()
        return
      default:
        this.nemesis.onCure(stamp)
    }
  }

  /** A stopped process does nothing until it goes on; what it was sent waits. */
  #defer(machine: Machine, kind: number, node: number, stamp: number, item: unknown): boolean {
    const waits =
      kind === EventKind.tick ||
      kind === EventKind.turn ||
      kind === EventKind.deliver ||
      kind === EventKind.told ||
      kind === EventKind.disk ||
      kind === EventKind.read
    if (!waits) return false
    const slots = machine.pausedUntil - this.scheduler.now
    this.scheduler.plan(slots, kind as EventKind, node, stamp, item)
    return true
  }

  #deliver(machine: Machine, frame: Frame): void {
    if (this.network.arrives(frame)) machine.receive(frame)
    this.network.pool.give(frame)
  }

  #machine(node: number): Machine {
    return this.machines[node] as Machine
  }
}

function describe(error: unknown): string {
  if (error instanceof SimFailure) return error.message
  if (error instanceof InvariantError) return `assertion of the shipped code: ${error.stack}`
  return error instanceof Error ? `${error.stack}` : String(error)
}
