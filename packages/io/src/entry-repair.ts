/**
 * Puts an entry that a peer sent in the place of a damaged one. Owns the proof that it is the very
 * entry that stood there: it continues the chain of the entry before, and the entry behind
 * continues it; at the log's end its index unit, which no longer has an entry to agree with, names
 * its term.
 * An entry is its index and term, so a whole entry of both is it.
 */
import { checkEntry, entryChainCrc, entryTerm } from '@ringledger/protocol'
import { startsBehind } from './holes.ts'
import type { Hole } from './recovered.ts'
import { type LogEnd, UNKNOWN_CHAIN } from './resume-mark.ts'
import type { CareParts } from './store-parts.ts'

/**
 * Durable on return. Returns why `bytes` are not taken, '' when the entry is whole again.
 * @throws DiskError
 */
export function repairEntry(parts: CareParts, hole: Hole, bytes: Buffer): string {
  const refusal = refuseEntry(parts, hole, bytes)
  if (refusal !== '') return refusal
  parts.data.writeAt(hole.position, bytes, 0, bytes.length)
  parts.data.sync()
  parts.scan.forget()
  const written = parts.scan.single(hole.position)
  if (written?.position !== hole.endPosition) return 'it could not be read back'
  parts.holes.remove(hole.position)
  return ''
}

function refuseEntry(parts: CareParts, hole: Hole, bytes: Buffer): string {
  const { position, endPosition, index, term } = hole
  if (endPosition > parts.end().position) return 'the log no longer has this entry'
  if (bytes.length !== endPosition - position) return 'its size is another'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  parts.scan.forget()
  const before = chainBefore(parts, hole)
  const place = { position, index }
  const check = checkEntry(bytes, view, 0, bytes.length, place)
  if (check !== 'ok' && check !== 'legacy') return `its ${check} is another`
  if (entryTerm(view, 0) !== term) return 'its term is another'
  const behind = judgedBehind(parts, hole, entryChainCrc(view, 0))
  if (behind === 'refused') return 'what stands behind does not continue it'
  const chained = checkEntry(bytes, view, 0, bytes.length, { ...place, previousChainCrc: before })
  // Proven from behind, it proves in turn that the checksum before it is damaged.
  const isProven = behind === 'proven' || chained === 'ok' || chained === 'legacy'
  return isProven ? '' : `its ${chained} is another`
}

/** Checksum of the entry before; undefined when that is damaged too, or gone. */
function chainBefore({ table, scan, first, holes }: CareParts, hole: Hole): number | undefined {
  if (hole.index === 0) return 0
  if (hole.index === first().index || !table.read(hole.index - 1)) return undefined
  const { position } = table.unit
  if (holes.at(position) !== undefined) return undefined
  const entry = scan.single(position)
  return entry?.index === hole.index - 1 ? entry.chainCrc : undefined
}

/** Does what stands behind the hole continue an entry of that checksum? */
function judgedBehind(
  parts: CareParts,
  hole: Hole,
  chainCrc: number,
): 'proven' | 'refused' | 'unknown' {
  const { scan, data } = parts
  const last: LogEnd = parts.end()
  if (hole.index === last.index) {
    if (last.chainCrc === UNKNOWN_CHAIN) return 'unknown'
    return last.chainCrc === chainCrc ? 'proven' : 'refused'
  }
  for (const start of startsBehind(hole.endPosition, data.segmentBytes)) {
    // Whole by itself, but not with this entry before it: then this is another history's.
    if (scan.single(start)?.index !== hole.index + 1) continue
    if (scan.single(start, chainCrc) !== undefined) return 'proven'
    return parts.holes.at(start) === undefined ? 'refused' : 'unknown'
  }
  return 'unknown'
}
