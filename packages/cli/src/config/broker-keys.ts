/**
 * Every setting that a broker.conf of RingLedger has an effect on, under Apache's spelling (which
 * misses the d in `dLeger`). One place for type, range, unit, default and documentation;
 * docs/operate/settings.md is made from it. Where our default is not Apache's, the sentence says
 * so.
 */
import {
  booleanSetting,
  choiceSetting,
  integerSetting,
  type SettingsSchema,
  textSetting,
} from '@ringledger/base'
import { checkPeers } from './peers.ts'
import { type RetentionKeys, retentionKeys } from './retention-keys.ts'
import {
  checkAddressList,
  checkAdvertised,
  checkBindAddress,
  checkDelayLevels,
  checkName,
  checkNodeId,
  splitList,
} from './value-checks.ts'

const MIB = 1024 * 1024
/** Java's int: Apache could not read a larger value back. */
const MAX_INT = 2_147_483_647

/** The settings as written; empty text means "not set". */
export interface BrokerKeys extends RetentionKeys {
  brokerClusterName: string
  brokerName: string
  brokerIP1: string
  brokerId: number
  listenPort: number
  bindAddress: string
  namesrvAddr: string
  registerNameServerPeriod: number
  channelExpiredTimeout: number
  rocketmqHome: string

  enableDLegerCommitLog: boolean
  brokerRole: 'ASYNC_MASTER' | 'SYNC_MASTER' | 'SLAVE'
  enableControllerMode: boolean
  dLegerGroup: string
  dLegerPeers: string
  dLegerSelfId: string
  preferredLeaderId: string
  electionTimeoutMs: number
  heartbeatIntervalMs: number
  threads: 'auto' | 'folded' | 'separate'
  sendMessageThreadPoolNums: number
  logArenaSizeBytes: number

  storePathRootDir: string
  storePathCommitLog: string
  oldCommitLogWithout: string
  storePathDLedgerCommitLog: string
  flushDiskType: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  mappedFileSizeCommitLog: number
  mappedFileSizeConsumeQueue: number
  maxHashSlotNum: number
  maxIndexNum: number
  minimumFreeDiskBytes: number
  scrubBytesPerSecond: number
  directLogWrites: boolean

  maxMessageSize: number
  autoCreateTopicEnable: boolean
  autoCreateSubscriptionGroup: boolean
  defaultTopicQueueNums: number
  brokerPermission: number
  messageDelayLevel: string
  longPollingEnable: boolean
  shortPollingTimeMills: number
  litePullMessageEnable: boolean
  maxTransferCountOnMessageInMemory: number
  maxTransferBytesOnMessageInMemory: number
  accessMessageInMemoryMaxRatio: number
  traceTopicEnable: boolean
  traceOn: boolean
  regionId: string
}

type Part<K extends keyof BrokerKeys> = SettingsSchema<Pick<BrokerKeys, K>>

function checkIdList(text: string): string | undefined {
  return splitList(text)
    .map(checkNodeId)
    .find((problem) => problem !== undefined)
}

type AddressKey =
  | 'brokerClusterName'
  | 'brokerName'
  | 'brokerIP1'
  | 'brokerId'
  | 'listenPort'
  | 'bindAddress'
  | 'namesrvAddr'
  | 'registerNameServerPeriod'
  | 'channelExpiredTimeout'
  | 'rocketmqHome'

const addressKeys: Part<AddressKey> = {
  brokerClusterName: textSetting({
    doc: 'Cluster that the broker belongs to.',
    defaultValue: 'DefaultCluster',
    check: checkName,
  }),
  brokerName: textSetting({
    doc: 'Name of the group of replicas towards clients; equal on all members. Default: the host name.',
    defaultValue: '',
    check: checkName,
  }),
  brokerIP1: textSetting({
    doc: 'IPv4 address that clients are told to connect to, also part of message ids. Default: the first address of this machine that is not a loopback one.',
    defaultValue: '',
    check: checkAdvertised,
  }),
  brokerId: integerSetting({
    doc: 'Has no effect: the leader is 0, a follower nK is K + 1. With enableDLegerCommitLog=false it must be 0.',
    defaultValue: 0,
    min: -1,
    max: MAX_INT,
  }),
  listenPort: integerSetting({
    doc: 'Port for clients. Must differ from the DLedger port.',
    defaultValue: 10911,
    min: 1,
    max: 65535,
  }),
  bindAddress: textSetting({
    doc: 'Local address that the client and DLedger ports are bound to.',
    defaultValue: '0.0.0.0',
    check: checkBindAddress,
  }),
  namesrvAddr: textSetting({
    doc: 'Name servers, host:port;host:port. Default: the environment variable NAMESRV_ADDR. Without any, clients cannot find the broker.',
    defaultValue: '',
    check: checkAddressList,
  }),
  registerNameServerPeriod: integerSetting({
    doc: 'Pause between two registrations at the name servers.',
    unit: 'ms',
    defaultValue: 30_000,
    min: 10_000,
    max: 60_000,
  }),
  channelExpiredTimeout: integerSetting({
    doc: 'A client that sends no heartbeat for this long is dropped.',
    unit: 'ms',
    defaultValue: 120_000,
    min: 1_000,
    max: MAX_INT,
  }),
  rocketmqHome: textSetting({
    doc: 'Stands for ${ROCKETMQ_HOME} in paths. Default: the environment variable of that name.',
    defaultValue: '',
  }),
}

type GroupKey =
  | 'enableDLegerCommitLog'
  | 'brokerRole'
  | 'enableControllerMode'
  | 'dLegerGroup'
  | 'dLegerPeers'
  | 'dLegerSelfId'
  | 'preferredLeaderId'
  | 'electionTimeoutMs'
  | 'heartbeatIntervalMs'
  | 'threads'
  | 'sendMessageThreadPoolNums'
  | 'logArenaSizeBytes'

const groupKeys: Part<GroupKey> = {
  enableDLegerCommitLog: booleanSetting({
    doc: "True: the log is a DLedger log, replicated by Raft, also for a group of one. False: plain mode, one node without Raft on the commit log of RocketMQ's Master, which can go back to that at any time (docs/operate/upgrade.md). RocketMQ: false.",
    defaultValue: true,
  }),
  brokerRole: choiceSetting({
    doc: 'Has no effect in a group. With enableDLegerCommitLog=false the broker is a Master without Slaves; SLAVE is refused.',
    defaultValue: 'ASYNC_MASTER',
    choices: ['ASYNC_MASTER', 'SYNC_MASTER', 'SLAVE'],
  }),
  enableControllerMode: booleanSetting({
    doc: "RocketMQ's other way of replication; true is refused.",
    defaultValue: false,
  }),
  dLegerGroup: textSetting({
    doc: 'Name of the Raft group, equal on all members. Default: brokerName.',
    defaultValue: '',
    check: checkName,
  }),
  dLegerPeers: textSetting({
    doc: 'All members, n0-host:port;n1-host:port;… in the same spelling on each of them. IPv6 addresses in brackets. Default: a group of one, n0.',
    defaultValue: '',
    check: checkPeers,
  }),
  dLegerSelfId: textSetting({
    doc: 'Which of dLegerPeers this node is: a letter and a number.',
    defaultValue: '',
    check: checkNodeId,
  }),
  preferredLeaderId: textSetting({
    doc: 'Members that should lead when they can, most wanted first, separated by ";".',
    defaultValue: '',
    check: checkIdList,
  }),
  electionTimeoutMs: integerSetting({
    doc: 'A follower that hears nothing from its leader for this long, or up to half as long again, campaigns. Too low: needless elections under load. RingLedger only.',
    unit: 'ms',
    defaultValue: 400,
    min: 100,
    max: 60_000,
  }),
  heartbeatIntervalMs: integerSetting({
    doc: 'Pause between heartbeats of an idle leader; at most a third of electionTimeoutMs. RingLedger only.',
    unit: 'ms',
    defaultValue: 50,
    min: 25,
    max: 20_000,
  }),
  threads: choiceSetting({
    doc: 'folded: clients, peers and consensus share a thread. separate: clients get threads of their own. auto: separate from four cores up. RingLedger only.',
    defaultValue: 'auto',
    choices: ['auto', 'folded', 'separate'],
  }),
  sendMessageThreadPoolNums: integerSetting({
    doc: 'Threads for clients under threads=separate, at most half as many as cores and 8; no effect under threads=folded. Default: 2.',
    defaultValue: 0,
    min: 0,
    max: 1024,
  }),
  logArenaSizeBytes: integerSetting({
    doc: "Shared memory that holds the log's newest part; a power of two. Too small: lagging followers and consumers are served from files more often. RingLedger only.",
    unit: 'bytes',
    defaultValue: 32 * MIB,
    min: MIB,
    max: 1024 * MIB,
  }),
}

type StoreKey =
  | 'storePathRootDir'
  | 'storePathCommitLog'
  | 'oldCommitLogWithout'
  | 'storePathDLedgerCommitLog'
  | 'flushDiskType'
  | 'mappedFileSizeCommitLog'
  | 'mappedFileSizeConsumeQueue'
  | 'maxHashSlotNum'
  | 'maxIndexNum'
  | 'minimumFreeDiskBytes'
  | 'scrubBytesPerSecond'
  | 'directLogWrites'

const storeKeys: Part<StoreKey> = {
  storePathRootDir: textSetting({
    doc: 'Directory of the store. ${user.home} and ${ROCKETMQ_HOME} are replaced.',
    defaultValue: '${user.home}/store',
  }),
  storePathCommitLog: textSetting({
    doc: 'Directory of a commit log from before DLedger. Default: <storePathRootDir>/commitlog.',
    defaultValue: '',
  }),
  oldCommitLogWithout: textSetting({
    doc: 'Members, n1;n2, whose old commit log the first start of a group does not wait for: it may begin without messages that only they have. Without it all members are waited for. RingLedger only.',
    defaultValue: '',
  }),
  storePathDLedgerCommitLog: textSetting({
    doc: 'Directory of the data segments; one path. Default: <storePathRootDir>/dledger-<dLegerSelfId>/data.',
    defaultValue: '',
  }),
  flushDiskType: choiceSetting({
    doc: 'SYNC_FLUSH: an acknowledged message is on the disks of a majority. ASYNC_FLUSH: in the memory of a majority; a power cut of all can lose it. RocketMQ: ASYNC_FLUSH.',
    defaultValue: 'SYNC_FLUSH',
    choices: ['SYNC_FLUSH', 'ASYNC_FLUSH'],
  }),
  mappedFileSizeCommitLog: integerSetting({
    doc: 'Size of a data segment. Must be equal on all members and never change.',
    unit: 'bytes',
    defaultValue: 1024 * MIB,
    min: 64 * 1024,
    max: MAX_INT,
  }),
  mappedFileSizeConsumeQueue: integerSetting({
    doc: 'Size of a consume queue file, rounded up to a multiple of 20. Must never change.',
    unit: 'bytes',
    defaultValue: 6_000_000,
    min: 20,
    max: MAX_INT,
  }),
  maxHashSlotNum: integerSetting({
    doc: 'Hash slots of a key index file. Must never change.',
    defaultValue: 5_000_000,
    min: 1,
    max: 500_000_000,
  }),
  maxIndexNum: integerSetting({
    doc: 'Entries of a key index file. Must never change.',
    defaultValue: 20_000_000,
    min: 1,
    max: 100_000_000,
  }),
  minimumFreeDiskBytes: integerSetting({
    doc: "Space to leave on the log's disk: below it new messages are refused with 14 and a follower with more space leads. What was accepted is still written. Queues, index and tables need some of it. RingLedger only.",
    unit: 'bytes',
    defaultValue: 256 * MIB,
    min: 0,
    max: 1024 * 1024 * MIB,
  }),
  scrubBytesPerSecond: integerSetting({
    doc: 'How fast the files of the log are looked through for damage, which is repaired from the other nodes: 1.5 MiB/s takes a thousandth of a core. 0: only what is read is checked. RingLedger only.',
    unit: 'bytes',
    defaultValue: 1.5 * MIB,
    min: 0,
    max: 1024 * MIB,
  }),
  directLogWrites: booleanSetting({
    doc: 'Write the log past the page cache (O_DIRECT) where the file system can: less processor time a message. Who reads what has left logArenaSizeBytes then reads from the disk. RingLedger only.',
    defaultValue: true,
  }),
}

type MessageKey = Exclude<keyof BrokerKeys, AddressKey | GroupKey | StoreKey | keyof RetentionKeys>

const messageKeys: Part<MessageKey> = {
  maxMessageSize: integerSetting({
    doc: 'Largest message body. Must be equal on all members.',
    unit: 'bytes',
    defaultValue: 4 * MIB,
    min: 1024,
    max: 5 * MIB,
  }),
  autoCreateTopicEnable: booleanSetting({
    doc: 'A message to an unknown topic creates it.',
    defaultValue: true,
  }),
  autoCreateSubscriptionGroup: booleanSetting({
    doc: 'A consumer of an unknown group creates it.',
    defaultValue: true,
  }),
  defaultTopicQueueNums: integerSetting({
    doc: 'Queues of a topic that is created by its first message, at most.',
    defaultValue: 8,
    min: 1,
    max: 1024,
  }),
  brokerPermission: integerSetting({
    doc: 'What clients may do here: 6 read and write, 4 read, 2 write.',
    defaultValue: 6,
    min: 0,
    max: 7,
  }),
  messageDelayLevel: textSetting({
    doc: 'Delay of each level, from level 1 on. Levels of stored messages keep their number.',
    defaultValue: '1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h',
    check: checkDelayLevels,
  }),
  longPollingEnable: booleanSetting({
    doc: 'Hold a pull that found nothing as long as its client asks.',
    defaultValue: true,
  }),
  shortPollingTimeMills: integerSetting({
    doc: 'How long a pull is held when long polling is off.',
    unit: 'ms',
    defaultValue: 1_000,
    min: 1,
    max: 60_000,
  }),
  litePullMessageEnable: booleanSetting({ doc: 'Serve lite pull consumers.', defaultValue: true }),
  maxTransferCountOnMessageInMemory: integerSetting({
    doc: 'Messages in one answer to a pull, at most.',
    defaultValue: 32,
    min: 1,
    max: 10_000,
  }),
  maxTransferBytesOnMessageInMemory: integerSetting({
    doc: 'Bytes in one answer to a pull, at most (a single larger message still goes out).',
    unit: 'bytes',
    defaultValue: 256 * 1024,
    min: 1024,
    max: 8 * MIB,
  }),
  accessMessageInMemoryMaxRatio: integerSetting({
    doc: "Share of the machine's memory that the log's end may take to count as fresh: a new group starts at 0 on a queue that lies within it.",
    unit: 'percent',
    defaultValue: 40,
    min: 1,
    max: 100,
  }),
  traceTopicEnable: booleanSetting({
    doc: 'Make the topic for message traces at start.',
    defaultValue: false,
  }),
  traceOn: booleanSetting({ doc: 'Tell clients that they may trace.', defaultValue: true }),
  regionId: textSetting({
    doc: 'Region that clients are told with every answer.',
    defaultValue: 'DefaultRegion',
    check: checkName,
  }),
}

export const brokerSchema: SettingsSchema<BrokerKeys> = {
  ...addressKeys,
  ...groupKeys,
  ...storeKeys,
  ...retentionKeys,
  ...messageKeys,
}
