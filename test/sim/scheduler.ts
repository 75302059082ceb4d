/**
 * What happens when: a timing wheel over slots of 5 ms, in typed arrays. Owns the invariant that
 * events of one slot run in the order in which they were planned, those planned meanwhile last, so
 * that a run is a function of its seed.
 */
import { assert } from '@ringledger/base'

export const SLOT_MS = 5
/** Slots of one nominal tick (25 ms). */
export const TICK_SLOTS = 5
const WHEEL_SLOTS = 8192
const CAPACITY = 32_768

export const EventKind = {
  tick: 0,
  turn: 1,
  disk: 2,
  deliver: 3,
  told: 4,
  reconnect: 5,
  silence: 6,
  flush: 7,
  restart: 8,
  read: 9,
  heal: 10,
} as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

export type EventHandler = (kind: number, node: number, stamp: number, item: unknown) => void

export class Scheduler {
  /** The slot now. */
  now = 0
  /** Events handled. */
  handled = 0
  readonly #heads = new Int32Array(WHEEL_SLOTS).fill(-1)
  readonly #tails = new Int32Array(WHEEL_SLOTS).fill(-1)
  readonly #next = new Int32Array(CAPACITY)
  readonly #kinds = new Uint8Array(CAPACITY)
  readonly #nodes = new Int16Array(CAPACITY)
  readonly #stamps = new Int32Array(CAPACITY)
  readonly #items: unknown[] = new Array(CAPACITY).fill(undefined)
  #free = 0

  constructor() {
    this.reset()
  }

  /** Forgets everything: another run begins. */
  reset(): void {
    this.now = 0
    this.handled = 0
    this.#heads.fill(-1)
    this.#tails.fill(-1)
    this.#items.fill(undefined)
    for (let at = 0; at < CAPACITY; at++) this.#next[at] = at + 1
    this.#next[CAPACITY - 1] = -1
    this.#free = 0
  }

  /** Plans an event `inSlots` from now; 0: still in this slot, behind what is planned for it. */
  plan(inSlots: number, kind: EventKind, node: number, stamp: number, item?: unknown): void {
    const event = this.#free
    assert(event >= 0, 'the number of planned events is bounded')
    this.#free = this.#next[event] as number
    this.#kinds[event] = kind
    this.#nodes[event] = node
    this.#stamps[event] = stamp
    this.#items[event] = item
    this.#next[event] = -1
    const slot = (this.now + Math.min(inSlots, WHEEL_SLOTS - 1)) % WHEEL_SLOTS
    const tail = this.#tails[slot] as number
    if (tail < 0) this.#heads[slot] = event
    else this.#next[tail] = event
    this.#tails[slot] = event
  }

  /** Handles everything planned for this slot, then moves on to the next one. */
  runSlot(handle: EventHandler): void {
    const slot = this.now % WHEEL_SLOTS
    for (;;) {
      const event = this.#heads[slot] as number
      if (event < 0) break
      const next = this.#next[event] as number
      this.#heads[slot] = next
      if (next < 0) this.#tails[slot] = -1
      const item = this.#items[event]
      this.#items[event] = undefined
      this.#next[event] = this.#free
      this.#free = event
      this.handled++
      handle(
        this.#kinds[event] as number,
        this.#nodes[event] as number,
        this.#stamps[event] as number,
        item,
      )
    }
    this.now++
  }
}
