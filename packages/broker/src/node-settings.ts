/**
 * What a whole broker process is started with: the broker thread's settings plus addresses, group
 * and storage. Plain values only, so that parts of it travel in workerData. Names follow
 * broker.conf; the cli reads it from there and has checked every value and every combination
 * before.
 */
import type { BrokerSettings } from './settings.ts'

/** A member of the group, from `dLegerPeers`. */
export interface PeerAddress {
  /** A letter and a number, `n0`. */
  readonly id: string
  /** Host name, IPv4 or IPv6 address without brackets. */
  readonly host: string
  /** DLedger port of that member. */
  readonly port: number
}

export interface NodeSettings extends BrokerSettings {
  /** Name servers to register at, `host:port`; empty: register nowhere. */
  readonly nameServers: readonly string[]
  /** Local address that both listeners bind to; `0.0.0.0` for all. */
  readonly bindAddress: string

  readonly dLegerGroup: string
  readonly dLegerSelfId: string
  /** All members, this one included, in the order of the file. */
  readonly peers: readonly PeerAddress[]
  /** Members that should lead when they can, most wanted first. */
  readonly preferredLeaderIds: readonly string[]
  /**
   * A follower that hears nothing from the leader for this long (plus up to as much again)
   * campaigns.
   */
  readonly electionTimeoutMs: number
  readonly heartbeatIntervalMs: number

  readonly storePathRootDir: string
  /** Directory of the commit log from before DLedger mode. */
  readonly storePathCommitLog: string
  /** Members whose old commit log a first start does not wait for: the operator's word. */
  readonly oldCommitLogWithoutIds?: readonly string[]
  /**
   * Directory of the data segments; `<storePathRootDir>/dledger-<selfId>/data` unless configured.
   */
  readonly storePathDLedgerCommitLog: string
  /**
   * SYNC_FLUSH: an acknowledged write is fdatasync'ed on a majority. ASYNC_FLUSH: in memory of a
   * majority.
   */
  readonly flushDiskType: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  /** Bytes of a consume queue file, a multiple of 20. */
  readonly mappedFileSizeConsumeQueue: number
  readonly maxHashSlotNum: number
  readonly maxIndexNum: number
  /**
   * Percent of the disk in use above which new messages are refused, until it is at
   * diskSpaceCleanForciblyRatio.
   */
  readonly diskSpaceWarningLevelRatio: number
  /** Below this much free space on the log's disk new messages are refused. */
  readonly minimumFreeDiskBytes: number
  /** How fast the log's files are looked through for damage; 0: not at all. */
  readonly scrubBytesPerSecond: number
  /** Past the page cache, where the file system can. */
  readonly directLogWrites: boolean

  readonly registerNameServerPeriodMs: number
  /** Thread layout; see docs/decisions/0001. */
  readonly threads: 'folded' | 'separate'
  /** Sockets' share of the work under `threads=separate`: number of network workers. */
  readonly networkThreads: number
  /** Bytes of the log's tail that are kept in shared memory; a power of two. */
  readonly logArenaSizeBytes: number
}

/** What a member is registered as while it follows; 0 is the leader's. */
export function followerBrokerId(nodeId: string): number {
  return Number(nodeId.slice(1)) + 1
}
