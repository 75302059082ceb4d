/** The whole log of a store that has a plain part: its bytes, and the Raft log's behind them. */
import type { LogFiles } from './message-reader.ts'
import type { PlainLog } from './plain-log.ts'

export class JoinedLog implements LogFiles {
  readonly plain: PlainLog
  readonly #raft: LogFiles

  constructor(plain: PlainLog, raft: LogFiles) {
    this.plain = plain
    this.#raft = raft
  }

  read(position: number, target: Buffer, offset: number, maxBytes: number): number {
    const { plain } = this
    if (position >= plain.dividedPosition)
      return this.#raft.read(position, target, offset, maxBytes)
    return plain.read(position, target, offset, maxBytes)
  }

  forget(position: number): void {
    this.#raft.forget?.(position)
  }

  /** Peers repair the Raft log; of a plain one it can only be said. */
  damaged(position: number, reason: string): Error {
    const { plain } = this
    if (position >= plain.dividedPosition) {
      return (
        this.#raft.damaged?.(position, reason) ?? new Error(`damaged at ${position}: ${reason}`)
      )
    }
    const path = plain.fileAt(position)?.path ?? 'a missing file'
    return new Error(`${path}: the old commit log is damaged at position ${position} (${reason})`)
  }
}
