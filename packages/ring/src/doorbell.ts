/**
 * How a thread sleeps and how others wake it: one bell per sleeping thread, any number of ringers.
 * Owns the invariant "no wake is lost": the owner raises its parked flag *before* it looks for work
 * the last time, and a ringer publishes its work *before* it reads the flag, so at least one of the
 * two sees the other. Work must be published by an Atomics store.
 */
import { assert } from '@ringledger/base'
import { DOORBELL_STATE_WORD, PAGE_BYTES } from './layout.ts'
import { allocateRegion } from './region.ts'

const AWAKE = 0
const PARKED = 1
const NAPPING = 2
const DEFAULT_RECHECK_MS = 25
/**
 * Longer than any timer of ours; its only work is to keep the loop alive, which a pending waitAsync
 * does not.
 */
const KEEP_ALIVE_MS = 3_600_000

export class Doorbell {
  readonly shared: SharedArrayBuffer
  readonly #words: Int32Array

  static allocate(): SharedArrayBuffer {
    return allocateRegion(PAGE_BYTES)
  }

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared
    this.#words = new Int32Array(shared, 0, 1)
  }

  /** Any thread, after it published work. Costs a load while the owner is awake. */
  ring(): void {
    if (
      Atomics.load(this.#words, DOORBELL_STATE_WORD) !== AWAKE &&
      Atomics.exchange(this.#words, DOORBELL_STATE_WORD, AWAKE) !== AWAKE
    ) {
      Atomics.notify(this.#words, DOORBELL_STATE_WORD, 1)
    }
  }

  /**
   * For work that has time until the end of a nap: wakes an owner that sleeps, not one that naps.
   */
  ringUnlessNapping(): void {
    if (
      Atomics.load(this.#words, DOORBELL_STATE_WORD) === PARKED &&
      Atomics.compareExchange(this.#words, DOORBELL_STATE_WORD, PARKED, AWAKE) === PARKED
    ) {
      Atomics.notify(this.#words, DOORBELL_STATE_WORD, 1)
    }
  }

  /**
   * Owner without event loop: returns at once if there is work, else sleeps until rung or for
   * `timeoutMs` (Infinity: no bound).
   */
  wait(timeoutMs: number, hasWork: () => boolean): void {
    this.#sleep(PARKED, timeoutMs, hasWork)
  }

  /**
   * The same, but `ringUnlessNapping` does not wake it: so that work which comes piece by piece and
   * has time until then is done in one go. The bound is the latest moment for that work.
   */
  nap(timeoutMs: number, hasUrgentWork: () => boolean): void {
    this.#sleep(NAPPING, timeoutMs, hasUrgentWork)
  }

  /**
   * Owner with event loop: calls `onWake` after each ring, at the start (for work that came
   * before), and every `recheckMs` (0: never) as a net under the protocol. `onWake` may be called
   * without there being work. Keeps the loop alive until closed.
   */
  listen(onWake: () => void, recheckMs: number = DEFAULT_RECHECK_MS): { close(): void } {
    assert(recheckMs >= 0, 'the recheck interval is not negative')
    let closed = false
    const arm = (): void => {
      if (closed) return
      Atomics.store(this.#words, DOORBELL_STATE_WORD, PARKED)
      const result = Atomics.waitAsync(this.#words, DOORBELL_STATE_WORD, PARKED)
      if (result.async) {
        result.value.then(woken)
      } else {
        queueMicrotask(woken)
      }
    }
    const woken = (): void => {
      if (closed) return
      arm()
      onWake()
    }
    const timer =
      recheckMs > 0 ? setInterval(onWake, recheckMs) : setInterval(() => {}, KEEP_ALIVE_MS)
    queueMicrotask(woken)
    return {
      close: () => {
        closed = true
        clearInterval(timer)
        this.ring()
      },
    }
  }

  #sleep(state: number, timeoutMs: number, hasWork: () => boolean): void {
    if (timeoutMs <= 0) return
    Atomics.store(this.#words, DOORBELL_STATE_WORD, state)
    if (!hasWork()) Atomics.wait(this.#words, DOORBELL_STATE_WORD, state, timeoutMs)
    Atomics.store(this.#words, DOORBELL_STATE_WORD, AWAKE)
  }
}
