/**
 * Empties a log and begins it at another position, as a member does that its leader cannot fill any
 * more. May be repeated after a crash at any point.
 */
import { BLANK_HEADER_BYTES, INDEX_UNIT_BYTES, writeBlank } from '@ringledger/protocol'
import type { LogStart } from './lost-file.ts'
import { type LogEnd, UNKNOWN_CHAIN } from './resume-mark.ts'
import type { SegmentFiles } from './segment-files.ts'

/** Durable on return, but for the mark. */
export function resetLog(data: SegmentFiles, index: SegmentFiles, start: LogStart): LogEnd {
  const { position, index: firstIndex } = start
  data.removeAll()
  index.removeAll()
  data.ensure(position)
  index.ensure(firstIndex * INDEX_UNIT_BYTES)
  const filler = position - data.firstPosition
  if (filler >= BLANK_HEADER_BYTES) {
    const header = Buffer.alloc(BLANK_HEADER_BYTES)
    const view = new DataView(header.buffer, header.byteOffset, BLANK_HEADER_BYTES)
    writeBlank(header, view, 0, BLANK_HEADER_BYTES)
    view.setInt32(4, filler)
    data.writeAt(data.firstPosition, header, 0, BLANK_HEADER_BYTES)
    data.sync()
  }
  const chainCrc = firstIndex === 0 ? 0 : UNKNOWN_CHAIN
  return { position, index: firstIndex - 1, term: -1, chainCrc }
}
