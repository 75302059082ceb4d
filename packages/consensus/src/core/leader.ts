/**
 * How a leader replicates, commits and keeps its office (Raft §5.3, §5.4.2, thesis §6.2).
 * Invariants: commits only what a majority has durably and what ends in an entry of the own term;
 * counts itself only by its own durable position; its log only grows while it leads.
 */
import { assert } from '@ringledger/base'
import type { NodeId } from './config.ts'
import { type Append, type AppendReply, NO_TERM } from './messages.ts'
import { type Progress, ProgressState } from './progress.ts'
import { majorityOf, majorityReached } from './quorum.ts'
import type { RaftState } from './state.ts'
import { Role } from './status.ts'
import { advanceTransfer } from './transfer.ts'

/** A range that may be sent to a peer now; void once its peer or the term was reset. */
export interface AppendPlan {
  readonly to: NodeId
  readonly term: number
  readonly epoch: number
  /** The bytes start here. */
  readonly prevPosition: number
  readonly prevTerm: number
  /** End of the log when planned: an entry's end. */
  readonly limitPosition: number
  /** Send no more than this, cut at an entry's end; but at least one entry. */
  readonly maxBytes: number
}

export function becomeLeader(state: RaftState): void {
  state.votes.clear()
  state.attempts = 0
  state.termStartPosition = state.log.endPosition
  state.transfer = null
  state.preferredElapsed = 0
  for (const progress of state.peers) progress.resetForTerm(state.log.endPosition, state.now)
  state.setRole(Role.leader, state.config.selfId, state.reason)
  state.effects.becameLeader = { term: state.term }
  broadcast(state)
}

/** A round of heartbeats: proof of life, commit position, and a question where the peer stands. */
export function broadcast(state: RaftState): void {
  state.heartbeatElapsed = 0
  state.round++
  state.reads.startRound(state.round)
  for (const progress of state.peers) if (progress.connected) sendEmpty(state, progress)
  confirmReads(state)
}

function sendEmpty(state: RaftState, progress: Progress): void {
  if (progress.state === ProgressState.behindLogStart) {
    sendInstall(state, progress)
    return
  }
  const position = progress.nextPosition
  progress.sentCommitPosition = state.commitPosition
  state.send({
    type: 'append',
    from: state.config.selfId,
    to: progress.id,
    term: state.term,
    prevPosition: position,
    prevTerm: state.log.termAt(position),
    endPosition: position,
    lastIndex: -1,
    spans: [],
    commitPosition: state.commitPosition,
    round: state.round,
  })
}

function sendInstall(state: RaftState, progress: Progress): void {
  state.send({
    type: 'install',
    from: state.config.selfId,
    to: progress.id,
    term: state.term,
    firstPosition: state.log.firstPosition,
    firstIndex: state.log.firstIndex,
    round: state.round,
  })
}

/** Tells peers that lack nothing but the commit position about it. */
export function flushCommit(state: RaftState): void {
  for (const progress of state.peers) {
    if (!progress.connected || !progress.streams) continue
    if (progress.sentCommitPosition >= state.commitPosition) continue
    if (progress.nextPosition === state.log.endPosition) sendEmpty(state, progress)
  }
}

export function planAppend(state: RaftState, id: NodeId): AppendPlan | undefined {
  const progress = state.peer(id)
  if (state.role !== Role.leader || progress === undefined) return undefined
  if (!progress.connected || !progress.streams || progress.planned) return undefined
  const { nextPosition, matchPosition } = progress
  if (nextPosition >= state.log.endPosition) return undefined
  if (nextPosition - matchPosition >= state.config.maxInflightBytes) return undefined
  progress.planned = true
  return {
    to: id,
    term: state.term,
    epoch: progress.epoch,
    prevPosition: nextPosition,
    prevTerm: state.log.termAt(nextPosition),
    limitPosition: state.log.endPosition,
    maxBytes: state.config.maxBatchBytes,
  }
}

/** True while the plan may still be sent. */
export function planHolds(state: RaftState, plan: AppendPlan): boolean {
  return (
    state.role === Role.leader &&
    state.term === plan.term &&
    state.peer(plan.to)?.epoch === plan.epoch
  )
}

export function sendPlanned(
  state: RaftState,
  plan: AppendPlan,
  endPosition: number,
  lastIndex: number,
): Append | undefined {
  const progress = state.peer(plan.to)
  if (progress === undefined || !planHolds(state, plan)) return undefined
  assert(progress.planned, 'a plan is sent once')
  assert(endPosition > plan.prevPosition, 'an Append with a plan carries entries')
  assert(endPosition <= plan.limitPosition, 'sent past the limit of the plan')
  progress.planned = false
  progress.nextPosition = endPosition
  progress.sentCommitPosition = state.commitPosition
  setPace(state, progress)
  return {
    type: 'append',
    from: state.config.selfId,
    to: plan.to,
    term: state.term,
    prevPosition: plan.prevPosition,
    prevTerm: plan.prevTerm,
    endPosition,
    lastIndex,
    spans: state.log.spansBetween(plan.prevPosition, endPosition),
    commitPosition: state.commitPosition,
    round: state.round,
  }
}

export function cancelPlan(state: RaftState, plan: AppendPlan): void {
  const progress = state.peer(plan.to)
  if (progress !== undefined && planHolds(state, plan)) progress.planned = false
}

/** The driver laid entries of the own term. */
export function onAppended(state: RaftState, endPosition: number, lastIndex: number): void {
  assert(state.role === Role.leader, 'only a leader lays entries')
  state.log.extend(state.term, endPosition, lastIndex)
  state.effects.replicate = state.peers.length > 0
}

export function onAppendReply(state: RaftState, message: AppendReply): void {
  if (message.term > state.term) {
    state.becomeFollower(message.term, null, `${message.from} is in term ${message.term}`)
    // This log is as fresh as any: the others grant at once, since their leader itself asks.
    state.setRetryTimer()
    return
  }
  const progress = state.peer(message.from)
  if (state.role !== Role.leader || message.term < state.term || progress === undefined) return
  const end = state.log.endPosition
  if (message.matchPosition > end || (message.accepted && message.endPosition > end)) return
  if (message.round > state.round) return
  progress.heardTick = state.now
  progress.diskFull = message.diskFull
  progress.ackedRound = Math.max(progress.ackedRound, message.round)
  if (message.accepted) onAccepted(state, progress, message)
  else onRefused(state, progress, message)
  confirmReads(state)
}

function onAccepted(state: RaftState, progress: Progress, message: AppendReply): void {
  progress.matchPosition = Math.max(progress.matchPosition, message.matchPosition)
  const end = state.log.endPosition
  // A late word from before a reconnection: it need not be sent again.
  if (progress.matchPosition > progress.nextPosition) progress.probeFrom(progress.matchPosition)
  if (!progress.streams && message.endPosition >= progress.nextPosition) {
    progress.nextPosition = message.endPosition
    progress.state = ProgressState.replicate
  }
  if (progress.streams) setPace(state, progress)
  if (progress.nextPosition < end) state.effects.replicate = true
  advanceCommit(state)
  advanceTransfer(state)
}

/** Far behind: catchUp; a batch or less: replicate; between the two the state stays. */
function setPace(state: RaftState, progress: Progress): void {
  const behindBytes = state.log.endPosition - progress.nextPosition
  if (behindBytes > state.config.maxInflightBytes) progress.state = ProgressState.catchUp
  if (behindBytes <= state.config.maxBatchBytes) progress.state = ProgressState.replicate
}

/** Retention moved the start of the log: who needs what it dropped begins a new one. */
export function markLeftBehind(state: RaftState): void {
  for (const progress of state.peers) {
    if (progress.nextPosition >= state.log.firstPosition) continue
    progress.probeFrom(state.log.firstPosition)
    progress.state = ProgressState.behindLogStart
  }
}

function onRefused(state: RaftState, progress: Progress, message: AppendReply): void {
  if (message.round < progress.probeRound) return
  const tooShort = message.conflictTerm === NO_TERM
  // Lower than what it once acknowledged: its disk was wiped. Its old word counts no more.
  if (tooShort) progress.matchPosition = Math.min(progress.matchPosition, message.endPosition)
  const before = progress.nextPosition
  const wanted = Math.max(progress.matchPosition, backOff(state, progress, message))
  if (wanted >= before && !progress.streams) return
  if (wanted < state.log.firstPosition) {
    progress.probeFrom(state.log.firstPosition)
    progress.state = ProgressState.behindLogStart
    progress.probeRound = ++state.round
    sendInstall(state, progress)
    return
  }
  progress.probeFrom(Math.min(wanted, before))
  progress.probeRound = ++state.round
  sendEmpty(state, progress)
}

/** Where the logs may agree, by whole runs of a term: O(terms) questions, not O(entries). */
function backOff(state: RaftState, progress: Progress, message: AppendReply): number {
  const { conflictTerm, endPosition: hint } = message
  if (conflictTerm === NO_TERM) return Math.min(progress.nextPosition, hint)
  const log = state.log
  let position = progress.nextPosition
  while (position > log.firstPosition && log.termAt(position) > conflictTerm) {
    position = log.spanStart(position)
  }
  if (position < log.firstPosition) return position
  return log.termAt(position) === conflictTerm ? position : Math.min(position, hint)
}

/** Commits what a majority has durably, if that reaches into the own term (Raft figure 8). */
export function advanceCommit(state: RaftState): void {
  const { scratch, peers } = state
  scratch[peers.length] = state.durablePosition
  for (let at = 0; at < peers.length; at++) scratch[at] = (peers[at] as Progress).matchPosition
  const reached = majorityReached(scratch)
  if (reached <= state.termStartPosition || reached <= state.commitPosition) return
  state.commitTo(reached)
}

function confirmReads(state: RaftState): void {
  const { scratch, peers } = state
  scratch[peers.length] = state.round
  for (let at = 0; at < peers.length; at++) scratch[at] = (peers[at] as Progress).ackedRound
  state.reads.confirm(majorityReached(scratch), state.effects.reads)
  if (state.reads.wantsRound) broadcast(state)
}

export function onReadIndex(state: RaftState, id: number): void {
  const serving = state.role === Role.leader && state.commitPosition > state.termStartPosition
  if (!serving || !state.reads.add(id, state.commitPosition)) {
    state.effects.reads.push({ id, position: -1 })
    return
  }
  if (state.reads.wantsRound) broadcast(state)
}

/** True while a majority, this node included, was heard within the longest election timeout. */
export function hearsMajority(state: RaftState): boolean {
  let heard = 1
  for (const progress of state.peers) {
    if (state.now - progress.heardTick <= state.config.electionTicksMax) heard++
  }
  return heard >= majorityOf(state.memberCount)
}
