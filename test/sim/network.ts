/**
 * The network between the nodes: one connection per pair, in order while it is up, losing a suffix
 * when it breaks; directions that are blocked; delays. In the raw weather every message is on its
 * own: lost, repeated, overtaken. Owns the invariants that a connection's messages never arrive
 * over the next one, and that a node hears of the loss of a connection before it hears of a new
 * one.
 */

import { type Random, randomBetween } from '@ringledger/base'
import type { LogPiece, PeerMessage } from '@ringledger/consensus'
import type { Counts } from './counts.ts'
import { type Frame, FramePool } from './frames.ts'
import { EventKind, type Scheduler } from './scheduler.ts'
import { MAX_DELAY_SLOTS, type SimSettings } from './settings.ts'

/** A silent connection is given up after 4 s, as the shipped hub does. */
const SILENCE_SLOTS = 800
const RETRY_SLOTS = 40
/** What a message that is overtaken takes more, below this. */
const OVERTAKEN_SLOTS = 60
/** What a message that is repeated takes, by one that is not. */
const REPEATED_TIMES = 3
/** In raw weather. */
export const LONGEST_FLIGHT_SLOTS: number = (MAX_DELAY_SLOTS + OVERTAKEN_SLOTS) * REPEATED_TIMES
const NO_PIECES: readonly LogPiece[] = []

/** One direction of a pair. */
class Direction {
  blocked = false
  /** The last arrival planned: nothing overtakes it. */
  lastAt = 0
  /** Frames of the connection that broke last arrive up to here. */
  cutAt = 0
  /** Frames in a blocked direction; they go on when it opens and the connection lived on. */
  stalled: Frame[] = []
  /** Frames in a socket that takes nothing now. */
  held: Frame[] = []
  slowSocket = false
  flushing = false
}

export interface NetworkListener {
  /** The process runs and is there to be reached. */
  reachable(node: number): boolean
  connected(node: number, peer: number): void
  disconnected(node: number, peer: number): void
}

export class SimNetwork {
  readonly pool: FramePool = new FramePool()
  /** Messages are lost, repeated and overtaken, where the weather is raw. */
  troubled = false
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #settings: SimSettings
  readonly #counts: Counts
  readonly #listener: NetworkListener
  readonly #members: number
  readonly #directions: Direction[]
  /** By pair: grows with every connection and every break. */
  readonly #epochs: Int32Array
  readonly #up: Uint8Array
  /** By direction: the epoch over which the node may send; -1 when it knows no connection. */
  readonly #sends: Int32Array
  /** By direction: the node was told of a connection and not yet of its end. */
  readonly #told: Uint8Array

  constructor(
    scheduler: Scheduler,
    random: Random,
    settings: SimSettings,
    counts: Counts,
    listener: NetworkListener,
  ) {
    this.#scheduler = scheduler
    this.#random = random
    this.#settings = settings
    this.#counts = counts
    this.#listener = listener
    this.#members = settings.members
    const pairs = settings.members ** 2
    this.#directions = Array.from({ length: pairs }, () => new Direction())
    this.#epochs = new Int32Array(pairs)
    this.#up = new Uint8Array(pairs)
    this.#sends = new Int32Array(pairs).fill(-1)
    this.#told = new Uint8Array(pairs)
  }

  /** Every pair tries to connect. */
  start(): void {
    this.#eachPair((a, b) => this.#plan(randomBetween(this.#random, 0, 4), a, b))
  }

  send(
    from: number,
    to: number,
    message: PeerMessage,
    pieces: readonly LogPiece[] = NO_PIECES,
  ): boolean {
    const direction = this.#direction(from, to)
    const epoch = this.#sends[from * this.#members + to] as number
    if (epoch < 0) return false
    const hold = direction.slowSocket || direction.held.length > 0
    const frame = this.pool.encode(message, pieces, hold)
    frame.from = from
    frame.to = to
    frame.epoch = epoch
    if (!hold) {
      this.#dispatch(direction, frame)
      return true
    }
    direction.held.push(frame)
    this.#flushLater(direction, from, to)
    return true
  }

  queuedBytes(from: number, to: number): number {
    let sum = 0
    for (const { held } of this.#direction(from, to).held) {
      for (const piece of held) sum += piece.sizeBytes
    }
    return sum
  }

  unflushedPosition(from: number, to: number): number {
    let lowest = Number.POSITIVE_INFINITY
    for (const { held } of this.#direction(from, to).held) {
      for (const piece of held) if (piece.pinned) lowest = Math.min(lowest, piece.position)
    }
    return lowest
  }

  /** The node itself closes the connection. */
  drop(node: number, peer: number): void {
    if ((this.#sends[node * this.#members + peer] as number) < 0) return
    this.breakLink(node, peer, false)
  }

  /** A slow socket has taken what it held. */
  flush(from: number, to: number): void {
    const direction = this.#direction(from, to)
    direction.flushing = false
    const frames = direction.held
    direction.held = []
    for (const frame of frames) {
      this.pool.fill(frame)
      this.#dispatch(direction, frame)
    }
  }

  setSlowSocket(from: number, to: number, slow: boolean): void {
    this.#direction(from, to).slowSocket = slow
  }

  /** Whether a frame that is due reaches its process. */
  arrives(frame: Frame): boolean {
    if (!this.#listener.reachable(frame.to)) return false
    if (this.#settings.rawNetwork) return true
    const { from, to, epoch } = frame
    if (!this.#told[to * this.#members + from]) return false
    const current = this.#epochs[this.#pair(from, to)] as number
    if (epoch === current) return this.#up[this.#pair(from, to)] === 1
    const { cutAt } = this.#direction(from, to)
    return epoch === current - 1 && this.#scheduler.now <= cutAt
  }

  /** `silently`: the ends notice by their own silence only, after seconds. */
  breakLink(a: number, b: number, silently: boolean): void {
    const pair = this.#pair(a, b)
    if (this.#up[pair] === 0) return
    this.#counts.brokenLinks++
    this.#up[pair] = 0
    const epoch = (this.#epochs[pair] as number) + 1
    this.#epochs[pair] = epoch
    for (const [node, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const direction = this.#direction(node, peer)
      direction.cutAt = this.#scheduler.now + randomBetween(this.#random, 0, 8)
      this.#forget(direction)
      const slots = randomBetween(this.#random, 0, silently ? SILENCE_SLOTS : 6)
      this.#scheduler.plan(slots, EventKind.told, node, epoch, peer)
    }
    this.#plan(randomBetween(this.#random, 4, RETRY_SLOTS), a, b)
  }

  /** The process of `node` is gone, and with it its ends of all connections. */
  nodeGone(node: number, silently: boolean): void {
    for (let peer = 0; peer < this.#members; peer++) {
      if (peer === node) continue
      this.breakLink(node, peer, silently)
      this.#sends[node * this.#members + peer] = -1
      this.#told[node * this.#members + peer] = 0
    }
  }

  setBlocked(from: number, to: number, blocked: boolean): void {
    const direction = this.#direction(from, to)
    if (direction.blocked === blocked) return
    direction.blocked = blocked
    if (blocked) {
      const epoch = this.#epochs[this.#pair(from, to)] as number
      this.#scheduler.plan(SILENCE_SLOTS, EventKind.silence, from, epoch, to)
      return
    }
    const frames = direction.stalled
    direction.stalled = []
    for (const frame of frames) this.#travel(direction, frame)
  }

  isBlocked(from: number, to: number): boolean {
    return this.#direction(from, to).blocked
  }

  /** The end of every fault: all directions are open, all sockets quick. */
  heal(): void {
    for (let from = 0; from < this.#members; from++) {
      for (let to = 0; to < this.#members; to++) {
        if (from === to) continue
        this.setBlocked(from, to, false)
        this.setSlowSocket(from, to, false)
      }
    }
    this.troubled = false
  }

  /** A direction is still blocked after the time in which a silent connection is given up. */
  onSilence(from: number, to: number, epoch: number): void {
    const pair = this.#pair(from, to)
    if (this.#epochs[pair] !== epoch || !this.#direction(from, to).blocked) return
    this.breakLink(from, to, false)
  }

  /** The end of a connection is told. */
  onTold(node: number, peer: number, epoch: number): void {
    const at = node * this.#members + peer
    const sends = this.#sends[at] as number
    if (sends >= epoch) return
    this.#sends[at] = -1
    if (this.#told[at] === 0) return
    this.#told[at] = 0
    this.#listener.disconnected(node, peer)
  }

  onReconnect(a: number, b: number): void {
    const pair = this.#pair(a, b)
    if (this.#up[pair] === 1) return
    const there = this.#listener.reachable(a) && this.#listener.reachable(b)
    const open = !this.#direction(a, b).blocked && !this.#direction(b, a).blocked
    if (!there || !open) {
      this.#plan(RETRY_SLOTS, a, b)
      return
    }
    const epoch = (this.#epochs[pair] as number) + 1
    this.#epochs[pair] = epoch
    this.#up[pair] = 1
    this.#direction(a, b).lastAt = this.#scheduler.now
    this.#direction(b, a).lastAt = this.#scheduler.now
    this.#tellConnected(a, b, epoch)
    this.#tellConnected(b, a, epoch)
  }

  #tellConnected(node: number, peer: number, epoch: number): void {
    const at = node * this.#members + peer
    this.#sends[at] = epoch
    if (this.#told[at] === 1) this.#listener.disconnected(node, peer)
    this.#told[at] = 1
    this.#listener.connected(node, peer)
  }

  #plan(inSlots: number, a: number, b: number): void {
    this.#scheduler.plan(inSlots, EventKind.reconnect, a, 0, b)
  }

  #flushLater(direction: Direction, from: number, to: number): void {
    if (direction.flushing) return
    direction.flushing = true
    const slots = randomBetween(this.#random, 1, direction.slowSocket ? 120 : 4)
    this.#scheduler.plan(slots, EventKind.flush, from, 0, to)
  }

  #dispatch(direction: Direction, frame: Frame): void {
    const { rawNetwork, lossRate, duplicateRate } = this.#settings
    if (rawNetwork) {
      if (direction.blocked || (this.troubled && this.#random() < lossRate)) {
        this.#counts.lost++
        this.pool.give(frame)
        return
      }
      if (this.troubled && this.#random() < duplicateRate) {
        this.#counts.duplicated++
        this.#fly(this.pool.copyOf(frame), this.#latency() * REPEATED_TIMES)
      }
      this.#fly(frame, this.#latency())
      return
    }
    if ((this.#epochs[this.#pair(frame.from, frame.to)] as number) !== frame.epoch) {
      this.#counts.lost++
      this.pool.give(frame)
    } else if (direction.blocked) {
      direction.stalled.push(frame)
    } else {
      this.#travel(direction, frame)
    }
  }

  /** In order. */
  #travel(direction: Direction, frame: Frame): void {
    const at = Math.max(direction.lastAt, this.#scheduler.now + this.#latency())
    direction.lastAt = at
    this.#fly(frame, at - this.#scheduler.now)
  }

  #latency(): number {
    const { maxDelaySlots, rawNetwork } = this.#settings
    const slots = randomBetween(this.#random, 0, maxDelaySlots + 1)
    if (!rawNetwork || !this.troubled || this.#random() > 0.05) return slots
    this.#counts.reordered++
    return slots + randomBetween(this.#random, 0, OVERTAKEN_SLOTS)
  }

  #fly(frame: Frame, slots: number): void {
    this.#scheduler.plan(slots, EventKind.deliver, frame.to, 0, frame)
  }

  #forget(direction: Direction): void {
    for (const frame of direction.stalled) this.pool.give(frame)
    for (const frame of direction.held) this.pool.give(frame)
    direction.stalled = []
    direction.held = []
  }

  #direction(from: number, to: number): Direction {
    return this.#directions[from * this.#members + to] as Direction
  }

  #pair(a: number, b: number): number {
    return a < b ? a * this.#members + b : b * this.#members + a
  }

  #eachPair(visit: (a: number, b: number) => void): void {
    for (let a = 0; a < this.#members; a++) {
      for (let b = a + 1; b < this.#members; b++) visit(a, b)
    }
  }
}
