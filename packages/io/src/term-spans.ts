/**
 * The runs of equal terms in a log, by binary search over the index units. Owns the rule that no
 * unit is believed that does not agree with its entry: units have no checksum, and a wrong term
 * would make this node agree to a wrong history.
 */
import { INDEX_UNIT_BYTES, writeIndexUnit } from '@ringledger/protocol'
import type { EntryScan } from './entry-scan.ts'
import { isPlausible, startsBehind } from './holes.ts'
import type { IndexTable, UnitCursor } from './index-table.ts'
import type { TermSpan } from './recovered.ts'
import { type LogEnd, UNKNOWN_CHAIN } from './resume-mark.ts'
import type { SegmentFiles } from './segment-files.ts'

export interface SpanSearch {
  readonly data: SegmentFiles
  readonly index: SegmentFiles
  readonly table: IndexTable
  /** With a small window: it reads single entries here and there. */
  readonly scan: EntryScan
  readonly firstIndex: number
  readonly firstPosition: number
  readonly end: LogEnd
  /** Where a unit was made anew. */
  readonly report: string[]
}

/** Undefined when a unit cannot be read and not be made anew. */
export function findSpans(search: SpanSearch): TermSpan[] | undefined {
  const { firstIndex, firstPosition, end } = search
  const spans: TermSpan[] = []
  let last = end.index
  while (last >= firstIndex) {
    const unit = soundUnit(search, last)
    if (unit === undefined) return undefined
    const first = firstOfTerm(search, unit.term, last)
    if (first < 0) return undefined
    let startPosition = firstPosition
    if (first > firstIndex) {
      const before = soundUnit(search, first - 1)
      if (before === undefined) return undefined
      startPosition = before.position + before.sizeBytes
    }
    spans.push({ term: unit.term, firstPosition: startPosition, firstIndex: first })
    last = first - 1
  }
  return spans.reverse()
}

/** First index whose entry has at least `term`; the one at `high` has. -1: a unit is unreadable. */
function firstOfTerm(search: SpanSearch, term: number, high: number): number {
  let from = search.firstIndex
  let to = high
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    const unit = soundUnit(search, middle)
    if (unit === undefined) return -1
    if (unit.term >= term) to = middle
    else from = middle + 1
  }
  return from
}

/** The unit of entry `index`, in agreement with the entry; made anew from it if it was not. */
function soundUnit(search: SpanSearch, index: number): UnitCursor | undefined {
  const { table, scan } = search
  const unit = table.read(index) ? { ...table.unit } : undefined
  if (unit !== undefined && agrees(scan, unit, index)) return unit
  const before = previousEnd(search, index)
  if (before === undefined) return undefined
  // A header is covered by the chain alone.
  const seed = before.chainCrc < 0 ? undefined : before.chainCrc
  for (const position of startsBehind(before.position, search.data.segmentBytes)) {
    const entry = seed === undefined ? undefined : scan.single(position, seed)
    if (entry?.index !== index) continue
    const made = { position, sizeBytes: entry.position - position, term: entry.term }
    writeUnit(search, index, made)
    return made
  }
  // The entry itself is damaged: the unit must fit what stands around it.
  if (unit === undefined || !isPlausible(unit, before, search.data.segmentBytes)) return undefined
  const endPosition = unit.position + unit.sizeBytes
  const next = index < search.end.index && table.read(index + 1) ? { ...table.unit } : undefined
  if (next === undefined) return endPosition === search.end.position ? unit : undefined
  const fits = startsBehind(endPosition, search.data.segmentBytes).includes(next.position)
  return fits && next.term >= unit.term ? unit : undefined
}

function agrees(scan: EntryScan, unit: UnitCursor, index: number): boolean {
  const entry = scan.single(unit.position)
  return (
    entry !== undefined &&
    entry.index === index &&
    entry.term === unit.term &&
    entry.position === unit.position + unit.sizeBytes
  )
}

/** Where the entry before `index` ends, with its checksum if that entry is whole. */
function previousEnd(search: SpanSearch, index: number): LogEnd | undefined {
  const { table, scan, firstIndex, firstPosition } = search
  if (index === firstIndex) {
    const chainCrc = firstIndex === 0 ? 0 : UNKNOWN_CHAIN
    return { position: firstPosition, index: index - 1, term: -1, chainCrc }
  }
  if (!table.read(index - 1)) return undefined
  const unit = { ...table.unit }
  const position = unit.position + unit.sizeBytes
  const chainCrc = scan.single(unit.position)?.chainCrc ?? UNKNOWN_CHAIN
  return { position, index: index - 1, term: unit.term, chainCrc }
}

function writeUnit(search: SpanSearch, index: number, unit: UnitCursor): void {
  const bytes = Buffer.alloc(INDEX_UNIT_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, INDEX_UNIT_BYTES)
  writeIndexUnit(view, 0, unit.position, unit.sizeBytes, index, unit.term)
  search.index.writeAt(index * INDEX_UNIT_BYTES, bytes, 0, INDEX_UNIT_BYTES)
  search.index.sync()
  const at = search.index.pathOf(index * INDEX_UNIT_BYTES)
  search.report.push(`${at}: the unit of entry ${index} was damaged and is made anew`)
}
