/**
 * Distance in single-character edits, a swap of neighbours counted as one; stops early above
 * `limit`.
 */
export function editDistance(
  left: string,
  right: string,
  limit: number = Number.MAX_SAFE_INTEGER,
): number {
  if (Math.abs(left.length - right.length) > limit) return limit + 1
  let beforePrevious: number[] = []
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      let cost = Math.min(
        previous[column]! + 1,
        current[column - 1]! + 1,
        previous[column - 1]! + (same ? 0 : 1),
      )
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, beforePrevious[column - 2]! + 1)
      current.push(cost)
    }
    if (Math.min(...current) > limit) return limit + 1
    beforePrevious = previous
    previous = current
  }
  return previous[right.length]!
}

/**
 * The candidate the writer most likely meant, or nothing when none is near: at most a third of the
 * word may differ, and letter case costs nothing (RocketMQ itself writes `DLeger` and `dLeger`).
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase()
  let limit = Math.max(1, Math.floor(wanted.length / 3))
  let best: string | undefined
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase(), limit)
    if (distance > limit || (distance === limit && best !== undefined)) continue
    best = candidate
    limit = distance
    if (distance === 0) break
  }
  return best
}
