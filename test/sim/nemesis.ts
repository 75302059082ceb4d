/**
 * Does harm to the group: one fault at a time, chosen by the seed, each with its own end. Owns what
 * is to be undone when the group is to heal, and which ends of processes it is to blame for.
 */
import { LedgerError, type Random, randomBetween } from '@ringledger/base'
import { DiskError, type FakeOperation } from '@ringledger/io'
import { Ending } from './ending.ts'
import type { Machine } from './machine.ts'
import { rot } from './rot.ts'
import { EventKind, TICK_SLOTS } from './scheduler.ts'
import type { FaultWeights } from './settings.ts'
import type { World } from './world.ts'

const DISK_OPERATIONS: readonly FakeOperation[] = [
  'write',
  'fdatasync',
  'fdatasync',
  'fsync',
  'truncate',
  'rename',
  'fsync directory',
  'open',
  'read',
]

type Harm = (machine: Machine) => void

export class Nemesis {
  readonly #world: World
  readonly #random: Random
  readonly #harms: readonly { weight: number; harm: Harm }[]
  readonly #weight: number
  /** What ends a fault; called once, at its time or when all is to heal. */
  readonly #cures = new Map<number, () => void>()
  #cure = 0

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
    const harms: Readonly<Record<keyof FaultWeights, Harm>> = {
      link: (machine) => this.#breakLink(machine),
      partition: () => this.#partition(),
      oneWay: (machine) => this.#blockOneWay(machine),
      pause: (machine) => this.#pause(machine),
      skew: (machine) => this.#skew(machine),
      power: (machine) => this.#losePower(machine),
      powerInCall: (machine) => this.#stopInCall(machine),
      kill: (machine) => this.#kill(machine),
      stop: (machine) => this.#stopCleanly(machine),
      diskError: (machine) => this.#failDisk(machine),
      fullDisk: (machine) => this.#fillDisk(machine),
      slowDisk: (machine) => this.#slowDisk(machine),
      slowSocket: (machine) => this.#slowSocket(machine),
      transfer: (machine) => this.#transfer(machine),
      trim: (machine) => this.#trim(machine),
      flip: (machine) => this.#rot(machine),
    }
    const { faults } = world.settings
    this.#harms = (Object.keys(harms) as (keyof FaultWeights)[]).map((kind) => ({
      weight: faults[kind],
      harm: harms[kind],
    }))
    this.#weight = this.#harms.reduce((sum, { weight }) => sum + weight, 0)
  }

  /** One fault. */
  strike(): void {
    const machines = this.#world.machines
    const machine = machines[randomBetween(this.#random, 0, machines.length)] as Machine
    // Leaders are where it hurts.
    const leader = machines.find((one) => one.leads)
    const victim = leader !== undefined && this.#random() < 0.4 ? leader : machine
    let dice = this.#random() * this.#weight
    for (const { weight, harm } of this.#harms) {
      dice -= weight
      if (dice >= 0) continue
      harm(victim)
      return
    }
  }

  /** Ends all faults and starts whoever is down. */
  healAll(): void {
    for (const cure of [...this.#cures.keys()]) this.onCure(cure)
    const { network, machines } = this.#world
    network.heal()
    for (const machine of machines) {
      machine.calmDown()
      if (!machine.up) machine.start()
    }
  }

  /** Has damaged members look for their damage; true once all of it was found and made good. */
  repair(): boolean {
    let done = true
    for (const machine of this.#world.machines) {
      if (!machine.damaged || machine.refused) continue
      machine.scrub()
      done = done && machine.healthy
    }
    return done
  }

  /**
   * Rot that struck an entry and its own index unit leaves no certain bounds: it is reported, and
   * an operator replaces the member. A single flipped bit must be made good.
   */
  takeOutReported(): void {
    for (const machine of this.#world.machines) {
      if (machine.flips < 2 || machine.refused || !machine.reports) continue
      this.#world.counts.reported++
      machine.refused = true
      machine.stop(Ending.kill, false)
    }
  }

  /** What was damaged may be damaged again. */
  forgetRepaired(): void {
    for (const machine of this.#world.machines) {
      if (!machine.damaged || machine.refused) continue
      machine.forgetDamage()
      this.#world.counts.repairs++
    }
  }

  /** Members with flipped bits in their logs, also those that do not start any more. */
  get #damagedCount(): number {
    return this.#world.machines.filter((machine) => machine.damaged).length
  }

  onCure(cure: number): void {
    const end = this.#cures.get(cure)
    this.#cures.delete(cure)
    end?.()
  }

  /** The disk stopped the process in the middle of a call. */
  onStoppedInCall(machine: Machine, ending: Ending): void {
    this.#world.counts.powerLossesInCalls++
    machine.stop(ending, ending === Ending.power)
    this.#restart(machine)
  }

  /** A process that left the group for its disk ends; an operator starts it again. */
  onFailStop(machine: Machine): void {
    const process = machine.process
    const { life } = machine
    this.#after(randomBetween(this.#random, 1, 40), () => {
      if (machine.life !== life || machine.process !== process) return
      machine.stop(this.#random() < 0.5 ? Ending.power : Ending.kill, false)
      this.#restart(machine)
    })
  }

  /** An orderly end is done. */
  onClosed(machine: Machine): void {
    const { life } = machine
    this.#after(0, () => {
      if (machine.life !== life) return
      machine.stop(this.#random() < 0.3 ? Ending.power : Ending.kill, false)
      this.#restart(machine)
    })
  }

  onRefusedStart(machine: Machine, error: unknown): void {
    const { trace, counts } = this.#world
    const text = error instanceof Error ? error.message : String(error)
    trace.print && trace.line(machine.number, `does not start: ${text}`)
    if (error instanceof DiskError && (machine.faultsPending > 0 || error.code === 'DISK_FULL')) {
      machine.stop(Ending.kill, false)
      this.#restart(machine)
      return
    }
    if (!machine.damaged || !(error instanceof LedgerError) || error.code !== 'CORRUPT') throw error
    counts.refusedStarts++
    machine.refused = true
    machine.stop(Ending.kill, false)
  }

  #breakLink(machine: Machine): void {
    const peer = this.#other(machine)
    if (peer === undefined) return
    this.#world.network.breakLink(machine.number, peer.number, this.#random() < 0.3)
  }

  #partition(): void {
    const { network, machines, counts } = this.#world
    const side = machines.map(() => this.#random() < 0.5)
    counts.partitions++
    for (const a of machines) {
      for (const b of machines) {
        if (a === b || side[a.number] === side[b.number]) continue
        network.setBlocked(a.number, b.number, true)
        this.#openLater(a, b)
      }
    }
  }

  #blockOneWay(machine: Machine): void {
    const { network, counts } = this.#world
    const peer = this.#other(machine)
    if (peer === undefined) return
    counts.oneWayPartitions++
    const all = this.#random() < 0.5
    const inward = this.#random() < 0.5
    for (const other of this.#world.machines) {
      if (other === machine || (!all && other !== peer)) continue
      const [from, to] = inward ? [other, machine] : [machine, other]
      network.setBlocked(from.number, to.number, true)
      this.#openLater(from, to)
    }
  }

  #openLater(from: Machine, to: Machine): void {
    this.#after(this.#ticks(5, 200), () => {
      this.#world.network.setBlocked(from.number, to.number, false)
    })
  }

  #pause(machine: Machine): void {
    if (!machine.up) return
    this.#world.counts.pauses++
    const until = this.#world.scheduler.now + this.#ticks(1, 80)
    machine.pausedUntil = Math.max(machine.pausedUntil, until)
  }

  #skew(machine: Machine): void {
    this.#world.counts.clockSkews++
    machine.tickSlots = TICK_SLOTS * (0.7 + this.#random() * 0.6)
    this.#after(this.#ticks(100, 800), () => {
      machine.tickSlots = TICK_SLOTS
    })
  }

  /** Of one machine, of some, or of all. */
  #losePower(machine: Machine): void {
    const dice = this.#random()
    for (const one of this.#world.machines) {
      const hit = one === machine || dice < 0.15 || (dice < 0.4 && this.#random() < 0.5)
      if (!hit || !one.up) continue
      this.#world.counts.powerLosses++
      one.stop(Ending.power, this.#random() < 0.5)
      this.#restart(one)
    }
  }

  #kill(machine: Machine): void {
    if (!machine.up) return
    this.#world.counts.kills++
    machine.stop(Ending.kill, false)
    this.#restart(machine)
  }

  #stopInCall(machine: Machine): void {
    const ending = this.#random() < 0.7 ? Ending.power : Ending.kill
    machine.stopInChange(randomBetween(this.#random, 0, 30), ending)
  }

  #stopCleanly(machine: Machine): void {
    const { process } = machine
    if (process === undefined || process.closing) return
    this.#world.counts.cleanStops++
    process.close()
    machine.planDisk(2)
  }

  #failDisk(machine: Machine): void {
    this.#world.counts.diskErrors++
    machine.faultsPending++
    machine.disk.failOn({
      operation: DISK_OPERATIONS[
        randomBetween(this.#random, 0, DISK_OPERATIONS.length)
      ] as FakeOperation,
      path: '/',
      errno: 'EIO',
      after: randomBetween(this.#random, 0, 6),
    })
  }

  #fillDisk(machine: Machine): void {
    this.#world.counts.fullDisks++
    const { disk } = machine
    disk.capacityBytes = 1
    disk.capacityBytes = disk.usedBytes + randomBetween(this.#random, 0, 4) * 512
    this.#after(this.#ticks(20, 300), () => {
      disk.capacityBytes = Number.POSITIVE_INFINITY
    })
  }

  #slowDisk(machine: Machine): void {
    this.#world.counts.slowDisks++
    machine.slowDiskSlots = this.#ticks(2, 40)
    this.#after(this.#ticks(20, 300), () => {
      machine.slowDiskSlots = 0
    })
  }

  #slowSocket(machine: Machine): void {
    const peer = this.#other(machine)
    if (peer === undefined) return
    const { network, counts } = this.#world
    counts.slowSockets++
    network.setSlowSocket(machine.number, peer.number, true)
    this.#after(this.#ticks(20, 300), () => {
      network.setSlowSocket(machine.number, peer.number, false)
    })
  }

  #transfer(machine: Machine): void {
    const peer = this.#other(machine)
    if (peer === undefined) return
    const { process } = machine
    if (process === undefined || process.closing) return
    const { trace } = this.#world
    trace.print && trace.line(machine.number, `is asked to hand over to ${peer.name}`)
    process.core.transfer(peer.name)
  }

  /** Only what every member holds goes: who lacks what was dropped needs a copy of a store. */
  #trim(machine: Machine): void {
    const { machines, history } = this.#world
    let index = Math.min(machine.committedIndex, history.last)
    for (const one of machines) {
      while (index >= 0 && !this.#holds(one, index)) index--
    }
    const { process, log } = machine
    if (process === undefined || process.closing || index < 0) return
    const committed = process.replica.committedBoundary
    const position = log.endOf(index)
    if (committed.position > process.core.arena.committed || position > committed.position) return
    process.core.trim(position, { ...committed })
  }

  #holds(machine: Machine, index: number): boolean {
    const same = machine.log.chainOf(index) === this.#world.history.chainOf(index)
    return same && machine.shownIndex >= index
  }

  /** At most a minority is ever damaged. */
  #rot(machine: Machine): void {
    const { machines, counts } = this.#world
    if (!machine.damaged && (this.#damagedCount + 1) * 2 >= machines.length) return
    if (rot(machine, this.#random)) counts.bitFlips++
  }

  #restart(machine: Machine): void {
    if (this.#random() < 0.2) machine.stopInChange(randomBetween(this.#random, 0, 25), Ending.power)
    machine.restartIn(this.#random() < 0.6 ? this.#ticks(1, 20) : this.#ticks(20, 300))
  }

  #other(machine: Machine): Machine | undefined {
    const { machines } = this.#world
    if (machines.length < 2) return undefined
    const step = randomBetween(this.#random, 1, machines.length)
    return machines[(machine.number + step) % machines.length]
  }

  /** Slots of a random number of ticks. */
  #ticks(low: number, high: number): number {
    // Short ones are the common case.
    const span = this.#random() ** 2 * (high - low)
    return Math.round((low + span) * TICK_SLOTS)
  }

  #after(slots: number, end: () => void): void {
    const cure = this.#cure++
    this.#cures.set(cure, end)
    this.#world.scheduler.plan(slots, EventKind.heal, 0, cure)
  }
}
