/**
 * Pre-vote and election (Raft §5.2, thesis §9.6).
 * Invariants: every campaign takes a new term, also after a restart; the own vote counts, and the
 * requests leave, only when that term and vote are synced.
 */
import { assert } from '@ringledger/base'
import { leavesElectionToOthers } from './disk-full.ts'
import { becomeLeader } from './leader.ts'
import type { PreVoteReply, TimeoutNow, VoteReply } from './messages.ts'
import { Tally, tally } from './quorum.ts'
import type { RaftState } from './state.ts'
import { Role } from './status.ts'

/** Asks whether an election could be won; the own term stays. */
export function startPreVote(state: RaftState, reason: string): void {
  if (state.peers.length === 0) {
    campaign(state, false, reason)
    return
  }
  state.votes.clear()
  state.setRole(Role.preCandidate, null, reason)
  state.attempts++
  state.setRetryTimer()
  state.priority = state.config.random()
  state.votes.set(state.config.selfId, true)
  for (const progress of state.peers) {
    state.send({
      type: 'preVote',
      from: state.config.selfId,
      to: progress.id,
      term: state.term,
      nextTerm: state.term + 1,
      lastTerm: state.log.lastTerm,
      endPosition: state.log.endPosition,
      priority: state.priority,
      askedTick: state.now,
    })
  }
}

/** Takes a new term and asks for votes. */
export function campaign(state: RaftState, transfer: boolean, reason: string): void {
  assert(state.role !== Role.leader, 'a leader does not campaign')
  state.votes.clear()
  state.enterTerm(state.term + 1, state.config.selfId)
  state.campaignPersistId = state.persistId
  state.setRole(Role.candidate, null, reason)
  state.setRetryTimer()
  for (const progress of state.peers) {
    state.sendWhenSaved({
      type: 'vote',
      from: state.config.selfId,
      to: progress.id,
      term: state.term,
      lastTerm: state.log.lastTerm,
      endPosition: state.log.endPosition,
      transfer,
    })
  }
}

/** The timer of a node that does not lead ran out. */
export function onElectionTimeout(state: RaftState): void {
  // A leader lays its barrier at once; behind an unfinished truncation it would be cut off again.
  if (state.truncatePosition >= 0 || state.healing !== null) {
    state.setRetryTimer()
    return
  }
  // A candidate whose own vote is not synced yet would only outrun its disk with new terms.
  if (state.role === Role.candidate && state.savedId < state.campaignPersistId) {
    state.setRetryTimer()
    return
  }
  if (leavesElectionToOthers(state)) {
    state.setElectionTimer()
    return
  }
  startPreVote(state, timeoutReason(state))
}

function timeoutReason(state: RaftState): string {
  if (state.role === Role.candidate) return `no majority voted in term ${state.term}`
  if (state.role === Role.preCandidate) return 'no majority answered the pre-vote'
  if (state.leaderId === null) return state.reason
  return `leader ${state.leaderId} silent for ${state.now - state.leaderHeardTick} ticks`
}

export function onPreVoteReply(state: RaftState, message: PreVoteReply): void {
  if (message.term > state.term) {
    state.becomeFollower(message.term, null, `${message.from} is in term ${message.term}`)
    state.setRetryTimer()
    return
  }
  if (state.role !== Role.preCandidate || message.nextTerm !== state.term + 1) return
  // A grant says that no leader was heard: it may have stood in a connection ever since.
  if (state.now - message.askedTick >= state.config.electionTicksMin) return
  state.votes.set(message.from, message.granted)
  const outcome = count(state)
  if (outcome === Tally.won) campaign(state, false, `${state.reason}; pre-vote won`)
  if (outcome === Tally.lost) {
    state.setRole(Role.follower, null, `pre-vote refused by ${message.from}: ${message.reason}`)
  }
}

export function onVoteReply(state: RaftState, message: VoteReply): void {
  if (message.term > state.term) {
    state.becomeFollower(message.term, null, `${message.from} is in term ${message.term}`)
    state.setRetryTimer()
    return
  }
  if (state.role !== Role.candidate || message.term < state.term) return
  state.votes.set(message.from, message.granted)
  settle(state, `refused by ${message.from}: ${message.reason}`)
}

/** The own term and vote are synced: the vote counts now. */
export function onOwnVoteSaved(state: RaftState): void {
  if (state.role !== Role.candidate || state.savedId < state.campaignPersistId) return
  state.votes.set(state.config.selfId, true)
  settle(state, 'refused')
}

function settle(state: RaftState, refusal: string): void {
  const outcome = count(state)
  if (outcome === Tally.won) becomeLeader(state)
  if (outcome === Tally.lost) {
    state.attempts++
    state.votes.clear()
    state.setRole(Role.follower, null, `election of term ${state.term} lost, ${refusal}`)
    state.setRetryTimer()
  }
}

function count(state: RaftState): Tally {
  let granted = 0
  for (const vote of state.votes.values()) if (vote) granted++
  return tally(granted, state.votes.size - granted, state.memberCount)
}

/** The leader wants this node to lead. */
export function onTimeoutNow(state: RaftState, message: TimeoutNow): void {
  if (message.term !== state.term || message.from !== state.leaderId) return
  if (state.role !== Role.follower || state.truncatePosition >= 0) return
  if (state.healing !== null) return
  campaign(state, true, `${message.from} handed leadership over`)
}
