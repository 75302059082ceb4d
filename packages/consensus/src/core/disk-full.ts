/**
 * A member whose disk is full: it stays in the group, votes and answers, but somebody with space
 * should lead. Invariants: fullness changes no vote, no term and nothing that is committed; a full
 * node campaigns only when nobody with space has won for a while; a full leader gives its office to
 * a follower only if that one has space.
 */
import { acknowledge } from './follower.ts'
import { type Progress, ProgressState } from './progress.ts'
import type { RaftState } from './state.ts'
import { Role } from './status.ts'
import { startTransfer } from './transfer.ts'

/** Election timeouts that a full node leaves to the others. */
const YIELDED_TIMEOUTS = 2

export function onDiskFull(state: RaftState, full: boolean): void {
  state.diskFull = full
  state.yieldedTimeouts = 0
  state.fullElapsed = 0
  if (state.role === Role.leader) handOver(state)
  else if (state.truncatePosition < 0 && state.healing === null) acknowledge(state)
}

/** A full leader looks about once a second whether a follower with space can take over. */
export function tickDiskFull(state: RaftState): void {
  if (!state.diskFull || ++state.fullElapsed < state.config.preferredCheckTicks) return
  state.fullElapsed = 0
  handOver(state)
}

function handOver(state: RaftState): void {
  if (!state.diskFull || state.transfer !== null) return
  let best: Progress | undefined
  for (const progress of state.peers) {
    if (!progress.connected || progress.diskFull) continue
    if (progress.state !== ProgressState.replicate) continue
    if (state.log.endPosition - progress.matchPosition > state.config.maxBatchBytes) continue
    if (best === undefined || progress.matchPosition > best.matchPosition) best = progress
  }
  if (best !== undefined) startTransfer(state, best.id)
}

/** True: this node's disk is full, and another one may win the election that is due. */
export function leavesElectionToOthers(state: RaftState): boolean {
  if (!state.diskFull || state.peers.length === 0) return false
  return ++state.yieldedTimeouts <= YIELDED_TIMEOUTS
}
