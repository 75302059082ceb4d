/**
 * Shapes of the JSON bodies that clients, mqadmin and name servers exchange (reference
 * rocketmq-remoting.md §2.2–2.5, §3.6, §5.2), with RocketMQ's defaults. Offsets are numbers below
 * 2^53; maps keyed by MessageQueue are written with `objectKeyMap`.
 */
import { TopicPerm } from '../names.ts'
import type { Language } from './codes.ts'
import type { ObjectKeyMap } from './json-writer.ts'

export interface MessageQueue {
  brokerName: string
  queueId: number
  topic: string
}

export interface DataVersion {
  counter: number
  stateVersion: number
  timestamp: number
}

export type TopicFilterType = 'SINGLE_TAG' | 'MULTI_TAG'

export interface TopicConfig {
  /** For example `message.type`, `queue.type`, `cleanup.policy`, `reserve.time`. */
  attributes: Record<string, string>
  order: boolean
  perm: number
  readQueueNums: number
  topicFilterType: TopicFilterType
  topicName: string
  topicSysFlag: number
  writeQueueNums: number
}

/** A topic as RocketMQ creates it when nothing is said. */
export function defaultTopicConfig(topicName: string): TopicConfig {
  return {
    attributes: {},
    order: false,
    perm: TopicPerm.READ_WRITE,
    readQueueNums: 16,
    topicFilterType: 'SINGLE_TAG',
    topicName,
    topicSysFlag: 0,
    writeQueueNums: 16,
  }
}

export interface GroupRetryPolicy {
  type: 'CUSTOMIZED' | 'EXPONENTIAL'
  customizedRetryPolicy?: { next: number[] }
  exponentialRetryPolicy?: { initial: number; max: number; multiplier: number }
}

export interface SubscriptionGroupConfig {
  attributes: Record<string, string>
  brokerId: number
  consumeBroadcastEnable: boolean
  consumeEnable: boolean
  consumeFromMinEnable: boolean
  consumeMessageOrderly: boolean
  consumeTimeoutMinute: number
  groupName: string
  groupRetryPolicy: GroupRetryPolicy
  groupSysFlag: number
  notifyConsumerIdsChangedEnable: boolean
  retryMaxTimes: number
  retryQueueNums: number
  whichBrokerWhenConsumeSlowly: number
}

export function defaultSubscriptionGroupConfig(groupName: string): SubscriptionGroupConfig {
  return {
    attributes: {},
    brokerId: 0,
    consumeBroadcastEnable: true,
    consumeEnable: true,
    consumeFromMinEnable: true,
    consumeMessageOrderly: false,
    consumeTimeoutMinute: 15,
    groupName,
    groupRetryPolicy: { type: 'CUSTOMIZED' },
    groupSysFlag: 0,
    notifyConsumerIdsChangedEnable: true,
    retryMaxTimes: 16,
    retryQueueNums: 1,
    whichBrokerWhenConsumeSlowly: 1,
  }
}

export interface TopicConfigSerializeWrapper {
  dataVersion: DataVersion
  mappingDataVersion?: DataVersion
  topicConfigTable: Record<string, TopicConfig>
  topicQueueMappingDetailMap?: Record<string, unknown>
  topicQueueMappingInfoMap?: Record<string, unknown>
}

export interface RegisterBrokerBody {
  filterServerList: string[]
  topicConfigSerializeWrapper: TopicConfigSerializeWrapper
}

export interface SubscriptionGroupWrapper {
  dataVersion: DataVersion
  forbiddenTable: Record<string, Record<string, number>>
  subscriptionGroupTable: Record<string, SubscriptionGroupConfig>
}

export interface BrokerData {
  /** Broker id (decimal text, "0" is the master) to `host:port`. */
  brokerAddrs: Record<string, string>
  brokerName: string
  cluster: string
  enableActingMaster: boolean
  zoneName?: string
}

export interface QueueData {
  brokerName: string
  perm: number
  readQueueNums: number
  topicSysFlag: number
  writeQueueNums: number
}

export interface TopicRouteData {
  brokerDatas: BrokerData[]
  filterServerTable: Record<string, string[]>
  queueDatas: QueueData[]
  orderTopicConf?: string
}

export interface ClusterInfo {
  brokerAddrTable: Record<string, BrokerData>
  clusterAddrTable: Record<string, string[]>
}

export interface TopicList {
  topicList: string[]
  brokerAddr?: string
}

export interface KVTable {
  table: Record<string, string>
}

export type ConsumeType = 'CONSUME_PASSIVELY' | 'CONSUME_ACTIVELY' | 'CONSUME_POP'
export type MessageModel = 'CLUSTERING' | 'BROADCASTING'
export type ConsumeFromWhere =
  | 'CONSUME_FROM_LAST_OFFSET'
  | 'CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST'
  | 'CONSUME_FROM_MIN_OFFSET'
  | 'CONSUME_FROM_MAX_OFFSET'
  | 'CONSUME_FROM_FIRST_OFFSET'
  | 'CONSUME_FROM_TIMESTAMP'

export interface SubscriptionData {
  classFilterMode: boolean
  codeSet: number[]
  /** `TAG` or `SQL92`. */
  expressionType: string
  subString: string
  subVersion: number
  tagsSet: string[]
  topic: string
}

export interface ConsumerData {
  consumeFromWhere: ConsumeFromWhere
  consumeType: ConsumeType
  groupName: string
  messageModel: MessageModel
  subscriptionDataSet: SubscriptionData[]
  unitMode: boolean
}

export interface HeartbeatData {
  clientID: string
  consumerDataSet: ConsumerData[]
  /** 0: heartbeat of the first version. */
  heartbeatFingerprint: number
  producerDataSet: Array<{ groupName: string }>
  withoutSub: boolean
}

export interface LockBatchBody {
  clientId: string
  consumerGroup: string
  mqSet: MessageQueue[]
  onlyThisBroker: boolean
}

export interface Connection {
  clientAddr: string
  clientId: string
  language: Language
  version: number
}

export interface ConsumerConnection {
  connectionSet: Connection[]
  consumeFromWhere: ConsumeFromWhere
  consumeType: ConsumeType
  messageModel: MessageModel
  subscriptionTable: Record<string, SubscriptionData>
}

export interface ProducerConnection {
  connectionSet: Connection[]
}

export interface OffsetWrapper {
  brokerOffset: number
  consumerOffset: number
  lastTimestamp: number
  pullOffset: number
}

export interface ConsumeStats {
  consumeTps: number
  /** MessageQueue → OffsetWrapper. */
  offsetTable: ObjectKeyMap
}

export interface TopicOffset {
  lastUpdateTimestamp: number
  maxOffset: number
  minOffset: number
}

export interface TopicStatsTable {
  /** MessageQueue → TopicOffset. */
  offsetTable: ObjectKeyMap
  topicPutTps: number
}

export interface ResetOffsetBody {
  /** MessageQueue → offset. */
  offsetTable: ObjectKeyMap
}

export interface ConsumeQueueData {
  bitMap?: string
  eval: boolean
  extendDataJson?: string
  msg?: string
  physicOffset: number
  physicSize: number
  tagsCode: number
}

export interface QueryConsumeQueueResponseBody {
  maxQueueIndex: number
  minQueueIndex: number
  queueData: ConsumeQueueData[]
  subscriptionData?: SubscriptionData
  filterData?: string
}

export interface BrokerStatsItem {
  avgpt: number
  sum: number
  tps: number
}

export interface BrokerStatsData {
  statsDay: BrokerStatsItem
  statsHour: BrokerStatsItem
  statsMinute: BrokerStatsItem
}
