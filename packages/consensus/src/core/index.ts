/** The door of the pure Raft machine. */
export { checkConfig, type NodeId, type RaftConfig } from './config.ts'
export type { Effects, Persist, ReadResult, RoleChange, TransferEnded } from './effects.ts'
export type { AppendPlan } from './leader.ts'
export { isPeerMessage } from './message-check.ts'
export { describeMessage } from './message-text.ts'
export {
  type Append,
  type AppendReply,
  type HardState,
  type Healing,
  type Install,
  type LocalMessage,
  type LogTail,
  type Message,
  NO_TERM,
  type PeerMessage,
  type PreVote,
  type PreVoteReply,
  type TermSpan,
  type TimeoutNow,
  type Vote,
  VoteRefusal,
  type VoteReply,
} from './messages.ts'
export { ProgressState } from './progress.ts'
export { Raft } from './raft.ts'
export { type PeerStatus, type RaftStatus, Role } from './status.ts'
