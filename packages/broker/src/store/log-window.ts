/**
 * Reads ahead in the segment files for walking the log entry by entry. Owns the promise
 * that the whole entry at the asked position is in the buffer (of a blank: its header), or a
 * LedgerError `CORRUPT`.
 */
import { BLANK_HEADER_BYTES, entryMagic, entrySize, MAGIC_BLANK } from '@ringledger/protocol'
import { DamagedLogError, type LogFiles } from './message-reader.ts'
import { READ_AHEAD_BYTES, ReadAhead } from './read-ahead.ts'

/** Far above any entry: a larger size is damage and not a reason to allocate. */
const MAX_ENTRY_BYTES = 64 * 1024 * 1024

export class LogWindow extends ReadAhead {
  readonly #files: LogFiles

  constructor(files: LogFiles) {
    super()
    this.#files = files
  }

  /** Offset in `bytes` of the entry at `position`; the log is read up to `end` at most. */
  load(position: number, end: number): number {
    const offset = position - this.start
    if (offset >= 0 && this.#neededBytes(offset) <= this.filled - offset) return offset
    this.fill(this.#files, position, end, READ_AHEAD_BYTES)
    let needed = this.#neededBytes(0)
    if (needed > this.filled && needed > READ_AHEAD_BYTES && needed <= MAX_ENTRY_BYTES) {
      this.fill(this.#files, position, end, needed)
      needed = this.#neededBytes(0)
    }
    if (needed > this.filled) {
      const what = `${this.filled} readable bytes, of ${needed} needed`
      throw this.damaged(position, what)
    }
    return 0
  }

  /** What was loaded at `position` is not what was written: it is read anew next time. */
  damaged(position: number, reason: string): DamagedLogError {
    this.forget()
    return new DamagedLogError(this.#files, position, reason)
  }

  /** Bytes that must be there from `offset` on. */
  #neededBytes(offset: number): number {
    if (this.filled - offset < BLANK_HEADER_BYTES) return BLANK_HEADER_BYTES
    if (entryMagic(this.view, offset) === MAGIC_BLANK) return BLANK_HEADER_BYTES
    return Math.max(BLANK_HEADER_BYTES, entrySize(this.view, offset))
  }
}
