/**
 * How a node answers PreVote and Vote (Raft §5.2, §5.4.1; thesis §4.2.3, §9.6).
 * Invariants: at most one vote per term, and it is synced before it leaves; nobody is voted for
 * whose log lacks an entry that this node has, or had and lost: a healing node says nothing.
 */
import { type PreVote, type Vote, VoteRefusal } from './messages.ts'
import type { RaftState } from './state.ts'
import { Role } from './status.ts'

/** Ticks a node that granted a pre-vote leaves to the asker before it campaigns itself. */
const YIELD_TICKS = 3

export function onPreVote(state: RaftState, message: PreVote): void {
  if (state.healing !== null) return
  const reason = judgePreVote(state, message)
  const granted = reason === VoteRefusal.none
  if (granted) {
    const leftTicks = state.timeoutTicks - state.elapsedTicks
    if (leftTicks < YIELD_TICKS) state.timeoutTicks += YIELD_TICKS - leftTicks
  }
  state.send({
    type: 'preVoteReply',
    from: state.config.selfId,
    to: message.from,
    term: state.term,
    nextTerm: message.nextTerm,
    askedTick: message.askedTick,
    granted,
    reason,
  })
}

function judgePreVote(state: RaftState, message: PreVote): VoteRefusal {
  if (state.leaderAlive(message.from)) return VoteRefusal.leaderAlive
  if (message.nextTerm <= state.term) return VoteRefusal.termBehind
  if (!state.log.isUpToDate(message.lastTerm, message.endPosition)) return VoteRefusal.logBehind
  if (state.role === Role.preCandidate && ownLotIsBetter(state, message)) {
    return VoteRefusal.contended
  }
  return VoteRefusal.none
}

/** Both would win; one must give way. The better log first, then the lot, then the name. */
function ownLotIsBetter(state: RaftState, message: PreVote): boolean {
  if (message.lastTerm > state.log.lastTerm) return false
  if (message.endPosition > state.log.endPosition) return false
  if (message.priority !== state.priority) return state.priority > message.priority
  return state.config.selfId > message.from
}

export function onVote(state: RaftState, message: Vote): void {
  if (state.healing !== null) return
  if (!message.transfer && state.leaderAlive(message.from)) return
  if (message.term > state.term) {
    state.becomeFollower(message.term, null, `${message.from} campaigns in term ${message.term}`)
    state.setRetryTimer()
  }
  const reason = judgeVote(state, message)
  const granted = reason === VoteRefusal.none
  if (granted) {
    if (state.votedFor === null) {
      state.votedFor = message.from
      state.persist()
    }
    state.setElectionTimer()
  }
  state.sendWhenSaved({
    type: 'voteReply',
    from: state.config.selfId,
    to: message.from,
    term: state.term,
    granted,
    reason,
  })
}

function judgeVote(state: RaftState, message: Vote): VoteRefusal {
  if (message.term < state.term) return VoteRefusal.termBehind
  if (state.votedFor !== null && state.votedFor !== message.from) return VoteRefusal.alreadyVoted
  if (!state.log.isUpToDate(message.lastTerm, message.endPosition)) return VoteRefusal.logBehind
  return VoteRefusal.none
}
