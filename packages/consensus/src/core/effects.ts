/**
 * What the machine wants done. The driver takes the effects after each `step` or `tick` and acts
 * in the order of the fields below. Everything in `send` may leave at once: what must wait for a
 * sync is held back by the machine until the driver reports that sync.
 *
 * The driver's turn: step every message that came in (an Append only after its bytes were checked),
 * taking effects after each; report own appends (`appended`) before anything else is stepped; at
 * the end of the turn, if `replicate` was set, for each peer whose socket has room
 *     while ((plan = raft.nextAppend(peer))) send(raft.sendAppend(plan, end, lastIndex), bytes)
 * and take effects once more; with each tick, or as often as you like, `flushCommit()` for peers
 * that get no entries. Hand disk work on in the order in which the effects came, and report it in
 * that order.
 */
import type { NodeId } from './config.ts'
import type { PeerMessage } from './messages.ts'
import type { Role } from './status.ts'

export interface Persist {
  /** Give it back in `hardStateSaved`. */
  readonly id: number
  readonly term: number
  readonly votedFor: NodeId | null
}

export interface RoleChange {
  readonly role: Role
  readonly term: number
  readonly leaderId: NodeId | null
  readonly reason: string
}

export interface ReadResult {
  readonly id: number
  /** Read up to here for a linearizable answer; -1: refused (not leading, or not yet serving). */
  readonly position: number
}

export interface TransferEnded {
  readonly target: NodeId
  /** True when leadership left this node. */
  readonly done: boolean
  readonly reason: string
}

export interface Effects {
  /** The node left the group for good (failed disk, broken invariant): say why and exit. */
  halted?: string
  /** Cut the log here before any later write, then report `truncated`. */
  truncate?: { readonly position: number }
  /**
   * Drop the whole log and begin an empty one here; first note durably what was lost by it (see
   * healing.ts). Then report `truncated`.
   */
  reset?: {
    readonly position: number
    readonly index: number
    readonly untilPosition: number
    readonly term: number
  }
  /** Copy this part of the payload that came beside the Append just stepped, and write it. */
  accept?: {
    readonly fromPosition: number
    readonly toPosition: number
    readonly lastIndex: number
  }
  /** Save and sync, then report `hardStateSaved`. A later one replaces an earlier one. */
  persist?: Persist
  send: PeerMessage[]
  roleChange?: RoleChange
  /** This node leads now: lay the barrier entry, then report `appended`. */
  becameLeader?: { readonly term: number }
  /** The commit position after it grew. May lie beyond this node's own durable position. */
  commitPosition?: number
  reads: ReadResult[]
  transferEnded?: TransferEnded
  /** The node has everything again that it once acknowledged, durably: see healing.ts. */
  healed?: true
  /** Some peer may be sent entries: call `nextAppend` for each at the end of the turn. */
  replicate: boolean
}

/** A place for effects to come. */
export function noEffects(): Effects {
  return { send: [], reads: [], replicate: false }
}

/** Nothing to do: shared, so that taking nothing allocates nothing. */
export const NOTHING: Effects = Object.freeze(noEffects())

export function isEmpty(effects: Effects): boolean {
  return (
    effects.send.length === 0 &&
    effects.reads.length === 0 &&
    !effects.replicate &&
    effects.persist === undefined &&
    effects.accept === undefined &&
    effects.truncate === undefined &&
    effects.commitPosition === undefined &&
    effects.roleChange === undefined &&
    effects.transferEnded === undefined &&
    effects.healed === undefined &&
    effects.reset === undefined &&
    effects.halted === undefined
  )
}
