/**
 * What a leader knows of one peer.
 * Invariants: every byte below `matchPosition` is durable at the peer and equal to ours;
 * `matchPosition <= nextPosition <= end of our log`.
 */
import type { NodeId } from './config.ts'

/** How entries travel to a peer. */
export const ProgressState = {
  /** Looking for the place where the logs agree: empty Appends only, one at a time. */
  probe: 'probe',
  /** Agreed: entries stream, `nextPosition` runs ahead of the acknowledgements. */
  replicate: 'replicate',
  /** As replicate, but more than the in-flight window behind: not a candidate to lead. */
  catchUp: 'catchUp',
  /** It needs bytes that retention dropped here: it is told to begin its log anew. */
  behindLogStart: 'behindLogStart',
} as const
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState]

export class Progress {
  readonly id: NodeId
  state: ProgressState = ProgressState.probe
  connected = false
  matchPosition = 0
  /** The next byte to send, or while probing the place to ask about. */
  nextPosition = 0
  /** The commit position last told to the peer. */
  sentCommitPosition = -1
  /** The greatest round that the peer echoed. */
  ackedRound = -1
  /** The round in which `nextPosition` was last moved back: older refusals are stale. */
  probeRound = 0
  /** The peer's disk is full, by its last word. */
  diskFull = false
  /** The tick at which the peer was last heard. */
  heardTick = 0
  /** Grows with every reset; a plan made before it is void. */
  epoch = 0
  /** A plan was given out and neither sent nor cancelled yet. */
  planned = false

  constructor(id: NodeId) {
    this.id = id
  }

  /** A new leadership begins: nothing is known of the peer. */
  resetForTerm(endPosition: number, tick: number): void {
    this.matchPosition = 0
    this.sentCommitPosition = -1
    this.ackedRound = -1
    this.heardTick = tick
    this.diskFull = false
    this.probeFrom(endPosition)
  }

  /** Asks about `position` next; plans under way are void. */
  probeFrom(position: number): void {
    this.state = ProgressState.probe
    this.nextPosition = position
    this.epoch++
    this.planned = false
  }

  /** True while entries may stream. */
  get streams(): boolean {
    return this.state === ProgressState.replicate || this.state === ProgressState.catchUp
  }
}
