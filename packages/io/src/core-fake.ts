/**
 * Stands for the core thread in tests: lays sealed entries and fillers into an arena, as consensus
 * does.
 */
import { assert } from '@ringledger/base'
import {
  blankNeeded,
  ENTRY_HEADER_BYTES,
  sealEntry,
  writeBlank,
  writeEntryHeader,
} from '@ringledger/protocol'
import { LogArena, type LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import type { LogEnd } from './resume-mark.ts'

export class CoreFake {
  readonly arena: LogArena
  readonly segmentBytes: number
  end: LogEnd

  constructor(shared: LogArenaShared, segmentBytes: number, end: LogEnd) {
    this.arena = new LogArena(shared)
    this.segmentBytes = segmentBytes
    this.end = end
    this.arena.reset(end.position)
  }

  /** Lays one entry with a body of equal bytes; false when the arena has no room. */
  append(term: number, bodyBytes: number, fill: number): boolean {
    const { arena, end } = this
    const entryBytes = ENTRY_HEADER_BYTES + bodyBytes
    const blank = blankNeeded(end.position % this.segmentBytes, entryBytes, this.segmentBytes)
    if (blank > 0) {
      const at = arena.claim(end.position, blank)
      if (at < 0) return false
      writeBlank(arena.bytes, arena.view, at, blank)
    }
    const position = end.position + blank
    const offset = arena.claim(position, entryBytes)
    if (offset < 0) return false
    const index = end.index + 1
    writeEntryHeader(arena.view, offset, { index, term, position, bodyBytes })
    arena.bytes.fill(fill, offset + ENTRY_HEADER_BYTES, offset + entryBytes)
    const chainCrc = sealEntry(arena.bytes, arena.view, offset, end.chainCrc)
    this.end = { position: position + entryBytes, index, term, chainCrc }
    arena.appended = this.end.position
    return true
  }

  /** The log was cut. */
  cut(end: LogEnd): void {
    assert(end.position <= this.end.position, 'a cut does not lengthen the log')
    this.arena.truncate(end.position)
    this.end = end
  }
}
