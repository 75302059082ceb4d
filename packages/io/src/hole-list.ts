/**
 * The entries of this log that are known to be unreadable. Owns the rule that the resume mark stays
 * before those that a start found: the next start must find them again.
 */
import { type Hole, soundPositionOf } from './recovered.ts'
import { type LogEnd, UNKNOWN_CHAIN } from './resume-mark.ts'

/** More than this are not remembered one by one; a scrub finds the rest once these are repaired. */
const MAX_HOLES = 1024

export class HoleList {
  readonly #holes: Map<number, Hole> = new Map()
  #markHeldAt: LogEnd | undefined

  /** `sound` is the end of the log before the first of the holes that a start found. */
  constructor(found: readonly Hole[] = [], sound?: LogEnd) {
    for (const hole of found) this.#holes.set(hole.position, hole)
    if (found.length > 0) this.#markHeldAt = sound
  }

  /** The mark may say no more than this; undefined: anything. */
  get markHeldAt(): LogEnd | undefined {
    return this.#markHeldAt
  }

  /** Where the last entry before the first one ends; Infinity for none. */
  get soundPosition(): number {
    return soundPositionOf(this.#holes.values())
  }

  /** Where they start. */
  get positions(): readonly number[] {
    return [...this.#holes.keys()]
  }

  get count(): number {
    return this.#holes.size
  }

  at(position: number): Hole | undefined {
    return this.#holes.get(position)
  }

  /** End of the log if it were cut behind a hole that ends at `position`. */
  endingAt(position: number): LogEnd | undefined {
    for (const { endPosition, index, term } of this.#holes.values()) {
      if (endPosition === position) return { position, index, term, chainCrc: UNKNOWN_CHAIN }
    }
    return undefined
  }

  /** False when it was known, or there are too many. */
  add(hole: Hole): boolean {
    if (this.#holes.has(hole.position) || this.#holes.size >= MAX_HOLES) return false
    this.#holes.set(hole.position, hole)
    return true
  }

  remove(position: number): void {
    this.#holes.delete(position)
    const held = this.#markHeldAt
    if (held === undefined) return
    for (const at of this.#holes.keys()) if (at >= held.position) return
    this.#markHeldAt = undefined
  }

  /** The log was cut at `position`, or begins at `first`. */
  forget(cutAt: number, first = 0): void {
    for (const at of [...this.#holes.keys()]) if (at >= cutAt || at < first) this.remove(at)
  }
}
