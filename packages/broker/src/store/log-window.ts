/**
 * A read-ahead buffer over the segment files for walking the log entry by entry. Owns the promise
 * that the whole entry at the asked position is in the buffer (of a blank: its header), or a
 * LedgerError `CORRUPT`.
 */
import { BLANK_HEADER_BYTES, entryMagic, entrySize, MAGIC_BLANK } from '@ringledger/protocol'
import { DamagedLogError, type LogFiles } from './message-reader.ts'

const WINDOW_BYTES = 1024 * 1024
/** Far above any entry: a larger size is damage and not a reason to allocate. */
const MAX_ENTRY_BYTES = 64 * 1024 * 1024

export class LogWindow {
  readonly #files: LogFiles
  bytes: Buffer = Buffer.alloc(0)
  view: DataView = new DataView(this.bytes.buffer, 0, 0)
  /** How many bytes of `bytes` are filled. */
  filled = 0
  #start = 0

  constructor(files: LogFiles) {
    this.#files = files
  }

  /** Offset in `bytes` of the entry at `position`; the log is read up to `end` at most. */
  load(position: number, end: number): number {
    const offset = position - this.#start
    if (offset >= 0 && this.#neededBytes(offset) <= this.filled - offset) return offset
    this.#fill(position, end, WINDOW_BYTES)
    let needed = this.#neededBytes(0)
    if (needed > this.filled && needed > WINDOW_BYTES && needed <= MAX_ENTRY_BYTES) {
      this.#fill(position, end, needed)
      needed = this.#neededBytes(0)
    }
    if (needed > this.filled) {
      const what = `${this.filled} readable bytes, of ${needed} needed`
      throw this.damaged(position, what)
    }
    return 0
  }

  /** What was loaded is read anew. */
  forget(): void {
    this.filled = 0
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

  #fill(position: number, end: number, sizeBytes: number): void {
    if (this.bytes.length !== sizeBytes) {
      this.bytes = Buffer.allocUnsafeSlow(sizeBytes)
      this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, sizeBytes)
    }
    this.#start = position
    this.filled = 0
    const wanted = Math.min(sizeBytes, end - position)
    while (this.filled < wanted) {
      const count = this.#files.read(
        position + this.filled,
        this.bytes,
        this.filled,
        wanted - this.filled,
      )
      if (count <= 0) break
      this.filled += count
    }
  }
}
