/**
 * Decides whether sends that find no leader here wait in their sockets or are refused. A change of
 * leader takes milliseconds; a client that is refused meanwhile asks again at once, and many of
 * them take the processor from the very nodes that elect. Invariant: one wait for a leader lasts at
 * most `HOLD_MS`, however many nodes campaign in it.
 */
import type { Clock } from '@ringledger/base'
import { Role } from '@ringledger/consensus'

/** Far below any client's timeout; longer than an election after a leader's end usually takes. */
export const HOLD_MS = 250

export class SendHold {
  readonly #clock: Clock
  /** Not a number: a leader is known. */
  #untilMs = Number.NaN
  #handedOver = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * A leader is at work only when it has said so by `onServing`. A node that has handed leadership
   * over waits until it may hand sends on.
   */
  onRole(role: Role, leaderId: string): void {
    const follows = role === Role.follower && leaderId !== ''
    if (follows && !this.#handedOver) this.#untilMs = Number.NaN
    else if (Number.isNaN(this.#untilMs)) this.#untilMs = this.#clock.monotonicMs() + HOLD_MS
  }

  onServing(): void {
    this.#end()
  }

  /** This node led, and has given leadership away as planned. */
  onHandedOver(): void {
    this.#handedOver = true
  }

  /** Sends are handed on to the leader. */
  onRelay(): void {
    this.#end()
  }

  #end(): void {
    this.#handedOver = false
    this.#untilMs = Number.NaN
  }

  get holds(): boolean {
    return this.#clock.monotonicMs() < this.#untilMs
  }
}
