/**
 * How a follower takes entries (Raft §5.3).
 * Invariants: nothing committed is ever truncated; a position is acknowledged only when it is both
 * durable here and checked against the leader of this term.
 */
import { type Append, type Install, NO_TERM } from './messages.ts'
import type { RaftState } from './state.ts'
import { Role } from './status.ts'

export function onAppend(state: RaftState, message: Append): void {
  if (message.term < state.term) {
    reply(state, message.from, false, state.log.endPosition, NO_TERM, message.round)
    return
  }
  if (!isWellFormed(message)) return
  if (message.term === state.term && state.role === Role.leader) {
    state.halt(`${message.from} leads term ${message.term} too: two leaders in one term`)
    return
  }
  follow(state, message)
  if (state.truncatePosition >= 0) {
    refuse(state, message, state.log.endPosition, NO_TERM)
    return
  }
  if (!prefixMatches(state, message)) return
  state.verifiedEnd = Math.max(state.verifiedEnd, message.prevPosition)
  const grown = message.endPosition > message.prevPosition && takeEntries(state, message)
  if (state.role === Role.halted) return
  state.commitTo(
    Math.max(state.commitPosition, Math.min(message.commitPosition, state.verifiedEnd)),
  )
  if (!grown && state.truncatePosition < 0) acknowledge(state)
}

/** The leader has dropped what this node lacks: its log begins anew where the leader's does. */
export function onInstall(state: RaftState, message: Install): void {
  if (message.term < state.term) {
    reply(state, message.from, false, state.log.endPosition, NO_TERM, message.round)
    return
  }
  if (message.term === state.term && state.role === Role.leader) {
    state.halt(`${message.from} leads term ${message.term} too: two leaders in one term`)
    return
  }
  follow(state, message)
  if (state.truncatePosition >= 0) {
    refuse(state, message, state.log.endPosition, NO_TERM)
    return
  }
  if (message.firstPosition > state.commitPosition) beginAnew(state, message)
  else acknowledge(state)
}

function beginAnew(state: RaftState, message: Install): void {
  const { firstPosition, firstIndex } = message
  const lost = state.healing ?? { untilPosition: 0, term: 0 }
  const untilPosition = Math.max(lost.untilPosition, state.log.endPosition, firstPosition)
  const term = Math.max(lost.term, state.term)
  state.healing = { soundPosition: Number.POSITIVE_INFINITY, untilPosition, term }
  state.log.reset(firstPosition, firstIndex)
  state.durablePosition = firstPosition
  state.verifiedEnd = firstPosition
  state.truncatePosition = firstPosition
  state.effects.reset = { position: firstPosition, index: firstIndex, untilPosition, term }
  state.commitTo(firstPosition)
}

/** A range whose spans do not describe it came from a broken peer: dropped like a lost frame. */
function isWellFormed(message: Append): boolean {
  const { prevPosition, endPosition, spans, term } = message
  if (endPosition === prevPosition) return true
  const first = spans[0]
  if (endPosition < prevPosition || first === undefined) return false
  if (first.firstPosition > prevPosition) return false
  let before = first
  for (const span of spans) {
    if (span.term > term || span.firstPosition >= endPosition) return false
    if (span.firstIndex > message.lastIndex) return false
    if (span === first) continue
    if (span.term <= before.term || span.firstPosition <= before.firstPosition) return false
    if (span.firstIndex <= before.firstIndex || span.firstPosition <= prevPosition) return false
    before = span
  }
  return true
}

/** Any word of the leader of this term: it is alive, and this node follows it. */
function follow(state: RaftState, message: Append | Install): void {
  const known = state.role === Role.follower && state.leaderId === message.from
  if (message.term > state.term || !known) {
    state.becomeFollower(message.term, message.from, `${message.from} leads term ${message.term}`)
  }
  state.leaderHeardTick = state.now
  state.leaderRound = Math.max(state.leaderRound, message.round)
  state.attempts = 0
  state.yieldedTimeouts = 0
  state.setElectionTimer()
}

/** Does our log agree with the leader's at `prevPosition`? If not, says so to the leader. */
function prefixMatches(state: RaftState, message: Append): boolean {
  const { prevPosition, prevTerm } = message
  if (prevPosition <= state.commitPosition) {
    const known = prevPosition > state.log.firstPosition
    if (!known || state.log.termAt(prevPosition) === prevTerm) return true
    haltContradicted(state, prevPosition)
    return false
  }
  if (prevPosition > state.log.endPosition) {
    refuse(state, message, state.log.endPosition, NO_TERM)
    return false
  }
  const ownTerm = state.log.termAt(prevPosition)
  if (ownTerm === prevTerm) return true
  refuse(state, message, state.log.spanStart(prevPosition), ownTerm)
  return false
}

/** Takes what is new in the payload; true if the log grew. */
function takeEntries(state: RaftState, message: Append): boolean {
  const { spans, endPosition, lastIndex } = message
  // Committed entries are compared, too: see `haltContradicted`.
  const from = Math.max(message.prevPosition, state.log.firstPosition)
  const conflict = state.log.findConflict(spans, from, endPosition)
  if (conflict !== undefined) {
    truncate(state, conflict.position, conflict.lastIndex)
    if (state.role !== Role.halted) refuse(state, message, state.log.endPosition, NO_TERM)
    return false
  }
  const fromPosition = state.log.endPosition
  state.verifiedEnd = Math.max(state.verifiedEnd, Math.min(endPosition, fromPosition))
  if (endPosition <= fromPosition) return false
  if (!state.log.continues(spans, lastIndex)) return false
  state.log.extendBySpans(spans, endPosition, lastIndex)
  state.verifiedEnd = endPosition
  state.effects.accept = { fromPosition, toPosition: endPosition, lastIndex }
  return true
}

/** Our log differs from the leader's: cut it, and take entries again once the cut is synced. */
function truncate(state: RaftState, position: number, lastIndex: number): void {
  if (position < state.commitPosition) {
    haltContradicted(state, position)
    return
  }
  if (position < state.verifiedEnd) {
    state.halt(`leader ${state.leaderId} contradicts its own entries at ${position}`)
    return
  }
  state.log.truncate(position, lastIndex)
  state.durablePosition = Math.min(state.durablePosition, position)
  state.verifiedEnd = position
  state.truncatePosition = position
  state.effects.truncate = { position }
}

/**
 * Cannot happen while a majority keeps what it acknowledged. Where it did not (entries that were in
 * memory only, a store that was emptied), this node must not mix two histories, nor drop the last
 * copy of what was committed: an operator decides.
 */
function haltContradicted(state: RaftState, position: number): void {
  state.halt(
    `the log of leader ${state.leaderId} contradicts what is committed here, at ${position}: ` +
      'a majority lost acknowledged entries that this node has',
  )
}

export function onTruncated(state: RaftState): void {
  if (state.truncatePosition < 0) return
  state.truncatePosition = -1
  if (state.role === Role.follower && state.leaderId !== null) acknowledge(state)
}

/** Tells the leader how much of its log is durable here, unless it was told just that last. */
export function acknowledge(state: RaftState): void {
  if (state.leaderId === null) return
  const { told, leaderRound, durablePosition, verifiedEnd, diskFull } = state
  if (
    told.round === leaderRound &&
    told.durablePosition === durablePosition &&
    told.verifiedEnd === verifiedEnd &&
    told.diskFull === diskFull
  ) {
    return
  }
  told.round = leaderRound
  told.durablePosition = durablePosition
  told.verifiedEnd = verifiedEnd
  told.diskFull = diskFull
  reply(state, state.leaderId, true, verifiedEnd, NO_TERM, leaderRound)
}

function refuse(
  state: RaftState,
  message: Append | Install,
  hint: number,
  conflictTerm: number,
): void {
  state.told.round = -1
  reply(state, message.from, false, hint, conflictTerm, message.round)
}

function reply(
  state: RaftState,
  to: string,
  accepted: boolean,
  endPosition: number,
  conflictTerm: number,
  round: number,
): void {
  state.sendWhenSaved({
    type: 'appendReply',
    from: state.config.selfId,
    to,
    term: state.term,
    accepted,
    matchPosition: Math.min(
      state.durablePosition,
      state.verifiedEnd,
      state.healing?.soundPosition ?? Number.POSITIVE_INFINITY,
    ),
    endPosition,
    conflictTerm,
    round,
    diskFull: state.diskFull,
  })
}
