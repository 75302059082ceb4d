/**
 * The log as Raft sees it: no bytes, only which term covers which positions.
 * Invariants: spans ascend in term, position and index and touch each other; the last one reaches
 * to `endPosition`. Two logs that have the same term at the same entry end are equal up to there.
 */
import { assert } from '@ringledger/base'
import { type LogTail, NO_TERM, type TermSpan } from './messages.ts'

/** Where two logs part, and the index of the last entry before that place. */
export interface Conflict {
  readonly position: number
  readonly lastIndex: number
}

export class LogView {
  readonly #spans: TermSpan[]
  #firstPosition: number
  #firstIndex: number
  #endPosition: number
  #lastIndex: number

  constructor(tail: LogTail) {
    this.#spans = tail.spans.map((span) => ({ ...span }))
    this.#firstPosition = tail.firstPosition
    this.#firstIndex = tail.firstIndex
    this.#endPosition = tail.endPosition
    this.#lastIndex = tail.lastIndex
    this.#checkTail(tail)
  }

  #checkTail(tail: LogTail): void {
    assert(tail.firstPosition <= tail.endPosition, 'the log ends before it starts')
    assert(tail.lastTerm === this.lastTerm, 'lastTerm disagrees with the last span')
    assert(
      (this.#spans.length === 0) === (tail.firstPosition === tail.endPosition),
      'a log has spans exactly when it has entries',
    )
    const first = this.#spans[0]
    assert(first === undefined || first.firstPosition <= tail.firstPosition, 'a gap before spans')
    for (let at = 1; at < this.#spans.length; at++) {
      const before = this.#spans[at - 1] as TermSpan
      const span = this.#spans[at] as TermSpan
      assert(span.term > before.term, 'span terms must ascend')
      assert(span.firstPosition > before.firstPosition, 'span positions must ascend')
      assert(span.firstIndex > before.firstIndex, 'span indexes must ascend')
      assert(span.firstPosition < tail.endPosition, 'a span begins past the end')
      assert(span.firstIndex <= tail.lastIndex, 'a span begins past the last index')
    }
  }

  get firstPosition(): number {
    return this.#firstPosition
  }
  get firstIndex(): number {
    return this.#firstIndex
  }
  get endPosition(): number {
    return this.#endPosition
  }
  get lastIndex(): number {
    return this.#lastIndex
  }
  get lastTerm(): number {
    return this.#spans.at(-1)?.term ?? NO_TERM
  }
  get spans(): readonly TermSpan[] {
    return this.#spans
  }

  /** Number of the span that holds the byte at `position`; -1 when none does. */
  #spanNumber(position: number): number {
    let low = 0
    let high = this.#spans.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#spans[middle] as TermSpan).firstPosition <= position) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The term of the entry that ends at `position`; `NO_TERM` where the log (as kept) starts. */
  termAt(position: number): number {
    assert(position >= this.#firstPosition, 'asked for the term of a dropped entry')
    assert(position <= this.#endPosition, 'asked for the term of an entry not yet there')
    return this.#spans[this.#spanNumber(position - 1)]?.term ?? NO_TERM
  }

  /** Where the run of terms that covers the byte before `position` starts. */
  spanStart(position: number): number {
    const span = this.#spans[this.#spanNumber(position - 1)]
    return span === undefined ? this.#firstPosition : span.firstPosition
  }

  /** The spans that cover [from, to); the first keeps its own start, even if before `from`. */
  spansBetween(from: number, to: number): TermSpan[] {
    const found: TermSpan[] = []
    for (let at = Math.max(0, this.#spanNumber(from)); at < this.#spans.length; at++) {
      const span = this.#spans[at] as TermSpan
      if (span.firstPosition >= to) break
      found.push(span)
    }
    return found
  }

  /** True when a log that ends with this term and position has all that a majority may have. */
  isUpToDate(lastTerm: number, endPosition: number): boolean {
    if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm
    return endPosition >= this.#endPosition
  }

  /** The log grew by entries of `term`. */
  extend(term: number, endPosition: number, lastIndex: number): void {
    assert(endPosition > this.#endPosition, 'an append must grow the log')
    assert(lastIndex > this.#lastIndex, 'an append must grow the index')
    assert(term >= this.lastTerm, 'terms in a log never go back')
    if (term !== this.lastTerm) {
      const firstPosition = this.#endPosition
      this.#spans.push({ term, firstPosition, firstIndex: this.#lastIndex + 1 })
    }
    this.#endPosition = endPosition
    this.#lastIndex = lastIndex
  }

  /** Would the part past our end of a range with these spans join on without a gap? */
  continues(spans: readonly TermSpan[], lastIndex: number): boolean {
    if (lastIndex <= this.#lastIndex) return false
    let at = spans.length - 1
    while (at > 0 && (spans[at] as TermSpan).firstPosition > this.#endPosition) at--
    const span = spans[at]
    if (span === undefined || span.firstPosition > this.#endPosition) return false
    // A log begun anew knows nothing below its start: the run may have begun there.
    if (this.#spans.length === 0) return span.firstIndex <= this.#lastIndex + 1
    if (span.term === this.lastTerm) return span.firstIndex <= this.#lastIndex + 1
    const joins = span.firstPosition === this.#endPosition && span.term > this.lastTerm
    return joins && span.firstIndex === this.#lastIndex + 1
  }

  /** The log grew by the part past its end of a range that has these spans. */
  extendBySpans(spans: readonly TermSpan[], endPosition: number, lastIndex: number): void {
    for (let at = 0; at < spans.length; at++) {
      const next = spans[at + 1]
      const spanEnd = next === undefined ? endPosition : next.firstPosition
      if (spanEnd <= this.#endPosition) continue
      const spanLast = next === undefined ? lastIndex : next.firstIndex - 1
      this.extend((spans[at] as TermSpan).term, spanEnd, spanLast)
    }
    assert(this.#endPosition === endPosition, 'the spans did not reach to the end of the range')
  }

  /**
   * Where this log parts from a range [from, to) with these spans, looking only at what both have;
   * undefined when neither contradicts the other. `from` must match already.
   */
  findConflict(spans: readonly TermSpan[], from: number, to: number): Conflict | undefined {
    const stop = Math.min(to, this.#endPosition)
    for (let at = 0; at < spans.length; at++) {
      const theirs = spans[at] as TermSpan
      const nextTheirs = spans[at + 1]
      const start = Math.max(from, theirs.firstPosition)
      const end = Math.min(stop, nextTheirs === undefined ? to : nextTheirs.firstPosition)
      if (start >= end) continue
      const number = this.#spanNumber(start)
      const ours = this.#spans[number]
      assert(ours !== undefined, 'a kept byte has a span')
      if (ours.term !== theirs.term) {
        const index = ours.firstPosition === start ? ours.firstIndex : theirs.firstIndex
        return { position: start, lastIndex: index - 1 }
      }
      const nextOurs = this.#spans[number + 1]
      if (nextOurs !== undefined && nextOurs.firstPosition < end) {
        return { position: nextOurs.firstPosition, lastIndex: nextOurs.firstIndex - 1 }
      }
    }
    return undefined
  }

  /** Drops everything from `position` (an entry's end) on. */
  truncate(position: number, lastIndex: number): void {
    assert(position >= this.#firstPosition, 'truncated below the start of the log')
    assert(position < this.#endPosition, 'truncated at or past the end')
    assert(lastIndex >= this.#firstIndex - 1, 'truncated below the first index')
    while (this.#spans.length > 0) {
      if ((this.#spans.at(-1) as TermSpan).firstPosition < position) break
      this.#spans.pop()
    }
    this.#endPosition = position
    this.#lastIndex = lastIndex
  }

  /** Becomes an empty log that begins at `position`. */
  reset(position: number, index: number): void {
    this.#spans.length = 0
    this.#firstPosition = position
    this.#firstIndex = index
    this.#endPosition = position
    this.#lastIndex = index - 1
  }

  /** Forgets what retention dropped: everything below `firstPosition`. */
  trim(firstPosition: number, firstIndex: number): void {
    assert(firstPosition >= this.#firstPosition, 'the start of the log never goes back')
    assert(firstPosition <= this.#endPosition, 'trimmed past the end')
    this.#firstPosition = firstPosition
    this.#firstIndex = firstIndex
    const keptFrom = this.#spanNumber(firstPosition - 1)
    if (keptFrom > 0) this.#spans.splice(0, keptFrom)
  }
}
