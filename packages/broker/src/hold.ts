/**
 * Pulls that wait for a message (long polling). Owns the invariants: a held pull is in exactly one
 * queue's set, in the deadline heap and in its connection's set, or in none of them; a queue's
 * `waiters` is the size of its set; the number of held pulls is bounded.
 */
import { type Deadlined, DeadlineHeap } from './deadline-heap.ts'
import type { Ticket } from './request.ts'
import { passesTags, type Subscription } from './subscription.ts'

/** What is needed of a ConsumeQueue here. */
export interface WatchedQueue {
  readonly topic: string
  /** Dispatch reports new messages of this queue only while this is above 0. */
  waiters: number
}

export interface HeldPull extends Deadlined {
  readonly ticket: Ticket
  readonly queue: WatchedQueue
  /** The first offset that the consumer has not seen. */
  readonly queueOffset: number
  readonly subscription: Subscription
  /** Answers; called once, at a message that passes or at the deadline. */
  readonly resume: () => void
}

export class HeldPulls {
  readonly #maxHeld: number
  readonly #byQueue = new Map<WatchedQueue, Set<HeldPull>>()
  readonly #byConnection = new Map<number, Set<HeldPull>>()
  readonly #deadlines = new DeadlineHeap<HeldPull>()
  #ready: HeldPull[] = []
  #stopped = false

  constructor(maxHeld: number) {
    this.#maxHeld = maxHeld
  }

  get size(): number {
    return this.#deadlines.size
  }

  /** The node is about to close its connections: nothing is held any more. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** When the next held pull has waited long enough; 0 when one is ready, Infinity without any. */
  get nextDeadlineMs(): number {
    return this.#ready.length > 0 ? 0 : this.#deadlines.nextMs
  }

  /** False: too many are held already, answer at once. */
  hold(pull: HeldPull): boolean {
    if (this.#deadlines.size >= this.#maxHeld) return false
    this.#deadlines.add(pull)
    addTo(this.#byQueue, pull.queue, pull)
    addTo(this.#byConnection, pull.ticket.connectionId, pull)
    pull.queue.waiters += 1
    return true
  }

  /** A message became readable: marks the pulls that want it; they run in the next `runReady()`. */
  onMessage(queue: WatchedQueue, queueOffset: number, tagsCode: number): void {
    const pulls = this.#byQueue.get(queue)
    if (pulls === undefined) return
    for (const pull of pulls) {
      if (queueOffset < pull.queueOffset || !passesTags(pull.subscription, tagsCode)) continue
      this.#makeReady(pull)
    }
  }

  /** Resumes what was marked and what is due. Returns how many. */
  runReady(nowMs: number): number {
    let due = this.#deadlines.takeDue(nowMs)
    while (due !== undefined) {
      this.#makeReady(due)
      due = this.#deadlines.takeDue(nowMs)
    }
    if (this.#ready.length === 0) return 0
    const ready = this.#ready
    this.#ready = []
    for (const pull of ready) pull.resume()
    return ready.length
  }

  /** Every pull of a topic runs again, because its configuration or its offsets changed. */
  wakeTopic(topic: string): void {
    for (const [queue, pulls] of this.#byQueue) {
      if (queue.topic === topic) for (const pull of pulls) this.#makeReady(pull)
    }
  }

  /** Every pull runs again. */
  wakeAll(): void {
    for (const pulls of this.#byQueue.values()) for (const pull of pulls) this.#makeReady(pull)
  }

  /** Every pull runs again, for the last time. */
  stop(): void {
    this.#stopped = true
    this.wakeAll()
  }

  dropConnection(connectionId: number): void {
    for (const pull of this.#byConnection.get(connectionId) ?? []) this.#forget(pull)
    if (this.#ready.length === 0) return
    this.#ready = this.#ready.filter((pull) => pull.ticket.connectionId !== connectionId)
  }

  #makeReady(pull: HeldPull): void {
    this.#forget(pull)
    this.#ready.push(pull)
  }

  #forget(pull: HeldPull): void {
    this.#deadlines.remove(pull)
    if (!removeFrom(this.#byQueue, pull.queue, pull)) return
    removeFrom(this.#byConnection, pull.ticket.connectionId, pull)
    pull.queue.waiters -= 1
  }
}

function addTo<K>(map: Map<K, Set<HeldPull>>, key: K, pull: HeldPull): void {
  const pulls = map.get(key)
  if (pulls === undefined) map.set(key, new Set([pull]))
  else pulls.add(pull)
}

function removeFrom<K>(map: Map<K, Set<HeldPull>>, key: K, pull: HeldPull): boolean {
  const pulls = map.get(key)
  if (!pulls?.delete(pull)) return false
  if (pulls.size === 0) map.delete(key)
  return true
}
