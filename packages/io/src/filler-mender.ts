/**
 * Makes a damaged filler anew. A filler says nothing that is not known: it reaches from the end of
 * an entry to the end of the segment and holds zeros. Owns the rule that it is written only where
 * the entry behind it, in the next segment, continues the chain.
 */
import { BLANK_HEADER_BYTES, writeBlank } from '@ringledger/protocol'
import type { EntryScan } from './entry-scan.ts'
import { startsBehind } from './holes.ts'
import type { IndexTable } from './index-table.ts'
import type { LogEnd } from './resume-mark.ts'
import type { SegmentFiles } from './segment-files.ts'

/** Fillers are as long as the entry that did not fit, so they are looked at in parts. */
const PART_BYTES = 64 * 1024

export class FillerMender {
  readonly #data: SegmentFiles
  readonly #table: IndexTable
  readonly #scan: EntryScan
  readonly #expected: Buffer
  readonly #found: Buffer

  constructor(data: SegmentFiles, table: IndexTable, scan: EntryScan) {
    this.#data = data
    this.#table = table
    this.#scan = scan
    const partBytes = Math.min(PART_BYTES, data.segmentBytes)
    this.#expected = Buffer.alloc(partBytes)
    this.#found = Buffer.alloc(partBytes)
  }

  /** True when the filler behind `end` was damaged and is whole again, durably. */
  mend(end: LogEnd): boolean {
    const next = startsBehind(end.position, this.#data.segmentBytes)[1]
    if (next === undefined || next >= this.#data.endPosition) return false
    const index = end.index + 1
    if (this.#table.read(index) && this.#table.unit.position !== next) return false
    const entry = this.#scan.single(next, end.chainCrc < 0 ? undefined : end.chainCrc)
    return entry?.index === index && this.fill(end.position)
  }

  /** The same for a filler that is known to begin at `from`. */
  fill(from: number): boolean {
    const to = startsBehind(from, this.#data.segmentBytes)[1]
    if (to === undefined || this.#isWhole(from, to)) return false
    for (let at = from; at < to; at += this.#expected.length) {
      const sizeBytes = this.#expect(at, from, to)
      this.#data.writeAt(at, this.#expected, 0, sizeBytes)
    }
    this.#data.sync()
    return true
  }

  #isWhole(from: number, to: number): boolean {
    for (let at = from; at < to; at += this.#expected.length) {
      const sizeBytes = this.#expect(at, from, to)
      const count = this.#data.readAt(at, this.#found, 0, sizeBytes)
      if (count < sizeBytes) return false
      if (this.#expected.compare(this.#found, 0, sizeBytes, 0, sizeBytes) !== 0) return false
    }
    return true
  }

  /** The part at `at` of a filler [from, to), as it must be. */
  #expect(at: number, from: number, to: number): number {
    const expected = this.#expected
    expected.fill(0)
    if (at === from) {
      const view = new DataView(expected.buffer, expected.byteOffset, BLANK_HEADER_BYTES)
      writeBlank(expected, view, 0, BLANK_HEADER_BYTES)
      view.setInt32(4, to - from)
    }
    return Math.min(expected.length, to - at)
  }
}
