/**
 * What the core thread needs of the log it writes: the Raft log (`LedgerCore` of the engine), or a
 * plain one (`plain/plain-core.ts`).
 */
import type { CommittedBoundary } from '@ringledger/consensus'
import type { ForeignMessage } from '@ringledger/engine'
import type { PeerPiece } from '@ringledger/network'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { OrderedLog } from './log-order.ts'

export interface CoreReplica extends OrderedLog {
  readonly leading: boolean
  readonly term: number
  /** Leads, but takes nothing now. */
  readonly handingOver: boolean
  /** What ends here or below may be acknowledged. */
  readonly committedPosition: number
  readonly committedBoundary: CommittedBoundary
}

export interface CoreLog {
  readonly arena: LogArena
  readonly replica: CoreReplica
  /** Of the peers; 0: none is open. */
  readonly peerPort: number
  readonly damagedEntries: number
  /** @throws LedgerError PORT_BUSY, BAD_CONFIG */
  start(): Promise<void>
  /** First half of a turn's end: what the IO thread did since. */
  pollStorage(): void
  /** Second half: the turn's messages go to the disk. */
  endTurn(): void
  transfer(targetId?: string): void
  trim(position: number, committed: CommittedBoundary): void
  sendForeign(to: string, message: ForeignMessage, pieces: readonly PeerPiece[]): boolean
  /** Resolves once the IO thread has everything and was told to close the store. */
  close(): Promise<void>
}
