/** What a member of a group is opened with. Plain values: they travel in workerData. */
import type { StoreConfig } from '@ringledger/io'

export interface GroupMember {
  /** A letter and a number, `n0`. */
  readonly id: string
  readonly host: string
  /** Where this member listens for the others (Apache: the DLedger port). */
  readonly port: number
}

export interface LedgerSettings {
  readonly group: string
  readonly selfId: string
  /** All members, this one included; none: a group of one without a port. */
  readonly members: readonly GroupMember[]
  /** Local address of the peer port; `0.0.0.0` for all. */
  readonly bindAddress: string
  /** The member that should lead whenever it can; none by default. */
  readonly preferredLeaderId?: string
  /**
   * A follower that hears nothing from its leader for this long campaigns (with up to half as much
   * again by chance). Too low: a pause of the leader costs an election; too high: a frozen leader
   * is noticed late.
   */
  readonly electionTimeoutMs: number
  /** A leader speaks to each follower at least this often; at most half of the election timeout. */
  readonly heartbeatIntervalMs: number
  readonly store: StoreConfig
  /** Bytes of a data segment; must be equal on all members. */
  readonly segmentBytes: number
  /**
   * True: an entry counts when it is fdatasync'ed on a majority; false: when it is in a majority's
   * memory.
   */
  readonly syncBeforeAck: boolean
  /** Bytes of the log's tail in shared memory. */
  readonly arenaBytes: number
  /** Longest entry, its 48-byte header included. */
  readonly maxEntryBytes: number
  /** Channel of the entries that open terms; 0, the default, where their bodies tell them apart. */
  readonly barrierChannel?: number
}
