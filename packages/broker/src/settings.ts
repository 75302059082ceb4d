/**
 * What the broker thread is configured with: plain values only, so that they travel in workerData.
 * Names follow broker.conf; units are added where Apache's key has none.
 */
import { totalmem } from 'node:os'

/** When the log is deleted (retention.ts), under Apache's keys; intervals in ms. */
export interface RetentionSettings {
  /** Hours that a segment is kept after it was last written to. */
  readonly fileReservedTime: number
  /** Hours of the day at which expired segments go, separated by ";". */
  readonly deleteWhen: string
  /** Percent of the disk in use above which expired segments go at any hour. */
  readonly diskMaxUsedSpaceRatio: number
  /** Percent above which the oldest segments go even if they are not expired. */
  readonly diskSpaceCleanForciblyRatio: number
  readonly cleanFileForciblyEnable: boolean
  readonly cleanResourceInterval: number
  readonly deleteCommitLogFilesInterval: number
  readonly deleteConsumeQueueFilesInterval: number
  /** Segments that one round deletes, at most. */
  readonly deleteFileBatchMax: number
}

export interface BrokerSettings extends RetentionSettings {
  /** False: one node on a plain commit log, without Raft. Absent: true. */
  readonly enableDLegerCommitLog?: boolean
  readonly brokerClusterName: string
  readonly brokerName: string
  /** Advertised IPv4 address; clients connect to it and it is part of every offset message id. */
  readonly brokerIP1: string
  readonly listenPort: number
  readonly autoCreateTopicEnable: boolean
  readonly autoCreateSubscriptionGroup: boolean
  readonly defaultTopicQueueNums: number
  /** Permission bits of the whole broker, ANDed with each topic's: 4 read, 2 write. */
  readonly brokerPermission: number
  readonly regionId: string
  readonly traceOn: boolean
  readonly traceTopicEnable: boolean
  /** Largest message body that is taken. */
  readonly maxMessageSize: number
  /** Delay of each level from 1 on, in Apache's notation: `1s 5s 10s 30s 1m …`. */
  readonly messageDelayLevel: string
  readonly longPollingEnable: boolean
  /** Hold time of a pull when long polling is off. */
  readonly shortPollingTimeMills: number
  /** Answers the lite pull consumer's code 361. */
  readonly litePullMessageEnable: boolean
  readonly maxTransferCountOnMessageInMemory: number
  readonly maxTransferBytesOnMessageInMemory: number
  /**
   * Bytes of the log's end that count as being in memory: a new group starts at 0 on a queue that
   * is younger.
   */
  readonly accessMessageInMemoryMaxBytes: number
  /** A client without heartbeat for this long is dropped. */
  readonly channelExpiredTimeoutMs: number
  /** Where everything but the log lies. */
  readonly storePathRootDir: string
  /** Where the log's segments lie. */
  readonly storePathDLedgerCommitLog: string
  /** Bytes of a data segment; must be equal on all members. */
  readonly mappedFileSizeCommitLog: number
  /** Every key of the effective configuration, as getBrokerConfig shows it. */
  readonly configuration: Readonly<Record<string, string>>
}

/** One node without Raft, on a commit log as Apache's Master has it. */
export function isPlain(settings: Pick<BrokerSettings, 'enableDLegerCommitLog'>): boolean {
  return settings.enableDLegerCommitLog === false
}

/** Apache's defaults (rocketmq-remoting.md, appendix C). */
export function defaultSettings(override: Partial<BrokerSettings> = {}): BrokerSettings {
  return {
    brokerClusterName: 'DefaultCluster',
    brokerName: 'broker-a',
    brokerIP1: '127.0.0.1',
    listenPort: 10911,
    autoCreateTopicEnable: true,
    autoCreateSubscriptionGroup: true,
    defaultTopicQueueNums: 8,
    brokerPermission: 6,
    regionId: 'DefaultRegion',
    traceOn: true,
    traceTopicEnable: false,
    maxMessageSize: 4 * 1024 * 1024,
    messageDelayLevel: '1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h',
    longPollingEnable: true,
    shortPollingTimeMills: 1000,
    litePullMessageEnable: true,
    maxTransferCountOnMessageInMemory: 32,
    maxTransferBytesOnMessageInMemory: 256 * 1024,
    accessMessageInMemoryMaxBytes: Math.floor(totalmem() * 0.4),
    channelExpiredTimeoutMs: 120_000,
    storePathRootDir: '',
    storePathDLedgerCommitLog: '',
    mappedFileSizeCommitLog: 1024 ** 3,
    fileReservedTime: 72,
    deleteWhen: '04',
    diskMaxUsedSpaceRatio: 75,
    diskSpaceCleanForciblyRatio: 85,
    cleanFileForciblyEnable: true,
    cleanResourceInterval: 10_000,
    deleteCommitLogFilesInterval: 100,
    deleteConsumeQueueFilesInterval: 100,
    deleteFileBatchMax: 10,
    configuration: {},
    ...override,
  }
}
