/**
 * Keeps trying to reach one peer. Owns the waiting between attempts: short and random after a lost
 * connection, long after the peer refused us, never a loop without a wait.
 */
import type { Random } from '@ringledger/base'
import type { PeerLink } from './peer-link.ts'
import { dialingSocket } from './socket-reader.ts'

export interface PeerAddress {
  readonly id: string
  readonly host: string
  readonly port: number
}

export interface DialerOptions {
  readonly minBackoffMs: number
  readonly maxBackoffMs: number
  /** After a HELLO that did not match: an operator has to act first. */
  readonly refusedBackoffMs: number
  readonly connectTimeoutMs: number
  readonly random: Random
}

export class PeerDialer {
  readonly peer: PeerAddress

  readonly #options: DialerOptions
  readonly #newLink: () => PeerLink
  readonly #onConnect: (link: PeerLink) => void
  #timer: NodeJS.Timeout | undefined
  #link: PeerLink | undefined
  #attempts = 0
  #stopped = false

  /** `newLink` makes the link for an attempt, `onConnect` is told when its socket is connected. */
  constructor(
    peer: PeerAddress,
    options: DialerOptions,
    newLink: () => PeerLink,
    onConnect: (link: PeerLink) => void,
  ) {
    this.peer = peer
    this.#options = options
    this.#newLink = newLink
    this.#onConnect = onConnect
  }

  dial(): void {
    if (this.#stopped) return
    const link = this.#newLink()
    const socket = dialingSocket(link)
    this.#link = link
    link.attach(socket)
    link.address = `${this.peer.host}:${this.peer.port}`
    this.#timer = setTimeout(() => link.close('no answer'), this.#options.connectTimeoutMs)
    socket.once('connect', () => {
      clearTimeout(this.#timer)
      if (socket.localPort === this.peer.port && socket.localAddress === socket.remoteAddress) {
        // While nobody listens, TCP may connect a port of the outgoing range to itself, and keep
        // the peer from ever listening there.
        link.close('reached itself')
        return
      }
      this.#onConnect(link)
    })
    socket.connect({ host: this.peer.host, port: this.peer.port })
  }

  /** Whether `link` is the one of the latest attempt. */
  owns(link: PeerLink): boolean {
    return this.#link === link
  }

  /** The link is up: the next loss is retried quickly again. */
  succeeded(): void {
    this.#attempts = 0
  }

  /** The link of the last attempt is gone; dials again after a wait. */
  retry(refused: boolean): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    const { minBackoffMs, maxBackoffMs, refusedBackoffMs, random } = this.#options
    const ceilingMs = Math.min(maxBackoffMs, minBackoffMs * 2 ** this.#attempts)
    this.#attempts = Math.min(this.#attempts + 1, 16)
    const waitMs = refused ? refusedBackoffMs : ceilingMs * (0.5 + random() / 2)
    this.#timer = setTimeout(() => this.dial(), waitMs)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#link?.close('this node stops')
  }
}
