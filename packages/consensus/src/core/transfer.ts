/**
 * Handing leadership over (thesis §3.10): on request, to the preferred leader, or because the own
 * disk failed. Invariant: appends pause for at most `electionTicksMin` per attempt.
 */
import { assert } from '@ringledger/base'
import type { NodeId } from './config.ts'
import { type Progress, ProgressState } from './progress.ts'
import type { RaftState } from './state.ts'
import { Role } from './status.ts'

/** Longest pause between two attempts to hand over to the preferred leader, in checks. */
const MAX_PREFERRED_CHECKS = 64

export function startTransfer(state: RaftState, target: NodeId): void {
  const refusal = judgeTransfer(state, target)
  if (refusal !== '') {
    state.effects.transferEnded = { target, done: false, reason: refusal }
    return
  }
  state.transfer = { target, elapsedTicks: 0, told: false }
  advanceTransfer(state)
}

function judgeTransfer(state: RaftState, target: NodeId): string {
  if (state.role !== Role.leader) return 'this node does not lead'
  if (state.transfer !== null) return `a transfer to ${state.transfer.target} is under way`
  const progress = state.peer(target)
  if (progress === undefined) return `${target} is not another member`
  if (!progress.connected) return `${target} is not connected`
  return ''
}

/**
 * Tells the target to campaign once it has everything durably and all of it is committed: whoever
 * waits for one of these entries is answered before leadership moves.
 */
export function advanceTransfer(state: RaftState): void {
  const transfer = state.transfer
  if (transfer === null || transfer.told) return
  const progress = state.peer(transfer.target)
  assert(progress !== undefined, 'the target of a transfer is a member')
  const end = state.log.endPosition
  if (progress.matchPosition < end || state.commitPosition < end) return
  transfer.told = true
  sendTimeoutNow(state, progress)
}

function sendTimeoutNow(state: RaftState, progress: Progress): void {
  const { selfId } = state.config
  state.send({ type: 'timeoutNow', from: selfId, to: progress.id, term: state.term })
}

export function tickTransfer(state: RaftState): void {
  const transfer = state.transfer
  if (transfer === null) return
  transfer.elapsedTicks++
  if (transfer.elapsedTicks < state.config.electionTicksMin) return
  state.endTransfer(false, `${transfer.target} did not take over in time`)
}

/** Looks about once a second whether the preferred leader can take over. */
export function tickPreferred(state: RaftState): void {
  const { preferredLeaderId, selfId, preferredCheckTicks, maxBatchBytes } = state.config
  if (preferredLeaderId === null || preferredLeaderId === selfId) return
  if (++state.preferredElapsed < state.preferredPauseTicks || state.transfer !== null) return
  state.preferredElapsed = 0
  const progress = state.peer(preferredLeaderId)
  if (progress === undefined || !progress.connected || progress.diskFull) return
  if (state.commitPosition <= state.termStartPosition) return
  if (progress.state !== ProgressState.replicate) return
  if (state.log.endPosition - progress.matchPosition > maxBatchBytes) return
  const longest = MAX_PREFERRED_CHECKS * preferredCheckTicks
  state.preferredPauseTicks = Math.min(2 * state.preferredPauseTicks, longest)
  startTransfer(state, preferredLeaderId)
}

/** The own disk failed: the best-informed peer should not wait for a timeout. */
export function handOverAfterFailure(state: RaftState): void {
  if (state.role !== Role.leader) return
  let best: Progress | undefined
  for (const progress of state.peers) {
    if (!progress.connected) continue
    if (best === undefined || isBetterHeir(progress, best)) best = progress
  }
  if (best !== undefined) sendTimeoutNow(state, best)
}

function isBetterHeir(progress: Progress, best: Progress): boolean {
  if (progress.matchPosition !== best.matchPosition) {
    return progress.matchPosition > best.matchPosition
  }
  return best.diskFull && !progress.diskFull
}
