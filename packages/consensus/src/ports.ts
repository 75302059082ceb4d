/**
 * What the replica needs from the IO worker, from the peers' sockets and from the log files. The
 * engine gives it `IoClient`, `PeerHub` and `LogFileReader`; tests and the simulator give it fakes.
 */
import type { HardState } from './core/index.ts'

export interface LogStorage {
  /** Everything in the arena below `toPosition` may go to disk. */
  write(toPosition: number): void
  /** Cuts the log files; answered by `onTruncated`. */
  truncate(position: number, id: number): void
  /**
   * Forgets the whole log and begins an empty one at `position`, after a note of what is lost by
   * that; answered by `onTruncated`.
   */
  reset(
    position: number,
    index: number,
    lost: { readonly untilPosition: number; readonly term: number },
    id: number,
  ): void
  /** What was noted as lost is there again. */
  healed(): void
  /** Answered by `onHardStateSaved` once it is synced. */
  saveHardState(state: HardState, id: number): void
  /** Wakes the IO worker if anything was asked since the last flush. */
  flush(): void
}

/** Bytes that belong behind an Append message, sent without copying. */
export interface LogPiece {
  buffer: Buffer
  offset: number
  sizeBytes: number
  /** Log position of the first byte. */
  position: number
  /** True: the bytes lie in the arena and must not be overwritten before the socket took them. */
  pinned: boolean
}

export interface PeerTransport<Message> {
  send(to: string, message: Message, pieces?: readonly LogPiece[]): void
  /** Bytes handed to `send` that the kernel has not taken yet. */
  queuedBytes(id: string): number
  /** Lowest log position of pinned pieces that the kernel has not taken yet; Infinity for none. */
  unflushedPosition(id: string): number
  /** Closes the connection, which releases its pieces. */
  drop(id: string, reason: string): void
}

/** A run of whole entries, by its end. */
export interface EntryRange {
  endPosition: number
  /** Index of the entry that ends there. */
  lastIndex: number
}

/** Reads older parts of the log from its files, off the event loop. */
export interface CatchUpReader {
  /**
   * As many whole entries behind `from` as fit into `maxBytes` (at least one), not past `limit`.
   */
  range(from: number, limit: number, maxBytes: number): EntryRange | Promise<EntryRange>
  /** How much longer than the range a buffer for {@link readAsync} is. */
  readonly aroundBytes: number
  /** Reads [from, to) into `target`, which starts on a page; returns where it starts there. */
  readAsync(from: number, to: number, target: Buffer): Promise<number>
}
