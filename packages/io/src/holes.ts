/**
 * Finds the bounds of an entry that cannot be read, from what stands around it: its index unit, the
 * unit behind, or the resume mark. Owns the rule that a hole is one entry whose place is certain; a
 * damaged part whose bounds nothing proves has none.
 */
import { ENTRY_HEADER_BYTES } from '@ringledger/protocol'
import type { IndexTable, UnitCursor } from './index-table.ts'
import type { Hole } from './recovered.ts'
import type { LogEnd } from './resume-mark.ts'

/** Behind an entry there is always room for a blank's header. */
const ROOM_BEHIND_BYTES = 8

export interface HoleSearch {
  readonly table: IndexTable
  readonly segmentBytes: number
  /** Ends that are known to be of entries, such as the mark's. */
  readonly proven: readonly LogEnd[]
}

/** Where the next entry behind `position` may start: there, or behind a filler. */
export function startsBehind(position: number, segmentBytes: number): readonly number[] {
  const inSegment = position % segmentBytes
  return inSegment === 0 ? [position] : [position, position + segmentBytes - inSegment]
}

/**
 * The entry behind `end`, which is damaged for `reason`; undefined when its place cannot be known.
 */
export function findHole(search: HoleSearch, end: LogEnd, reason: string): Hole | undefined {
  const { table, segmentBytes, proven } = search
  const index = end.index + 1
  const own = unitAt(table, index)
  const next = unitAt(table, index + 1)
  const marked = proven.find((each) => each.index === index)
  if (own !== undefined && isPlausible(own, end, segmentBytes)) {
    const endPosition = own.position + own.sizeBytes
    const fitsNext =
      next === undefined || startsBehind(endPosition, segmentBytes).includes(next.position)
    const fitsTerm = next === undefined || next.term >= own.term
    const fitsMark = marked === undefined || marked.position === endPosition
    if (fitsNext && fitsTerm && fitsMark) {
      const { position, term } = own
      return { previousEndPosition: end.position, position, endPosition, index, term, reason }
    }
  }
  return holeBefore(end, next, marked, search, reason)
}

/** The unit is damaged as well: what stands behind tells where the entry ends. */
function holeBefore(
  end: LogEnd,
  next: UnitCursor | undefined,
  marked: LogEnd | undefined,
  search: HoleSearch,
  reason: string,
): Hole | undefined {
  const { segmentBytes } = search
  const endPosition = marked?.position ?? next?.position
  if (endPosition === undefined) return undefined
  const term = marked?.term ?? (next?.term === end.term ? end.term : undefined)
  if (term === undefined) return undefined
  // A filler before or behind the entry would be in doubt: then neither end is certain.
  const starts = startsBehind(end.position, segmentBytes).filter((start) => start < endPosition)
  const position = starts.at(-1)
  if (position === undefined) return undefined
  const own = { position, sizeBytes: endPosition - position, term }
  if (marked === undefined && endPosition % segmentBytes === 0) return undefined
  if (!isPlausible(own, end, segmentBytes)) return undefined
  const previousEndPosition = end.position
  return { previousEndPosition, position, endPosition, index: end.index + 1, term, reason }
}

function unitAt(table: IndexTable, index: number): UnitCursor | undefined {
  return table.read(index) ? { ...table.unit } : undefined
}

/** Could an entry of that unit stand behind `end`? */
export function isPlausible(unit: UnitCursor, end: LogEnd, segmentBytes: number): boolean {
  const { position, sizeBytes, term } = unit
  return (
    startsBehind(end.position, segmentBytes).includes(position) &&
    sizeBytes >= ENTRY_HEADER_BYTES &&
    (position % segmentBytes) + sizeBytes + ROOM_BEHIND_BYTES <= segmentBytes &&
    term >= end.term
  )
}
