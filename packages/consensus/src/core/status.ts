/** What an operator may know about the machine, and the closed set of its roles. */
import type { NodeId } from './config.ts'
import type { Healing } from './messages.ts'
import type { ProgressState } from './progress.ts'

export const Role = {
  /** Follows a leader, or waits for one. */
  follower: 'follower',
  /** Asks whether an election could be won; its term is unchanged. */
  preCandidate: 'preCandidate',
  /** Has taken a new term and asks for votes. */
  candidate: 'candidate',
  /** Orders writes. */
  leader: 'leader',
  /** Left the group after a storage failure or a broken invariant; answers nothing. */
  halted: 'halted',
} as const
export type Role = (typeof Role)[keyof typeof Role]

export interface PeerStatus {
  readonly id: NodeId
  readonly connected: boolean
  readonly state: ProgressState
  readonly matchPosition: number
  readonly nextPosition: number
  /** By its last word. */
  readonly diskFull: boolean
  /** Ticks since its last word. */
  readonly silentTicks: number
}

export interface RaftStatus {
  readonly selfId: NodeId
  readonly role: Role
  readonly term: number
  readonly votedFor: NodeId | null
  readonly leaderId: NodeId | null
  readonly firstPosition: number
  readonly commitPosition: number
  readonly durablePosition: number
  readonly endPosition: number
  readonly lastIndex: number
  readonly lastTerm: number
  /** Where the own term's first entry starts, on a leader; else -1. */
  readonly termStartPosition: number
  readonly transferTarget: NodeId | null
  /** No space for more of the log on this node. */
  readonly diskFull: boolean
  /** Why the role or the leader last changed, for people. */
  readonly lastElectionReason: string
  /** Set while this node neither votes nor campaigns, because it lacks what it acknowledged. */
  readonly healing: Healing | null
  /** Filled on a leader only. */
  readonly peers: readonly PeerStatus[]
}
