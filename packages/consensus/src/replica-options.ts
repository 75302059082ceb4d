/** What a replica is made with: its surroundings, and what it tells its owner. */
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { PeerMessage, Raft, Role } from './core/index.ts'
import type { LogEnd } from './entry-writer.ts'
import type { CatchUpReader, LogStorage, PeerTransport } from './ports.ts'

export interface ReplicaHooks {
  /**
   * A well-formed body for the entry that opens a term. `patch` gets its place in the log before it
   * is sealed.
   */
  barrier(term: number): Buffer
  patchBarrier(view: DataView, bodyOffset: number, bodyPosition: number): void
  /** `barrierEnd` is set for a leader: once the log is applied up to there, it may serve. */
  onRole(role: Role, term: number, leaderId: string, barrierEnd: number, reason: string): void
  /** Readers see the log up to `position` now; `arena.committed` says the same. */
  onCommit(position: number): void
  /**
   * The answer to `readIndex`: what is committed up to `position` was so when it was asked, and
   * this node led then. -1: it does not lead, or does not serve yet.
   */
  onReadIndex?(id: number, position: number): void
  /** The answer to `transfer`; `done` when leadership left this node. */
  onTransferEnded?(target: string, done: boolean, reason: string): void
  /** The node has left the group; nothing it holds may be acknowledged any more. */
  onHalted(reason: string): void
  /** The log is about to be dropped, and begun anew elsewhere: `onLogReset` follows. */
  onResetBegins?(): void
  /**
   * The log was dropped and begins at `firstPosition` now, with all below committed: whoever keeps
   * something that follows from the log must get it elsewhere.
   */
  onLogReset?(firstPosition: number, firstIndex: number): void
  log(level: 'info' | 'warn' | 'error', line: string): void
}

export interface ReplicaOptions {
  raft: Raft
  arena: LogArena
  end: LogEnd
  /** Known to be committed at the start. */
  committedPosition: number
  segmentBytes: number
  storage: LogStorage
  peers: PeerTransport<PeerMessage>
  peerIds: readonly string[]
  reader: CatchUpReader
  /** False: an entry counts as durable once it is in memory (ASYNC_FLUSH). */
  syncBeforeAck: boolean
  /** Where the last entry ends before the damaged ones found at the start; Infinity for none. */
  soundPosition?: number
  /** Bytes laid but not committed; more are refused as busy. */
  maxUncommittedBytes: number
  hooks: ReplicaHooks
  /** Channel of the entries that open terms; 0 where their bodies tell them apart. */
  barrierChannel?: number
  /** Asks for an `endTurn` soon; called when a file read has finished. */
  wake(): void
}
