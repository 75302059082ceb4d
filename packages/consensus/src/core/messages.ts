/**
 * What enters the machine and what it says to its peers: plain objects, closed sets.
 * Invariant: `term` of a peer message is always the sender's own current term.
 */
import type { NodeId } from './config.ts'

/** The term of "no entry": below every real term (Apache's terms start at 0). */
export const NO_TERM = -1

/** The durable part of Raft's state. `votedFor` belongs to `term`. */
export interface HardState {
  readonly term: number
  readonly votedFor: NodeId | null
}

/** A run of entries of one term. */
export interface TermSpan {
  readonly term: number
  /** Where the entry before the run ends: a filler blank ahead of the first entry is inside. */
  readonly firstPosition: number
  /** Index of the first entry of the run. */
  readonly firstIndex: number
}

/** What recovery found. All of it must be durable: recovery syncs before it reports. */
export interface LogTail {
  /** Where the oldest kept entry starts; everything below was committed and then dropped. */
  readonly firstPosition: number
  readonly firstIndex: number
  readonly endPosition: number
  /** `firstIndex - 1` when the log is empty. */
  readonly lastIndex: number
  /** `NO_TERM` when the log is empty. */
  readonly lastTerm: number
  /** Ascending; empty for an empty log. */
  readonly spans: readonly TermSpan[]
  /** A position once known to be committed (checkpoint). Optional; cut down to `endPosition`. */
  readonly commitPosition?: number
  /** Set when the node must not help to decide yet: see healing.ts. */
  readonly healing?: Healing
}

/** What this node has to get back before it votes again. */
export interface Healing {
  /**
   * End of the last entry before the first one that is damaged here; Infinity when none is. Nothing
   * behind is acknowledged, not even a filler ahead of the damaged entry: what a node acknowledges
   * is an entry's end.
   */
  readonly soundPosition: number
  /**
   * Where the log once ended: what lay below may have been acknowledged, and is gone here. 0: the
   * log is all there, but for what is damaged.
   */
  readonly untilPosition: number
  /** The saved term when it was lost. */
  readonly term: number
}

/** Why a vote or pre-vote was refused. */
export const VoteRefusal = {
  /** Granted. */
  none: 'none',
  /** The voter hears, or is, a leader. */
  leaderAlive: 'leaderAlive',
  /** The candidate's log lacks entries that the voter has. */
  logBehind: 'logBehind',
  /** The candidate's term is not above the voter's. */
  termBehind: 'termBehind',
  /** The voter gave its vote of this term to another candidate. */
  alreadyVoted: 'alreadyVoted',
  /** The voter is campaigning too and drew the better lot (pre-vote only). */
  contended: 'contended',
} as const
export type VoteRefusal = (typeof VoteRefusal)[keyof typeof VoteRefusal]

interface Addressed {
  readonly from: NodeId
  readonly to: NodeId
  readonly term: number
}

/** "Would you vote for me in `nextTerm`?" Changes no state at the receiver. */
export interface PreVote extends Addressed {
  readonly type: 'preVote'
  readonly nextTerm: number
  readonly lastTerm: number
  readonly endPosition: number
  /** A random lot, so that of two equal candidates only one goes on. */
  readonly priority: number
  /** The asker's clock, in ticks; echoed by the reply. */
  readonly askedTick: number
}

export interface PreVoteReply extends Addressed {
  readonly type: 'preVoteReply'
  readonly nextTerm: number
  /** Of the question. */
  readonly askedTick: number
  readonly granted: boolean
  readonly reason: VoteRefusal
}

export interface Vote extends Addressed {
  readonly type: 'vote'
  readonly lastTerm: number
  readonly endPosition: number
  /** The leader asked for this election, so its liveness is no reason to refuse. */
  readonly transfer: boolean
}

export interface VoteReply extends Addressed {
  readonly type: 'voteReply'
  readonly granted: boolean
  readonly reason: VoteRefusal
}

/** Entry bytes [prevPosition, endPosition) travel beside it; without bytes it is a heartbeat. */
export interface Append extends Addressed {
  readonly type: 'append'
  readonly prevPosition: number
  /** Term of the entry that ends at `prevPosition`. */
  readonly prevTerm: number
  readonly endPosition: number
  /** Index of the entry that ends at `endPosition`; -1 without bytes. */
  readonly lastIndex: number
  /** The terms of the bytes, ascending; the first may start before `prevPosition`. */
  readonly spans: readonly TermSpan[]
  readonly commitPosition: number
  /** Counts heartbeat rounds and probes; echoed by the reply. */
  readonly round: number
}

/**
 * "You lack what my log has dropped: forget yours and begin one at `firstPosition`, where all below
 * is committed." Answered by an AppendReply; stands in for the heartbeat until then.
 */
export interface Install extends Addressed {
  readonly type: 'install'
  readonly firstPosition: number
  readonly firstIndex: number
  readonly round: number
}

export interface AppendReply extends Addressed {
  readonly type: 'appendReply'
  readonly accepted: boolean
  /** Durable here and equal to the leader's log of this term: an entry's end. */
  readonly matchPosition: number
  /** Accepted: up to here equal to the leader's log. Refused: where the leader should look next. */
  readonly endPosition: number
  /** Refused for a wrong term at `prevPosition`: the term found there; else `NO_TERM`. */
  readonly conflictTerm: number
  readonly round: number
  /** The sender's disk is full: it may lag, and should not lead. */
  readonly diskFull: boolean
}

/** "Campaign now, without pre-vote": a transfer, or a leader whose disk failed. */
export interface TimeoutNow extends Addressed {
  readonly type: 'timeoutNow'
}

export type PeerMessage =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | Install
  | AppendReply
  | TimeoutNow

/** What the node's own driver reports. */
export type LocalMessage =
  /** Every byte below `position` (an entry's end) is synced. Grows until a truncation. */
  | { readonly type: 'durable'; readonly position: number }
  /** The hard state of `persist.id`, hence every older one, is synced. */
  | { readonly type: 'hardStateSaved'; readonly id: number }
  /** The truncation asked for by the last `truncate` effect is synced. */
  | { readonly type: 'truncated' }
  /** The leader's driver laid entries of the current term; the log now ends here. */
  | { readonly type: 'appended'; readonly endPosition: number; readonly lastIndex: number }
  /** A link to the peer is up (again): whatever was on its way before is lost. */
  | { readonly type: 'peerConnected'; readonly id: NodeId }
  | { readonly type: 'peerDisconnected'; readonly id: NodeId }
  /** Hand leadership to `target`. Answered by the `transferEnded` effect. */
  | { readonly type: 'transfer'; readonly target: NodeId }
  /** Answered by a `reads` effect with the same id. */
  | { readonly type: 'readIndex'; readonly id: number }
  /** Retention dropped everything below `firstPosition` (an entry's start, committed). */
  | { readonly type: 'trimmed'; readonly firstPosition: number; readonly firstIndex: number }
  /** Damaged entries were replaced; `soundPosition` as in `Healing`. */
  | { readonly type: 'mended'; readonly soundPosition: number }
  /** The disk has no space for more of the log (true), or has some again. */
  | { readonly type: 'diskFull'; readonly full: boolean }
  /** A write or sync failed: this node must never answer again. */
  | { readonly type: 'storageFailed'; readonly reason: string }

export type Message = PeerMessage | LocalMessage
