/**
 * Which index the entry has that ends where readers' view ends: walks what was committed since,
 * while it lies in the arena, and asks the files otherwise. Runs where the arena is written.
 * Invariant: index and position are of one entry; where that cannot be found out, the view stays.
 */
import { assert } from '@ringledger/base'
import type { LogFileReader, Recovered } from '@ringledger/io'
import { entryIndex, entryMagic, entrySize, MAGIC_BLANK } from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'

export class CommitIndex {
  position: number
  index: number
  readonly #arena: LogArena
  readonly #files: LogFileReader
  /**
   * The log's end at the start, or where it was cut since: from there on everything passes through
   * the arena.
   */
  #tail: { readonly position: number; readonly index: number }

  constructor(arena: LogArena, files: LogFileReader, recovered: Recovered) {
    const { tail, committedPosition, committedIndex, holes } = recovered
    this.#arena = arena
    this.#files = files
    this.#tail = { position: tail.endPosition, index: tail.lastIndex }
    this.position = arena.committed
    const [hole] = [...holes].sort((left, right) => left.position - right.position)
    // Readers are kept from what lies behind the first damaged entry.
    const stopsAtHole = arena.committed < committedPosition && hole !== undefined
    this.index = stopsAtHole ? hole.index - 1 : committedIndex
  }

  /** Everything was dropped: the log begins behind `index`, which is committed. */
  reset(position: number, index: number): void {
    this.position = position
    this.index = index
    this.#tail = { position, index }
  }

  /** The log was cut: it ends at `position`, behind `index`. */
  cut(position: number, index: number): void {
    if (position < this.#tail.position) this.#tail = { position, index }
  }

  /** `position` is the end of an entry behind the last one, on this node's disk. */
  advance(position: number): void {
    if (position <= this.position) return
    const tail = this.#tail
    if (this.position < tail.position && position >= tail.position) {
      this.position = tail.position
      this.index = tail.index
    }
    if (this.#arena.holds(this.position)) {
      this.#walk(position)
      return
    }
    const index = this.#files.indexOfPosition(position - 1)
    // An index unit that is damaged: the next commit tells.
    if (index < 0) return
    this.position = position
    this.index = index
  }

  #walk(position: number): void {
    const { view } = this.#arena
    let at = this.position
    while (at < position) {
      const offset = this.#arena.offsetOf(at)
      if (entryMagic(view, offset) !== MAGIC_BLANK) this.index = entryIndex(view, offset)
      at += entrySize(view, offset)
    }
    assert(at === position, 'a commit ends with an entry')
    this.position = position
  }
}
