/**
 * What a rollback is asked, what it uses and what it reports. The builder of queues, index and
 * tables is the broker's; it is handed in, because this package knows nothing of a broker.
 */
import type { MessageNote } from '../report.ts'

/** Builds everything beside the commit log; every method may throw LedgerError. */
export interface StoreBuilder {
  /**
   * The message `bytes[offset, offset + sizeBytes)`, as it stands in the new log at
   * `physicalOffset`. `wasPlain`: it stood in a plain log before.
   */
  addMessage(
    bytes: Buffer,
    view: DataView,
    offset: number,
    sizeBytes: number,
    physicalOffset: number,
    wasPlain: boolean,
  ): void
  /** A state record; positions are of its entry, in the member's log. */
  applyRecord(text: string, position: number, endPosition: number): void
  /** How far delayed messages were delivered, as a delivered message carries it. */
  applyDelayMark(mark: number, position: number, endPosition: number): void
  /** Durable on return; the mark is plain JSON. */
  save(): unknown
  /** `sourceEnd`: where the member's log ends. What was built is whole and durable on return. */
  finish(sourceEnd: number): BuiltFiles
  close(): void
  /** In place of `close` after an error: nothing more is written. */
  abandon(): void
}

/** What stands beside the new log. */
export interface BuiltFiles {
  readonly queues: number
  readonly units: number
  /** Queues of which no message is left: they go on at their offset. */
  readonly expiredQueues: number
  /** Delayed messages that are still to be delivered. */
  readonly delayedPending: number
  /** Queues that ended further on in the source than its log gives; one line each. */
  readonly shortQueues: readonly string[]
}

/** What a builder is opened for; `resume` takes up the one that gave `mark`. */
export interface BuilderRequest {
  readonly rootDirectory: string
  readonly sourceDirectory: string
  readonly logFirstOffset: number
  readonly resume?: { readonly mark: unknown; readonly endOffset: number }
}

export interface RollbackOptions {
  /** storePathRootDir of the stopped member. */
  readonly root: string
  /** storePathCommitLog and storePathDLedgerCommitLog, when they are not below the root. */
  readonly commitLog?: string
  readonly raftLog?: string
  /** Where the plain store comes to be; absent or an empty directory. */
  readonly target: string
  readonly openBuilder: (request: BuilderRequest) => StoreBuilder
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
  /** Said once: that an earlier run is taken up, or not. */
  readonly onNote?: (text: string) => void
  /** What is copied between two points at which a killed run can be taken up; default 1 GiB. */
  readonly saveEveryBytes?: number
}

/** A message whose offset, and with it its offset id, is another one now. */
export interface MovedMessage extends MessageNote {
  readonly fromOffset: number
  readonly fromId: string
  readonly toId: string
}

export interface RollbackReport {
  readonly source: string
  readonly target: string
  readonly messages: number
  /** Messages of the old part: offset and offset id are what they were. */
  readonly unmovedMessages: number
  readonly firstMoved?: MovedMessage
  /** Records of ours that Apache has no use for; their content is in the tables. */
  readonly stateRecords: number
  readonly firstOffset: number
  readonly endOffset: number
  readonly segmentBytes: number
  /** Newest entry of the Raft log that was taken over. */
  readonly lastEntry: { readonly index: number; readonly term: number }
  /** Entries at the end that this member did not know to be committed; they are taken over. */
  readonly uncommittedEntries: number
  readonly built: BuiltFiles
}
