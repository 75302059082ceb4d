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

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A leader is at work only when it has said so by `onServing`. */
  onRole(role: Role, leaderId: string): void {
    if (role === Role.follower && leaderId !== '') this.#untilMs = Number.NaN
    else if (Number.isNaN(this.#untilMs)) this.#untilMs = this.#clock.monotonicMs() + HOLD_MS
  }

  onServing(): void {
    this.#untilMs = Number.NaN
  }

  get holds(): boolean {
    return this.#clock.monotonicMs() < this.#untilMs
  }
}
