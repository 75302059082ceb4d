/**
 * Numbers that cross threads. A sequence is an Int32 that wraps and is only ever compared by
 * difference; a position is a whole log offset below 2^53. Owns the invariant "a word has one
 * writer": callers keep to it, these helpers keep the width.
 */

/** How far `later` is ahead of `earlier`, for sequences less than 2^31 apart. */
export function sequenceDistance(later: number, earlier: number): number {
  return (later - earlier) | 0
}

/** The sequence `by` further on, wrapped to Int32. */
export function sequenceAdvance(sequence: number, by: number): number {
  return (sequence + by) | 0
}

/** Reads a position; everything its writer stored before it is visible afterwards. */
export function loadPosition(words: BigInt64Array, index: number): number {
  return Number(Atomics.load(words, index))
}

/** Publishes a position together with everything this thread stored before. */
export function storePosition(words: BigInt64Array, index: number, position: number): void {
  Atomics.store(words, index, BigInt(position))
}
