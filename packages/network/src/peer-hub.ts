/**
 * The connections between the nodes of a group: one per pair, dialled by the node with the greater
 * id. Owns the invariants: at most one link per peer is up, a newer one replacing the older; a lost
 * link is told within the loop turn; what is queued for a peer is bounded. Delivery is in order
 * while a link is up, and nothing survives its loss.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { Random } from '@ringledger/base'
import { LineLimiter } from './line-limiter.ts'
import { listenOn } from './listen.ts'
import { type NetworkLog, silentLog } from './log.ts'
import type { PeerPiece } from './peer-batch.ts'
import type { PeerMessage } from './peer-codec.ts'
import { type DialerOptions, type PeerAddress, PeerDialer } from './peer-dialer.ts'
import { type Hello, helloMismatch, PEER_PROTOCOL_VERSION } from './peer-hello.ts'
import { PeerLink, type PeerLinkOwner } from './peer-link.ts'
import { readAccepted, takeoverWorks } from './socket-reader.ts'
import { Turn } from './turn.ts'

export interface PeerHubHandlers<Message extends PeerMessage> {
  /** The payload is `payload` from `start` to `end`, contiguous and valid during the call. */
  onMessage(from: string, message: Message, payload: Buffer, start: number, end: number): void
  onConnected(id: string): void
  /** What was on its way in either direction may be lost. */
  onDisconnected(id: string): void
  /**
   * The kernel has taken pieces that were held: {@link PeerHub.unflushedPosition} may have risen.
   */
  onFlushed?(id: string): void
}

export interface PeerHubOptions {
  readonly selfId: string
  readonly group: string
  readonly segmentBytes: number
  /** Like the segments' size the same on all nodes. */
  readonly maxEntryBytes: number
  /** Where this node listens for its peers. */
  readonly host: string
  readonly port: number
  /** The other nodes; this node itself may be among them. */
  readonly peers: readonly PeerAddress[]
  readonly turn?: Turn
  readonly log?: NetworkLog
  /** `send` refuses above this. */
  readonly maxQueuedBytes?: number
  /**
   * A link on which nothing came for this long is closed; the other side says something every
   * quarter of it.
   */
  readonly silenceMs?: number
  readonly minBackoffMs?: number
  readonly maxBackoffMs?: number
  readonly refusedBackoffMs?: number
  readonly connectTimeoutMs?: number
  readonly random?: Random
}

const DEFAULT_MAX_QUEUED_BYTES = 64 * 1024 * 1024
const DEFAULT_SILENCE_MS = 4000
const TICKS_PER_SILENCE = 4
const MAX_STRANGERS = 16
const MAX_REMEMBERED_REASONS = 100
const NO_PIECES: readonly PeerPiece[] = []

export class PeerHub<Message extends PeerMessage = PeerMessage> implements PeerLinkOwner {
  readonly turn: Turn
  readonly selfId: string
  readonly maxQueuedBytes: number

  readonly #options: PeerHubOptions
  readonly #handlers: PeerHubHandlers<Message>
  readonly #log: NetworkLog
  /** What whoever reaches the port can cause. */
  readonly #strangers: LineLimiter
  readonly #server: Server
  readonly #peers = new Map<string, PeerAddress>()
  readonly #dialers = new Map<string, PeerDialer>()
  /** Links that are up. */
  readonly #links = new Map<string, PeerLink>()
  /** Links that have not agreed yet. */
  readonly #greeting = new Set<PeerLink>()
  readonly #saidReasons = new Set<string>()
  readonly #refused = new WeakSet<PeerLink>()
  #takeover = false
  #ticker: NodeJS.Timeout | undefined
  #lastTickMs = 0
  #port = 0
  #closed = false

  constructor(options: PeerHubOptions, handlers: PeerHubHandlers<Message>) {
    this.#options = options
    this.#handlers = handlers
    this.turn = options.turn ?? new Turn()
    this.selfId = options.selfId
    this.maxQueuedBytes = options.maxQueuedBytes ?? DEFAULT_MAX_QUEUED_BYTES
    this.#log = options.log ?? silentLog
    this.#strangers = new LineLimiter(this.#log)
    for (const peer of options.peers) {
      if (peer.id !== options.selfId) this.#peers.set(peer.id, peer)
    }
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    )
  }

  /** The bound port; 0 before `listen` resolved. */
  get port(): number {
    return this.#port
  }

  /**
   * Resolves once peers can connect, and starts to dial. @throws LedgerError PORT_BUSY, BAD_CONFIG.
   */
  async listen(): Promise<void> {
    this.#takeover = await takeoverWorks()
    this.#port = await listenOn(this.#server, this.#options)
    this.#server.on('error', (error) => this.#log('error', `accepting peers: ${error.message}`))
    this.#lastTickMs = performance.now()
    this.#ticker = setInterval(() => this.#tick(), this.#tickMs())
    for (const peer of this.#peers.values()) {
      if (this.selfId > peer.id) this.#startDialer(peer)
    }
  }

  /** Closes all links and the port; no handler is called any more. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#ticker)
    this.#strangers.close()
    for (const dialer of this.#dialers.values()) dialer.stop()
    for (const link of [...this.#links.values(), ...this.#greeting]) link.close('this node stops')
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  /**
   * Queues a message, and behind it the bytes of `pieces` without copying: they must stay as they
   * are until {@link unflushedPosition} has passed them or the link is down. False when the peer is
   * not connected or its queue is full: nothing goes out then. True promises nothing about arrival.
   */
  send(to: string, message: Message, pieces: readonly PeerPiece[] = NO_PIECES): boolean {
    return this.#links.get(to)?.send(message, pieces) ?? false
  }

  /** Whether a peer is connected that may be asked for damaged entries. */
  repairs(id: string): boolean {
    const link = this.#links.get(id)
    return link?.up === true && link.repairs
  }

  /** Whether a peer is connected that may be asked about its old commit log. */
  oldLogs(id: string): boolean {
    const link = this.#links.get(id)
    return link?.up === true && link.oldLogs
  }

  isConnected(id: string): boolean {
    return this.#links.get(id)?.up ?? false
  }

  /**
   * Lowest log position of pinned pieces for `id` (without `id`: for any peer) that the kernel has
   * not taken; Infinity: none.
   */
  unflushedPosition(id?: string): number {
    if (id !== undefined) {
      return this.#links.get(id)?.unflushedPosition ?? Number.POSITIVE_INFINITY
    }
    let lowest = Number.POSITIVE_INFINITY
    for (const link of this.#links.values()) lowest = Math.min(lowest, link.unflushedPosition)
    return lowest
  }

  /** Bytes given to `send` that the kernel has not taken. */
  queuedBytes(id: string): number {
    return this.#links.get(id)?.queuedBytes ?? 0
  }

  /**
   * Closes the link, which releases its pieces at once; `onDisconnected` follows, then a new
   * attempt to connect.
   */
  drop(id: string, reason: string): void {
    this.#links.get(id)?.close(reason)
  }

  onHello(link: PeerLink, hello: Hello): void {
    const dialled = link.peerId !== ''
    const refusal = this.#refusal(link, hello)
    if (!dialled) {
      const ours = this.#hello(hello.selfId)
      link.sendHello(refusal ? { ...ours, refusal } : ours)
    }
    if (refusal) {
      this.#sayOnce(link, 'warn', refusal)
      this.#refused.add(link)
      link.closeAfterFlush(refusal)
      return
    }
    link.peerId = hello.selfId
    link.up = true
    link.wasUp = true
    link.repairs = hello.repairs === true
    link.oldLogs = hello.oldLogs === true
    this.#greeting.delete(link)
    this.#replace(link)
    this.#dialers.get(link.peerId)?.succeeded()
    this.#log('info', `peer ${link.peerId} connected (${link.address})`)
    this.#handlers.onConnected(link.peerId)
  }

  onMessage(from: string, message: PeerMessage, payload: Buffer, start: number, end: number): void {
    if (!this.#closed) this.#handlers.onMessage(from, message as Message, payload, start, end)
  }

  onFlushed(link: PeerLink): void {
    if (!this.#closed) this.#handlers.onFlushed?.(link.peerId)
  }

  onDown(link: PeerLink, reason: string): void {
    this.#greeting.delete(link)
    if (this.#closed) return
    if (this.#links.get(link.peerId) === link) {
      this.#links.delete(link.peerId)
      this.#log('info', `peer ${link.peerId} disconnected (${link.address}): ${reason}`)
      this.#handlers.onDisconnected(link.peerId)
    } else if (!link.wasUp && !this.#refused.has(link)) {
      this.#sayOnce(link, link.peerId === '' ? 'warn' : 'info', reason)
    }
    const dialer = this.#dialers.get(link.peerId)
    if (dialer?.owns(link)) dialer.retry(this.#refused.has(link))
  }

  #refusal(link: PeerLink, hello: Hello): string | undefined {
    const mismatch = helloMismatch(this.#hello(link.peerId), hello)
    if (mismatch) return mismatch
    if (!this.#peers.has(hello.selfId)) {
      return `${hello.selfId} is not among this node's peers: check dLegerPeers`
    }
    if (link.peerId === '' && hello.selfId < this.selfId) {
      return `${hello.selfId} dialled ${this.selfId}, but the greater id dials: check dLegerSelfId`
    }
    return undefined
  }

  /**
   * The link that was up until now goes down first, so that its loss is told before the new
   * connection.
   */
  #replace(link: PeerLink): void {
    const older = this.#links.get(link.peerId)
    this.#links.set(link.peerId, link)
    if (!older) return
    this.#log(
      'warn',
      `peer ${link.peerId} connected anew, its older link (${older.address}) closes`,
    )
    older.close('replaced by a newer connection')
    this.#handlers.onDisconnected(link.peerId)
  }

  #hello(targetId: string): Hello {
    const { group, segmentBytes, maxEntryBytes, selfId } = this.#options
    const version = PEER_PROTOCOL_VERSION
    return {
      version,
      group,
      selfId,
      targetId,
      segmentBytes,
      maxEntryBytes,
      repairs: true,
      oldLogs: true,
    }
  }

  #startDialer(peer: PeerAddress): void {
    const { random = Math.random } = this.#options
    const options: DialerOptions = {
      minBackoffMs: this.#options.minBackoffMs ?? 20,
      maxBackoffMs: this.#options.maxBackoffMs ?? 200,
      refusedBackoffMs: this.#options.refusedBackoffMs ?? 5000,
      connectTimeoutMs: this.#options.connectTimeoutMs ?? 1000,
      random,
    }
    const newLink = (): PeerLink => {
      const link = new PeerLink(this, peer.id)
      this.#greeting.add(link)
      return link
    }
    const dialer = new PeerDialer(peer, options, newLink, (link) =>
      link.sendHello(this.#hello(peer.id)),
    )
    this.#dialers.set(peer.id, dialer)
    dialer.dial()
  }

  #accept(accepted: Socket): void {
    if (this.#closed) {
      accepted.destroy()
      return
    }
    const strangers = [...this.#greeting].filter((link) => link.peerId === '')
    // A peer says who it is at once; refusing the newest would let sixteen silent ones keep it out.
    if (strangers.length >= MAX_STRANGERS) strangers[0]?.close('others came and it said nothing')
    const link = new PeerLink(this, '')
    this.#greeting.add(link)
    link.attach(readAccepted(accepted, link, this.#takeover))
  }

  #tickMs(): number {
    return (this.#options.silenceMs ?? DEFAULT_SILENCE_MS) / TICKS_PER_SILENCE
  }

  #tick(): void {
    const nowMs = performance.now()
    // A late tick means that this process stood still: what the peers sent meanwhile waits unread,
    // so nobody is judged.
    const wasLate = nowMs - this.#lastTickMs > 2 * this.#tickMs()
    this.#lastTickMs = nowMs
    for (const link of [...this.#links.values(), ...this.#greeting]) {
      if (wasLate) link.silentTicks = 0
      link.tick()
      if (link.silentTicks > TICKS_PER_SILENCE) link.close('it fell silent')
    }
  }

  /** One line for each thing that is wrong, however often it is tried again. */
  #sayOnce(link: PeerLink, level: 'info' | 'warn', reason: string): void {
    const said = `${link.peerId || link.address.replace(/:\d+$/, '')} ${reason}`
    if (this.#saidReasons.has(said)) return
    if (this.#saidReasons.size >= MAX_REMEMBERED_REASONS) this.#saidReasons.clear()
    this.#saidReasons.add(said)
    const other = link.peerId === '' ? link.address : `${link.peerId} (${link.address})`
    const line = `no peer connection with ${other}: ${reason}`
    if (link.peerId === '') this.#strangers.warn(line)
    else this.#log(level, line)
  }
}
