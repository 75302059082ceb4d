/**
 * Decides to whom this node hands sends on: for a while after a planned change of leader, to the
 * one that it follows, once that one's first entry has told where its clients connect.
 */
import type { Clock } from '@ringledger/base'
import type { CorePort, Role } from './core-port-api.ts'

/** Twice the time after which the Java client asks for the route again. */
export const RELAY_MS = 60_000

export class RelayTarget {
  readonly #port: Pick<CorePort, 'relayTo'>
  readonly #clock: Clock
  #untilMs = Number.NEGATIVE_INFINITY
  /** Of the leader that this node follows; -1: none. */
  #term = -1
  #barrierTerm = -1
  #barrierAddress = ''
  #shown = ''

  constructor(parts: { port: Pick<CorePort, 'relayTo'>; clock: Clock }) {
    this.#port = parts.port
    this.#clock = parts.clock
  }

  /** This node led, and has given leadership away as planned. */
  onHandedOver(): void {
    this.#untilMs = this.#clock.monotonicMs() + RELAY_MS
    this.#update()
  }

  onRole(role: Role, term: number, leaderId: string): void {
    this.#term = role === 'follower' && leaderId !== '' ? term : -1
    this.#update()
  }

  /** The first entry of a leader has been applied here. */
  onBarrier(term: number, address: string): void {
    this.#barrierTerm = term
    this.#barrierAddress = address
    this.#update()
  }

  /** Now and then. */
  expire(): void {
    if (this.#shown !== '') this.#update()
  }

  #update(): void {
    const follows = this.#term >= 0 && this.#term === this.#barrierTerm
    const inTime = this.#clock.monotonicMs() < this.#untilMs
    const address = follows && inTime ? this.#barrierAddress : ''
    if (address === this.#shown) return
    this.#shown = address
    this.#port.relayTo(address)
  }
}
