/**
 * Searches in one consume queue. They rely on the order of a queue: physical offsets and store
 * times do not fall from one unit to the next, fillers apart, which stand for messages that the log
 * no longer has.
 */
import type { ConsumeQueueUnit } from '@ringledger/protocol'

export type TimeBoundary = 'lower' | 'upper'

/** What a search needs of a queue. */
export interface SearchableQueue {
  readonly firstStoredOffset: number
  readonly minOffset: number
  readonly maxOffset: number
  unitAt(queueOffset: number, out: ConsumeQueueUnit): boolean
  read(
    fromOffset: number,
    maxUnits: number,
    visit: (
      queueOffset: number,
      physicalOffset: number,
      sizeBytes: number,
      tagsCode: number,
    ) => boolean,
  ): number
}

/** The first unit in [from, to) that is no filler goes to `out`; returns its offset, or `to`. */
function nextUnit(queue: SearchableQueue, from: number, to: number, out: ConsumeQueueUnit): number {
  if (from >= to || queue.unitAt(from, out)) return from
  return queue.read(from, to - from, (_offset, physicalOffset, sizeBytes, tagsCode) => {
    out.physicalOffset = physicalOffset
    out.sizeBytes = sizeBytes
    out.tagsCode = tagsCode
    return false
  })
}

/**
 * Smallest offset in [low, high) whose message satisfies `isLater`, `high` if none; a filler is as
 * late as the unit behind it.
 */
function firstWhere(
  queue: SearchableQueue,
  low: number,
  high: number,
  isLater: (unit: ConsumeQueueUnit) => boolean,
): number {
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  let from = low
  let to = high
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    const probe = nextUnit(queue, middle, to, unit)
    if (probe === to || isLater(unit)) to = middle
    else from = probe + 1
  }
  return nextUnit(queue, from, high, unit)
}

/**
 * First unit that is no filler and whose message starts at or above `logMinPosition`; maxOffset if
 * there is none.
 */
export function findOldestReadable(queue: SearchableQueue, logMinPosition: number): number {
  const { firstStoredOffset, maxOffset } = queue
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  if (firstStoredOffset === maxOffset) return maxOffset
  if (queue.unitAt(firstStoredOffset, unit) && unit.physicalOffset >= logMinPosition) {
    return firstStoredOffset
  }
  return firstWhere(
    queue,
    firstStoredOffset,
    maxOffset,
    (found) => found.physicalOffset >= logMinPosition,
  )
}

/** See `ConsumeQueue.offsetByTime`. */
export function findOffsetByTime(
  queue: SearchableQueue,
  timestampMs: number,
  boundary: TimeBoundary,
  storeTimestampOf: (physicalOffset: number, sizeBytes: number) => number,
): number {
  const { minOffset, maxOffset } = queue
  const storedFrom = (limitMs: number): number =>
    firstWhere(
      queue,
      minOffset,
      maxOffset,
      (unit) => storeTimestampOf(unit.physicalOffset, unit.sizeBytes) >= limitMs,
    )
  const lower = storedFrom(timestampMs)
  if (boundary === 'lower' || lower === maxOffset) return lower
  return Math.max(minOffset, storedFrom(timestampMs + 1) - 1)
}
