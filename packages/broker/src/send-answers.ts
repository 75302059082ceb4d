/**
 * Tells whoever waits for an entry what became of it: the owner of plain sends, or the broker
 * thread. Invariant: an entry is answered once, and a stored one only when it has committed.
 */
import type { BrokerLink } from './broker-link.ts'
import type { AppendError } from './core-port-frames.ts'
import { PendingKind, type PendingSends } from './pending-sends.ts'

/** Who submitted plain sends; `slot` is the place among the pending. */
export interface SendOwner {
  onStored(slot: number): void
  /** The message may or may not be in the log. */
  onLost(slot: number): void
}

export class SendAnswers {
  readonly #pending: PendingSends
  readonly #link: BrokerLink
  readonly #owner: SendOwner

  constructor(parts: { pending: PendingSends; link: BrokerLink; owner: SendOwner }) {
    this.#pending = parts.pending
    this.#link = parts.link
    this.#owner = parts.owner
  }

  /** Answers everything that ends at or before `position`. */
  complete(position: number): void {
    const pending = this.#pending
    for (;;) {
      const slot = pending.oldestUpTo(position)
      if (slot < 0) return
      const kind = pending.kind[slot]
      if (kind === PendingKind.CLIENT) this.#owner.onStored(slot)
      else if (kind === PendingKind.BROKER) this.#tellBroker(slot)
      pending.shift()
    }
  }

  /** Leadership is gone: whoever waits hears that the write may or may not be in the log. */
  failAll(code: AppendError): void {
    const pending = this.#pending
    for (;;) {
      const slot = pending.oldestUpTo(Number.POSITIVE_INFINITY)
      if (slot < 0) return
      const kind = pending.kind[slot]
      if (kind === PendingKind.CLIENT) this.#owner.onLost(slot)
      else if (kind === PendingKind.BROKER) {
        this.#link.appendFailed(pending.sequence[slot] as number, code)
      }
      pending.shift()
    }
  }

  #tellBroker(slot: number): void {
    const pending = this.#pending
    this.#link.appended(
      pending.sequence[slot] as number,
      pending.physicalOffset[slot] as number,
      pending.queueOffset[slot] as number,
      pending.storeTimestampMs[slot] as number,
      pending.endPosition[slot] as number,
    )
  }
}
