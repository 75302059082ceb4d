/**
 * Folds the marks of delivered delayed messages into the progress of their levels, on every node in
 * log order. Owns the rule that progress is a function of the log alone: it moves only from one
 * message to the next, or to what a record says. Marks that came too early (an earlier write
 * failed) are remembered, so that a new leader does not deliver them again.
 */
import { levelOfMark, queueOffsetOfMark } from './delay-levels.ts'

/** Early marks kept for a level; a leader never has more under way. */
const MAX_EARLY = 4_096

export class DelayProgress {
  readonly #early = new Map<number, Set<number>>()

  /** The level's next progress when the mark moves it, undefined when it does not. */
  fold(
    mark: number,
    progressOf: (level: number) => number,
  ): [level: number, next: number] | undefined {
    const level = levelOfMark(mark)
    const offset = queueOffsetOfMark(mark)
    const progress = progressOf(level)
    if (offset === progress) return [level, offset + 1]
    if (offset > progress) this.#remember(level, offset, progress)
    return undefined
  }

  /** Offsets at or behind `progress` whose message has been delivered. */
  deliveredEarly(level: number, progress: number): ReadonlySet<number> {
    const early = this.#early.get(level)
    if (early === undefined) return new Set()
    for (const offset of early) if (offset < progress) early.delete(offset)
    return early
  }

  #remember(level: number, offset: number, progress: number): void {
    const early = this.#early.get(level)
    if (early === undefined) this.#early.set(level, new Set([offset]))
    else if (early.size < MAX_EARLY || this.deliveredEarly(level, progress).size < MAX_EARLY) {
      early.add(offset)
    }
  }
}
