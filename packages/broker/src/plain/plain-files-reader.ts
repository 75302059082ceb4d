/** The whole log of a broker in plain mode, as its readers see it. */
import type { LogFiles } from '../store/message-reader.ts'
import type { PlainLog } from '../store/plain-log.ts'

export class PlainFilesReader implements LogFiles {
  readonly plain: PlainLog

  constructor(plain: PlainLog) {
    this.plain = plain
  }

  read(position: number, target: Buffer, offset: number, maxBytes: number): number {
    return this.plain.read(position, target, offset, maxBytes)
  }

  /** Nobody else has a copy. */
  damaged(position: number, reason: string): Error {
    const path = this.plain.fileAt(position)?.path ?? 'a missing file'
    return new Error(`${path}: the commit log is damaged at position ${position} (${reason})`)
  }
}
