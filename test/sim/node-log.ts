/**
 * A node's log as the checkers see it: of every entry its end, term and chain checksum, which
 * stands for the content of it and of all before it. Owns the invariant that an entry is taken in
 * only after its place, order and checksums were looked at.
 */
import {
  checkEntry,
  entryChainCrc,
  entryMagic,
  entrySize,
  entryTerm,
  MAGIC_BLANK,
} from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { ensure } from './failure.ts'

/** More than a run lays. */
export const MAX_ENTRIES = 16_384

export class NodeLog {
  readonly ends: Float64Array = new Float64Array(MAX_ENTRIES)
  readonly terms: Int32Array = new Int32Array(MAX_ENTRIES)
  readonly chains: Uint32Array = new Uint32Array(MAX_ENTRIES)
  /** Index of the last entry; -1 for none. */
  last = -1
  readonly #expected = { position: 0, index: 0, previousChainCrc: 0 }

  get endPosition(): number {
    return this.endOf(this.last)
  }

  endOf(index: number): number {
    return index < 0 ? 0 : (this.ends[index] as number)
  }

  chainOf(index: number): number {
    return index < 0 ? 0 : (this.chains[index] as number)
  }

  termOf(index: number): number {
    return index < 0 ? -1 : (this.terms[index] as number)
  }

  /** Takes in the arena's entries up to `to`. */
  follow(arena: LogArena, to: number, onEntry: (index: number) => void): void {
    const { bytes, view } = arena
    let position = this.endPosition
    while (position < to) {
      const offset = arena.offsetOf(position)
      const sizeBytes = entrySize(view, offset)
      if (entryMagic(view, offset) === MAGIC_BLANK) {
        position += sizeBytes
        continue
      }
      const expected = this.#expected
      expected.position = position
      expected.index = this.last + 1
      expected.previousChainCrc = this.chainOf(this.last)
      const verdict = checkEntry(bytes, view, offset, to - position, expected)
      ensure(verdict === 'ok', 'an entry in memory is not whole or out of place')
      position += sizeBytes
      this.#add(position, entryTerm(view, offset), entryChainCrc(view, offset))
      onEntry(this.last)
    }
    ensure(position === to, 'the log in memory does not end with an entry')
  }

  cut(last: number): void {
    ensure(last <= this.last, 'a cut lengthened the log')
    this.last = last
  }

  /** The log ends at `position` now. */
  cutTo(position: number): void {
    while (this.endPosition > position) this.last--
    ensure(this.endPosition === position, 'a log was cut at no end of an entry')
  }

  #add(end: number, term: number, chain: number): void {
    this.last++
    ensure(this.last < MAX_ENTRIES, 'the simulator holds no more entries')
    this.ends[this.last] = end
    this.terms[this.last] = term
    this.chains[this.last] = chain
  }
}
