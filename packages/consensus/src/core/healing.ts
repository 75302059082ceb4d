/**
 * A node that lost, or cannot read, what it once acknowledged. A vote of it could elect a leader
 * without an entry that was committed with its help, so until it has everything back it neither
 * votes nor campaigns, and acknowledges nothing behind the first damaged entry.
 * Invariant: it ends only when no entry is damaged and the log, durable and equal to a leader's,
 * reaches to where it once ended, or holds an entry of a later term. The second suffices: elections
 * of terms behind `healing.term` were won without this node, so their winners had all that was
 * committed before.
 */
import { acknowledge } from './follower.ts'
import type { Healing } from './messages.ts'
import type { RaftState } from './state.ts'
import { Role } from './status.ts'

/** Damaged entries were replaced by whole ones. */
export function onMended(state: RaftState, soundPosition: number): void {
  if (state.healing === null) return
  state.healing = { ...state.healing, soundPosition }
  state.told.round = -1
  if (state.role === Role.follower && state.leaderId !== null) acknowledge(state)
  tryLeaveHealing(state)
}

/** The log was cut: what was damaged behind the cut is void. */
export function onCutWhileHealing(state: RaftState, position: number): void {
  if (position < 0 || state.healing === null || state.healing.soundPosition < position) return
  onMended(state, Number.POSITIVE_INFINITY)
}

/** Ends the healing once it may end. */
export function tryLeaveHealing(state: RaftState): void {
  const { healing } = state
  if (healing === null || state.role === Role.halted) return
  if (healing.soundPosition !== Number.POSITIVE_INFINITY || lacksLost(state, healing)) return
  state.healing = null
  state.effects.healed = true
}

/** Of a lost part of the log: is it not there again? */
function lacksLost(state: RaftState, healing: Healing): boolean {
  if (healing.untilPosition === 0) return false
  const held = Math.min(state.durablePosition, state.verifiedEnd)
  // Where the kept log starts no term is known, which a poorer candidate would seem to match.
  if (held === state.log.firstPosition) return true
  return held < healing.untilPosition && state.log.termAt(held) <= healing.term
}
