/**
 * The core thread's view of the network workers: orders what they submit and tells them what became
 * of it. Invariant: the core thread alone refuses for good; what workers know of its state is a
 * hint.
 */
import { assert } from '@ringledger/base'
import type { CoreClients } from './core-agent.ts'
import type { FrontLink, Submission } from './front-link.ts'
import { type LogOrder, refusalOf } from './log-order.ts'
import { PendingKind } from './pending-sends.ts'
import type { SendOwner } from './send-answers.ts'
import { SendRefusal } from './send-responder.ts'
import { CoreState } from './submit-frames.ts'
import type { TopicSlot } from './topic-table.ts'

export interface RemoteFrontsParts {
  links: readonly FrontLink[]
  order: LogOrder
  /** Shared word that tells the workers how sends are taken, see `CoreState`. */
  state: Int32Array
  /** Takes in what the broker thread has published, topics among it. */
  drainBroker(): void
  /** Asks for another turn. */
  touch(): void
}

export class RemoteFronts implements CoreClients, SendOwner {
  readonly #parts: RemoteFrontsParts
  readonly #onSubmission = (link: FrontLink, submission: Submission): void =>
    this.#take(link, submission)
  #shownState = 0
  #moreWaits = false

  constructor(parts: RemoteFrontsParts) {
    this.#parts = parts
  }

  drain(): void {
    this.#moreWaits = false
    // What waits in the rings is ordered, or refused, when a leader is there.
    if (this.#parts.order.holding) return
    for (const link of this.#parts.links) {
      if (link.drain(this.#onSubmission)) this.#moreWaits = true
    }
  }

  flush(): void {
    const { order, links } = this.#parts
    const state = (order.serving ? CoreState.SERVING : 0) | (order.holding ? CoreState.HOLDING : 0)
    if (state !== this.#shownState) {
      this.#shownState = state
      Atomics.store(this.#parts.state, 0, state)
      for (const link of links) link.wake()
    }
    for (const link of links) link.flush()
    if (this.#moreWaits) this.#parts.touch()
  }

  onStored(slot: number): void {
    const { pending } = this.#parts.order
    const link = this.#linkOf(slot)
    const physicalOffset = pending.physicalOffset[slot] as number
    const queueOffset = pending.queueOffset[slot] as number
    link.stored(pending.opaque[slot] as number, physicalOffset, queueOffset)
  }

  onLost(slot: number): void {
    const token = this.#parts.order.pending.opaque[slot] as number
    this.#linkOf(slot).refused(token, SendRefusal.LEADERSHIP_LOST)
  }

  onAnswer(): void {
    assert(false, 'the broker thread answers clients through their network worker')
  }

  onCloseRequest(): void {
    assert(false, 'the broker thread closes connections through their network worker')
  }

  /** The network workers hear it from the broker thread themselves. */
  relayTo(): void {}

  #linkOf(slot: number): FrontLink {
    return this.#parts.links[this.#parts.order.pending.connectionId[slot] as number] as FrontLink
  }

  #take(link: FrontLink, submission: Submission): void {
    const refusal = this.#place(link, submission)
    if (refusal !== undefined && submission.token >= 0) link.refused(submission.token, refusal)
  }

  /** Orders it, or says why not. */
  #place(link: FrontLink, submission: Submission): SendRefusal | undefined {
    const { order } = this.#parts
    if (!order.serving) return SendRefusal.NOT_SERVING
    if (order.diskFull) return SendRefusal.DISK_FULL
    const topic = this.#topicOf(submission)
    if (topic === undefined) return SendRefusal.TOPIC_CHANGED
    const { token, queueId, bytes, start, end } = submission
    const kind = token < 0 ? PendingKind.ONE_WAY : PendingKind.CLIENT
    const slot = order.append(kind, topic.queueSlotBase + queueId, bytes, start, end)
    if (slot < 0) return refusalOf(slot)
    order.pending.connectionId[slot] = link.number
    order.pending.opaque[slot] = token
    return undefined
  }

  /** A worker may have learnt of a topic before this thread looked into the broker's ring. */
  #topicOf(submission: Submission): TopicSlot | undefined {
    const known = this.#find(submission)
    if (known !== undefined) return known
    this.#parts.drainBroker()
    return this.#find(submission)
  }

  #find({ bytes, topicStart, topicEnd, queueId }: Submission): TopicSlot | undefined {
    const topic = this.#parts.order.topics.find(bytes, topicStart, topicEnd)
    return topic?.fast && queueId < topic.queueCount ? topic : undefined
  }
}
