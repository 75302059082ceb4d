/**
 * The replicated log as a part of another program: what `openLedger` takes and what it gives. Only
 * types; the promises that every implementation keeps are written here.
 */

export type LedgerRole = 'leader' | 'follower' | 'candidate' | 'halted'

/** A line of the node's log: what an operator should be able to read later. */
export type LedgerLog = (level: 'info' | 'warn' | 'error', line: string) => void

export interface LedgerMember {
  /** Letters and digits, `n0`; equal on all members. */
  readonly id: string
  /** Where this member listens for the others. */
  readonly host: string
  readonly port: number
}

export interface LedgerOptions {
  /** Made if it is not there. The log lies in `<directory>/dledger-<selfId>`. */
  readonly directory: string
  /** Nodes of another group are refused. Default `ledger`. */
  readonly group?: string
  /** Which member this node is. Default `n0`. */
  readonly selfId?: string
  /** All members, this one included. Absent: a group of one that opens no port. */
  readonly members?: readonly LedgerMember[]
  /** Local address of the port for the other members. Default: this member's `host`. */
  readonly bindAddress?: string
  /** The member that should lead whenever it can. Default: none. */
  readonly preferredLeaderId?: string
  /**
   * A follower that hears nothing from its leader for this long campaigns (with up to half as much
   * again by chance). Default 600. Too low: a pause of the leader costs an election; too high: a
   * leader that stands still is noticed late.
   */
  readonly electionTimeoutMs?: number
  /**
   * A leader speaks to each follower at least this often. Default 100; at most half of the above.
   */
  readonly heartbeatIntervalMs?: number
  /**
   * Bytes of a data file; whole ones are dropped by `trimPrefix`. Default 64 MiB. Fixed once the
   * directory exists, and equal on all members.
   */
  readonly segmentBytes?: number
  /** Bytes of the newest part of the log that are kept in shared memory. Default 32 MiB. */
  readonly arenaBytes?: number
  /** Longest entry, its 48-byte header included. Default 1 MiB; equal on all members. */
  readonly maxEntryBytes?: number
  /** Free space to leave on the disk; below it appends get `DISK_FULL`. Default 256 MiB. */
  readonly minimumFreeBytes?: number
  /**
   * `sync` (default): an append resolves when a majority has it written and fdatasync'ed. `memory`:
   * when a majority has it in memory; what the last moments brought is lost when a majority dies.
   */
  readonly durability?: 'sync' | 'memory'
  /** Gets lines for operators. Default: none. */
  readonly log?: LedgerLog
}

/** Where an append stands in the log, on every member and for ever. */
export interface Appended {
  /** Counts entries from 0 on, those that open a leader's term included. */
  readonly index: number
  readonly term: number
  /** Byte offset of the entry in the log. */
  readonly position: number
}

export interface LedgerEntry extends Appended {
  /** The caller's; it may lie in one block of memory with its neighbours. */
  readonly body: Uint8Array
}

/** The end of a part of the log: the index of its last entry and the position behind it. */
export interface LogPoint {
  /** -1 before the first entry. */
  readonly index: number
  readonly position: number
}

export interface LedgerPeerStatus {
  readonly id: string
  readonly connected: boolean
  /**
   * `replicate`: gets entries as they come; `catchUp`: is far behind; `probe`: the place where the
   * logs agree is looked for; `behindLogStart`: needs entries that were trimmed here, so its log
   * begins anew (see `onSnapshotNeeded` there).
   */
  readonly state: 'probe' | 'replicate' | 'catchUp' | 'behindLogStart'
  /** Everything below is durable there and equal to this log. */
  readonly matchPosition: number
  /** Milliseconds since its last word. */
  readonly silentMs: number
}

export interface LedgerFailure {
  /** The file whose write or sync failed first; empty when no file was involved. */
  readonly file: string
  readonly error: string
}

/** What this node knows now; everything about others is its view. */
export interface LedgerStatus {
  readonly selfId: string
  readonly role: LedgerRole
  readonly term: number
  /** Undefined while none is known. */
  readonly leaderId: string | undefined
  /** Leads, and an entry of its own term is committed: reads and appends are answered. */
  readonly serving: boolean
  /** The oldest entry that is kept here; everything before it was trimmed. */
  readonly first: LogPoint
  /** The log's end here, what is not committed included. */
  readonly end: LogPoint
  /** On this node's disk up to here. */
  readonly durablePosition: number
  /** Readers here see the log up to this point. */
  readonly committed: LogPoint
  /** On a leader only; else empty. */
  readonly peers: readonly LedgerPeerStatus[]
  readonly disk: 'ok' | 'full' | 'failed'
  /** Entries that were found damaged here and wait for another member's copy. */
  readonly damagedEntries: number
  /** Lacks what it once acknowledged, and does not vote until it has it again. */
  readonly healing: boolean
  /** Why this node left its group; undefined while it has not. */
  readonly failure: LedgerFailure | undefined
}

export interface RoleEvent {
  readonly role: LedgerRole
  readonly term: number
  readonly leaderId: string | undefined
  /** Why, for people. */
  readonly reason: string
}

/** Called on the importer's thread, between its own work; they must not throw. */
export interface LedgerHandlers {
  /** Readers here see the log up to `end` now. Many entries may pass in one call. */
  onCommit?(end: LogPoint): void
  onRole?(event: RoleEvent): void
  /** This node has left its group for good; `status().failure` says the same. */
  onHalted?(reason: string): void
  /**
   * The others had trimmed what this member lacked: its log begins anew at `firstIndex`. A state
   * machine needs another member's snapshot of everything before. May have happened before there
   * was a subscriber: then `status().first` is beyond what the state machine has, and reads from
   * there fail with `TrimmedError`.
   */
  onSnapshotNeeded?(firstIndex: number): void
  /** True: new appends get `DISK_FULL` on a leader; false: space is back. */
  onDiskFull?(full: boolean): void
}

export interface ReadOptions {
  /** The last index to read. Default: none. */
  readonly untilIndex?: number
  /** At the end of what is committed, wait for more. Default false: end there. */
  readonly follow?: boolean
  /** Ends the iteration with `ABORTED`. */
  readonly signal?: AbortSignal
}

export interface Ledger {
  /**
   * Appends one entry. Resolves once it is committed (see `durability`) and, with `sync`, readable
   * here. `body` must not change until then.
   *
   * When the ring to the consensus thread is full, or the leader waits for its disk or majority,
   * an append waits in order for room; when 4,096 appends or 8 MiB wait, more get `BUSY`.
   *
   * @throws AppendError
   * - `NOT_LEADER`: another member orders entries, `leaderId` if known. Nothing was written.
   * - `HANDING_OVER`: the next leader will take it. Nothing was written.
   * - `BUSY`: too many appends wait for room. Nothing was written.
   * - `TOO_LARGE`: it can never fit. Nothing was written.
   * - `DISK_FULL`: the leader's disk is full. Nothing was written.
   * - `LEADERSHIP_LOST`: leadership moved while the entry was on its way. It may still commit.
   * - `HALTED`, `CLOSED`, `ABORTED`: `mayCommit` says whether the entry may still commit.
   */
  append(body: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Appended>

  /**
   * Appends entries one after another without another entry between them; either all are ordered or
   * none is. They commit in order: after a loss of the leader the first ones may be there without
   * the others. Errors as with `append`, for all of them together; `TOO_LARGE` also when they do
   * not fit into one frame (2 MiB, or `maxEntryBytes` where that is more, with 4 bytes a body on
   * top).
   */
  appendBatch(bodies: readonly Uint8Array[]): Promise<Appended[]>

  /**
   * Committed entries from an index or position on, in order; entries that open a term are left
   * out. A position must be the start of an entry, else the entry that covers it comes first. Reads
   * what this node has: call `readIndex` before, on the leader, for a linearizable read.
   *
   * @throws TrimmedError when the place is no longer kept here; LedgerError `CORRUPT` when stored
   * bytes fail their checksum (they are never given out), `ABORTED`, `CLOSED`
   */
  read(
    from: { readonly index: number } | { readonly position: number },
    options?: ReadOptions,
  ): AsyncIterable<LedgerEntry>

  /**
   * The committed entry at `index`; undefined when nothing is committed there yet, or it opens a
   * term.
   * @throws TrimmedError; LedgerError `CORRUPT`, `CLOSED`
   */
  get(index: number): Promise<LedgerEntry | undefined>

  /**
   * A linearizable barrier: when it resolves, this node led after the call was made, confirmed by a
   * majority and not by a clock, and reads here see everything that was acknowledged before the
   * call. Resolves with the end of what reads see.
   * @throws AppendError `NOT_LEADER`, `BUSY` (too many wait), `HALTED`, `CLOSED`
   */
  readIndex(): Promise<LogPoint>

  /**
   * Resolves with the id of the leader that this node follows, or its own, once there is one.
   * @throws AppendError `ABORTED`, `HALTED`, `CLOSED`
   */
  waitForLeader(options?: { readonly signal?: AbortSignal }): Promise<string>

  /**
   * Tells of what changes from now on; `status` says what is already so. Returns the way to end it.
   */
  subscribe(handlers: LedgerHandlers): () => void

  /**
   * Hands leadership to `targetId`, else to the follower with the most of the log. Resolves when
   * this node leads no more; appends meanwhile get `HANDING_OVER`.
   * @throws AppendError `NOT_LEADER`; LedgerError `BAD_REQUEST` (no such member, or it is not
   * connected), `BUSY` (a transfer is under way), `TIMEOUT` (this node still leads)
   */
  transferLeadership(targetId?: string): Promise<void>

  /** Never waits for the consensus thread; at most some 25 ms old. */
  status(): LedgerStatus

  /**
   * Drops whole data files below the end of `throughIndex`, on this node alone. The caller must
   * hold a snapshot of everything up to there. Resolves with the first index that is kept.
   * @throws LedgerError `BAD_REQUEST` when `throughIndex` is not committed here
   */
  trimPrefix(throughIndex: number): Promise<{ firstIndex: number }>

  /**
   * Hands leadership over if this node leads, leaves the group and closes the files; resolves when
   * the threads have ended. Appends under way get `CLOSED`. May be called more than once.
   */
  close(): Promise<void>
}
