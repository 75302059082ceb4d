/**
 * The options of the Raft machine. Time is counted in ticks; the driver decides how long a tick is
 * (25 ms nominal), so every timeout below is a multiple of that.
 * Invariant: a configuration that passed `checkConfig` can always elect a leader and keep it.
 */
import { LedgerError, type Random } from '@ringledger/base'

/** Names a member of the group, e.g. `n0`. */
export type NodeId = string

export interface RaftConfig {
  /** This node. */
  readonly selfId: NodeId
  /** The other members; empty for a group of one. Fixed for the life of the machine. */
  readonly peerIds: readonly NodeId[]
  /** Numbers in [0, 1). Seeded in tests, so that a run can be repeated. */
  readonly random: Random
  /**
   * Nominal length of a tick in milliseconds, used only to turn the once-a-second work into ticks.
   * Default 25. A driver that ticks slower makes failover slower by the same factor.
   */
  readonly tickMs?: number
  /**
   * A leader speaks to each peer at least this often. Default 4 (100 ms). Too low: idle traffic;
   * at or above `electionTicksMin`: healthy leaders are deposed.
   */
  readonly heartbeatTicks?: number
  /**
   * A follower never campaigns, and never helps a campaign, within this time of a leader's word.
   * Default 24 (600 ms). Too low: a pause of the leader (a long fsync, a garbage collection) costs
   * an election; too high: a frozen leader is noticed late.
   */
  readonly electionTicksMin?: number
  /**
   * Upper end of the random election timeout, and the time after which a leader that hears no
   * majority steps down. Default 36 (900 ms). Too close to the minimum: split votes.
   */
  readonly electionTicksMax?: number
  /** Shortest pause before a failed campaign is tried again. Default 2 (50 ms). */
  readonly retryTicksMin?: number
  /**
   * Longest pause before a failed campaign is tried again; after four failures it doubles up to
   * the election timeout. Default 8 (200 ms). Must leave room for a vote's fsync and round trip,
   * or candidates outrun their own votes.
   */
  readonly retryTicksMax?: number
  /**
   * Unacknowledged bytes on the way to one peer. Default 8 MiB. By Little's law throughput to a
   * peer is at most this over (round trip + fsync): 8 MiB at 20 ms give 400 MB/s. Too high: a peer
   * with a stalled disk holds that much in socket buffers. One batch may overshoot it.
   */
  readonly maxInflightBytes?: number
  /**
   * Bytes of one Append. Default 1 MiB. Too high: heartbeats wait behind a large frame. An entry
   * larger than this travels alone.
   */
  readonly maxBatchBytes?: number
  /**
   * The member that should lead whenever it is connected and caught up. Default none. A preferred
   * node that keeps failing costs one pause of at most `electionTicksMin` per attempt; attempts
   * become rarer (1 s doubling to 64 s).
   */
  readonly preferredLeaderId?: NodeId
  /** Reads that may wait for a confirmation round. Default 1024; more are refused at once. */
  readonly maxPendingReads?: number
}

/** Every option with its default filled in. */
export interface CheckedConfig extends Required<Omit<RaftConfig, 'preferredLeaderId'>> {
  readonly preferredLeaderId: NodeId | null
  /** Ticks between two looks at whether the preferred leader can take over. */
  readonly preferredCheckTicks: number
}

function refuse(reason: string): never {
  throw new LedgerError('BAD_CONFIG', `raft: ${reason}`)
}

function requireWhole(name: string, value: number, low: number): void {
  if (!Number.isSafeInteger(value) || value < low) {
    refuse(`${name} must be a whole number of at least ${low}, not ${value}`)
  }
}

/** Fills in defaults. Throws LedgerError BAD_CONFIG for values that cannot work together. */
export function checkConfig(config: RaftConfig): CheckedConfig {
  const tickMs = config.tickMs ?? 25
  const checked: CheckedConfig = {
    selfId: config.selfId,
    peerIds: [...config.peerIds],
    random: config.random,
    tickMs,
    heartbeatTicks: config.heartbeatTicks ?? 4,
    electionTicksMin: config.electionTicksMin ?? 24,
    electionTicksMax: config.electionTicksMax ?? 36,
    retryTicksMin: config.retryTicksMin ?? 2,
    retryTicksMax: config.retryTicksMax ?? 8,
    maxInflightBytes: config.maxInflightBytes ?? 8 * 1024 * 1024,
    maxBatchBytes: config.maxBatchBytes ?? 1024 * 1024,
    preferredLeaderId: config.preferredLeaderId ?? null,
    maxPendingReads: config.maxPendingReads ?? 1024,
    preferredCheckTicks: Math.max(1, Math.round(1000 / tickMs)),
  }
  requireUsable(checked)
  return checked
}

function requireUsable(config: CheckedConfig): void {
  if (config.selfId === '') refuse('selfId must not be empty')
  const members = new Set([config.selfId, ...config.peerIds])
  if (members.size !== config.peerIds.length + 1) {
    refuse('peerIds must be distinct and must not contain selfId')
  }
  if (!(config.tickMs > 0)) refuse(`tickMs must be positive, not ${config.tickMs}`)
  requireWhole('heartbeatTicks', config.heartbeatTicks, 1)
  requireWhole('electionTicksMin', config.electionTicksMin, 2)
  requireWhole('electionTicksMax', config.electionTicksMax, 3)
  requireWhole('retryTicksMin', config.retryTicksMin, 1)
  requireWhole('retryTicksMax', config.retryTicksMax, 2)
  requireWhole('maxBatchBytes', config.maxBatchBytes, 1)
  requireWhole('maxInflightBytes', config.maxInflightBytes, 1)
  requireWhole('maxPendingReads', config.maxPendingReads, 1)
  if (config.electionTicksMin < 2 * config.heartbeatTicks) {
    refuse('electionTicksMin must be at least twice heartbeatTicks: one lost heartbeat is no death')
  }
  if (config.electionTicksMax <= config.electionTicksMin) {
    refuse('electionTicksMax must exceed electionTicksMin: equal timeouts split votes for ever')
  }
  if (config.retryTicksMax <= config.retryTicksMin) {
    refuse('retryTicksMax must exceed retryTicksMin')
  }
  if (config.retryTicksMax > config.electionTicksMax) {
    refuse('retryTicksMax must not exceed electionTicksMax')
  }
  if (config.maxInflightBytes < config.maxBatchBytes) {
    refuse('maxInflightBytes must hold at least one batch (maxBatchBytes)')
  }
  if (config.preferredLeaderId !== null && !members.has(config.preferredLeaderId)) {
    refuse(`preferredLeaderId ${config.preferredLeaderId} is not a member`)
  }
}
