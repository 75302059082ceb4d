/**
 * Peer hubs in memory, for tests and the simulator. Owns the invariant "nothing moves by itself":
 * messages arrive when the test moves the clock, in the order of their arrival times, and every
 * loss and delay comes from the seeded random.
 */
import type { Random } from '@ringledger/base'
import type { PeerPiece } from './peer-batch.ts'
import type { PeerMessage } from './peer-codec.ts'
import type { PeerHubHandlers } from './peer-hub.ts'

export interface FakeLinkBehaviour {
  /** Part of the messages that vanish, 0 to 1. */
  lossRate: number
  /** Part of the messages that arrive twice, 0 to 1. */
  duplicateRate: number
  minDelayMs: number
  /** A range of delays reorders messages, which a real link never does. */
  maxDelayMs: number
}

interface Delivery {
  readonly atMs: number
  readonly order: number
  readonly epoch: number
  readonly from: string
  readonly to: string
  readonly message: PeerMessage
  readonly payload: Buffer
}

const NO_PIECES: readonly PeerPiece[] = []
const NO_PAYLOAD = Buffer.alloc(0)

/** The network between fake hubs. */
export class FakePeerNetwork {
  nowMs = 0
  readonly behaviour: FakeLinkBehaviour = {
    lossRate: 0,
    duplicateRate: 0,
    minDelayMs: 0,
    maxDelayMs: 0,
  }

  readonly #random: Random
  readonly #hubs = new Map<string, FakePeerHub>()
  readonly #cut = new Set<string>()
  /** Counts the losses of a link; a delivery of an earlier epoch died with its connection. */
  readonly #epochs = new Map<string, number>()
  readonly #joining: string[] = []
  #deliveries: Delivery[] = []
  #order = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** A hub that is connected with all others from the next {@link advance} on. */
  join<Message extends PeerMessage>(
    selfId: string,
    handlers: PeerHubHandlers<Message>,
  ): FakePeerHub<Message> {
    const hub = new FakePeerHub<Message>(selfId, this, handlers)
    this.#hubs.set(selfId, hub as unknown as FakePeerHub)
    this.#joining.push(selfId)
    return hub
  }

  /** The node is gone, as after a kill: its links end at once. */
  leave(id: string): void {
    for (const other of this.#hubs.keys()) if (other !== id) this.#endLink(id, other)
    this.#hubs.delete(id)
    this.#deliveries = this.#deliveries.filter(({ from, to }) => from !== id && to !== id)
  }

  /** Messages between the two vanish. `silently`: neither side is told, as with a broken switch. */
  partition(a: string, b: string, silently = false): void {
    if (this.#cut.has(linkName(a, b))) return
    this.#cut.add(linkName(a, b))
    if (!silently) this.#endLink(a, b)
  }

  /** The two reach each other again over a new connection. */
  heal(a: string, b: string): void {
    if (!this.#cut.delete(linkName(a, b))) return
    this.reconnect(a, b)
  }

  /** Closes the connection of the two and opens another one. */
  reconnect(a: string, b: string): void {
    this.#endLink(a, b)
    const bothThere = this.#hubs.has(a) && this.#hubs.has(b)
    if (bothThere && !this.#cut.has(linkName(a, b))) this.#tellConnected(a, b)
  }

  /**
   * Moves the clock and delivers what is due, also what is sent meanwhile. Returns the number of
   * deliveries.
   */
  advance(byMs: number): number {
    const untilMs = this.nowMs + byMs
    for (const id of this.#joining.splice(0)) this.#connectAll(id)
    let delivered = 0
    for (;;) {
      const next = this.#takeNext(untilMs)
      if (!next) break
      this.nowMs = Math.max(this.nowMs, next.atMs)
      if (this.#deliver(next)) delivered++
    }
    this.nowMs = untilMs
    return delivered
  }

  /** Messages under way. */
  get underWay(): number {
    return this.#deliveries.length
  }

  transmit(from: string, to: string, message: PeerMessage, payload: Buffer): void {
    const { lossRate, duplicateRate, minDelayMs, maxDelayMs } = this.behaviour
    if (this.#cut.has(linkName(from, to)) || this.#random() < lossRate) return
    const copies = this.#random() < duplicateRate ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      this.#deliveries.push({
        atMs: this.nowMs + minDelayMs + this.#random() * (maxDelayMs - minDelayMs),
        order: this.#order++,
        epoch: this.#epochs.get(linkName(from, to)) ?? 0,
        from,
        to,
        message: structuredClone(message),
        payload,
      })
    }
  }

  #takeNext(untilMs: number): Delivery | undefined {
    let best = -1
    for (let index = 0; index < this.#deliveries.length; index++) {
      const candidate = this.#deliveries[index]!
      if (candidate.atMs > untilMs) continue
      const current = this.#deliveries[best]
      if (!current || isEarlier(candidate, current)) best = index
    }
    return best < 0 ? undefined : this.#deliveries.splice(best, 1)[0]
  }

  #deliver({ from, to, message, payload, epoch }: Delivery): boolean {
    const name = linkName(from, to)
    const hub = this.#hubs.get(to)
    if (!hub || this.#cut.has(name) || epoch !== (this.#epochs.get(name) ?? 0)) return false
    hub.handlers.onMessage(from, message, payload, 0, payload.length)
    return true
  }

  #endLink(a: string, b: string): void {
    this.#epochs.set(linkName(a, b), (this.#epochs.get(linkName(a, b)) ?? 0) + 1)
    this.#hubs.get(a)?.lost(b)
    this.#hubs.get(b)?.lost(a)
  }

  #connectAll(id: string): void {
    for (const other of this.#hubs.keys()) {
      if (other !== id && !this.#cut.has(linkName(id, other))) this.#tellConnected(id, other)
    }
  }

  #tellConnected(a: string, b: string): void {
    this.#hubs.get(a)?.found(b)
    this.#hubs.get(b)?.found(a)
  }
}

/** Stands in for `PeerHub`. */
export class FakePeerHub<Message extends PeerMessage = PeerMessage> {
  readonly selfId: string
  readonly handlers: PeerHubHandlers<Message>

  readonly #network: FakePeerNetwork
  readonly #connected = new Set<string>()

  constructor(selfId: string, network: FakePeerNetwork, handlers: PeerHubHandlers<Message>) {
    this.selfId = selfId
    this.handlers = handlers
    this.#network = network
  }

  send(to: string, message: Message, pieces: readonly PeerPiece[] = NO_PIECES): boolean {
    if (!this.#connected.has(to)) return false
    const payload =
      pieces.length === 0 ? NO_PAYLOAD : Buffer.concat(pieces.map((piece) => pieceBytes(piece)))
    this.#network.transmit(this.selfId, to, message, payload)
    return true
  }

  isConnected(id: string): boolean {
    return this.#connected.has(id)
  }

  /** Bytes are copied by `send`, so nothing is ever held. */
  unflushedPosition(_id?: string): number {
    return Number.POSITIVE_INFINITY
  }

  queuedBytes(_id: string): number {
    return 0
  }

  drop(id: string, _reason: string): void {
    if (this.#connected.has(id)) this.#network.reconnect(this.selfId, id)
  }

  found(id: string): void {
    if (this.#connected.has(id)) return
    this.#connected.add(id)
    this.handlers.onConnected(id)
  }

  lost(id: string): void {
    if (this.#connected.delete(id)) this.handlers.onDisconnected(id)
  }
}

function pieceBytes({ buffer, offset, sizeBytes }: PeerPiece): Buffer {
  return buffer.subarray(offset, offset + sizeBytes)
}

function linkName(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}

function isEarlier(a: Delivery, b: Delivery): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs
}
