/** What a start found: plain data that travels from the IO thread to the others. */
import { LedgerError } from '@ringledger/base'
import type { StoreLayout } from './config.ts'
import type { HardState } from './hard-state.ts'

/** A run of entries of one term. */
export interface TermSpan {
  readonly term: number
  /** Where the entry before the run ends: a filler ahead of the first entry is inside. */
  readonly firstPosition: number
  readonly firstIndex: number
}

/** The log as recovery found it; all of it is durable. */
export interface LogTail {
  /** Where the oldest kept entry starts. */
  readonly firstPosition: number
  readonly firstIndex: number
  readonly endPosition: number
  /** `firstIndex - 1` when the log is empty. */
  readonly lastIndex: number
  /** -1 when the log is empty. */
  readonly lastTerm: number
  /** Ascending; empty for an empty log. */
  readonly spans: readonly TermSpan[]
}

/** Bytes that looked like log and were not kept. */
export interface Damage {
  readonly position: number
  readonly index: number
  readonly reason: string
}

/**
 * An entry that was durable and cannot be read any more, with the place that is known to be its.
 */
export interface Hole extends Damage {
  /**
   * Where the entry before ends: the log is sound up to there. A filler may lie between that and
   * `position`; it belongs to the entry behind it.
   */
  readonly previousEndPosition: number
  /** Where the entry ends; it starts at `position`. */
  readonly endPosition: number
  readonly term: number
}

/** Where the last entry ends before the first of the holes; Infinity for none. */
export function soundPositionOf(holes: Iterable<Hole>): number {
  let sound = Number.POSITIVE_INFINITY
  for (const hole of holes) sound = Math.min(sound, hole.previousEndPosition)
  return sound
}

/** What this node gave up of its log, durably noted: it may have acknowledged it. */
export interface LostLog {
  /** Where the log once ended. */
  readonly untilPosition: number
  /** The saved term at that time. */
  readonly term: number
}

/** Plain data: it travels to the core thread. */
export interface Recovered {
  readonly tail: LogTail
  /**
   * `chainCrc` of the last entry, 0 for none or for an entry that Apache wrote, -1 when it is not
   * known.
   */
  readonly lastChainCrc: number
  readonly hardState: HardState
  /** Known to be committed before the start; never above the end. */
  readonly committedPosition: number
  readonly committedIndex: number
  /** The last holder closed in order; false too for a new store and for one of Apache's. */
  readonly cleanShutdown: boolean
  /** What an operator may want to read, a line each. */
  readonly report: readonly string[]
  /** A cut tail behind which bytes of a log were found; nothing of it had been acknowledged. */
  readonly damage: readonly Damage[]
  /** Entries that were durable and are not readable: not to be served, nor acknowledged behind. */
  readonly holes: readonly Hole[]
  /** Set while the log is not again what it once was. */
  readonly lost?: LostLog
}

/** For damage that stops the node, because what was lost, and where, is not certain. */
export function refuseDamage(path: string, layout: StoreLayout, damage: Damage): LedgerError {
  const { position, index, reason } = damage
  return new LedgerError(
    'CORRUPT',
    `${path}: entry ${index} at position ${position} was acknowledged ` +
      `as durable and is not readable (${reason}). Dropping it could lose committed data, so ` +
      'this node does not start; nothing was dropped. If a majority of the group is healthy, ' +
      `move ${layout.directory} away and start this node empty: it gets the log from the others.`,
  )
}
