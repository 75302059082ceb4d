/**
 * A buffer that holds a piece of a log, read ahead of whoever walks it. Owns the promise that
 * `bytes[0, filled)` are the log's bytes from `start` on.
 */
import type { LogFiles } from './message-reader.ts'

/** Read at once. */
export const READ_AHEAD_BYTES: number = 1024 * 1024

/** Copies `sizeBytes` of the log from `position` on, fewer only where bytes are missing. */
export function readLog(
  log: Pick<LogFiles, 'read'>,
  position: number,
  target: Buffer,
  offset: number,
  sizeBytes: number,
): number {
  let done = 0
  while (done < sizeBytes) {
    const count = log.read(position + done, target, offset + done, sizeBytes - done)
    if (count <= 0) break
    done += count
  }
  return done
}

export class ReadAhead {
  bytes: Buffer = Buffer.alloc(0)
  view: DataView = new DataView(this.bytes.buffer, 0, 0)
  /** How many bytes of `bytes` are filled. */
  filled = 0
  /** Where in the log `bytes` begins. */
  protected start = 0

  /** What was read may have changed since: it is read anew next time. */
  forget(): void {
    this.filled = 0
  }

  /**
   * Holds `sizeBytes` of the log from `position` on, fewer only at `end` or where bytes are
   * missing.
   */
  protected fill(
    log: Pick<LogFiles, 'read'>,
    position: number,
    end: number,
    sizeBytes: number,
  ): void {
    if (this.bytes.length !== sizeBytes) {
      this.bytes = Buffer.allocUnsafeSlow(sizeBytes)
      this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, sizeBytes)
    }
    this.start = position
    this.filled = 0
    this.filled = readLog(log, position, this.bytes, 0, Math.min(sizeBytes, end - position))
  }
}
