/**
 * Which index the entry has that ends where readers' view ends: walks what was committed since,
 * while it lies in the arena, and asks the files otherwise. Runs where the arena is written.
 */
import { assert } from '@ringledger/base'
import type { LogFileReader } from '@ringledger/io'
import { entryIndex, entryMagic, entrySize, MAGIC_BLANK } from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'

export class CommitIndex {
  position: number
  index: number
  readonly #arena: LogArena
  readonly #files: LogFileReader

  constructor(arena: LogArena, files: LogFileReader, position: number, index: number) {
    this.#arena = arena
    this.#files = files
    this.position = position
    this.index = index
  }

  /** `position` is the end of an entry at or behind the last one, on this node's disk. */
  advance(position: number): void {
    if (position === this.position) return
    const { view } = this.#arena
    const inArena = this.#arena.holds(this.position)
    let at = inArena ? this.position : position
    while (at < position) {
      const offset = this.#arena.offsetOf(at)
      if (entryMagic(view, offset) !== MAGIC_BLANK) this.index = entryIndex(view, offset)
      at += entrySize(view, offset)
    }
    assert(at === position, 'a commit ends with an entry')
    if (!inArena) this.index = this.#files.indexOfPosition(position - 1)
    assert(this.index >= 0, 'a durable entry has an index unit')
    this.position = position
  }
}
