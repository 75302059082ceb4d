/**
 * Topic and group configuration in Apache's field names (rocketmq-store.md §2.7): the defaults, and
 * the check of what a file or a record says. Invariant: a config that passed has every field, of
 * the right type.
 */
import type {
  DataVersion,
  GroupRetryPolicy,
  SubscriptionGroupConfig,
  TopicConfig,
} from '@ringledger/protocol'

export type { DataVersion, TopicConfig } from '@ringledger/protocol'
export type GroupConfig = SubscriptionGroupConfig

/** More queues than this a topic cannot have: every node keeps something per queue. */
export const MAX_QUEUES_PER_TOPIC = 16_384
const MAX_RETRY_QUEUES = 1024
const MAX_ATTRIBUTES = 64
const MAX_ATTRIBUTE_LENGTH = 4096

export function defaultTopicConfig(topicName: string, queueNums = 8, perm = 6): TopicConfig {
  return {
    topicName,
    readQueueNums: queueNums,
    writeQueueNums: queueNums,
    perm,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
    attributes: {},
  }
}

/** Apache keeps the queues of such a topic in another format (rocketmq-store.md §2.3). */
export function isBatchTopic(config: TopicConfig | undefined): boolean {
  return config?.attributes['queue.type'] === 'BatchCQ'
}

export function defaultGroupConfig(groupName: string): GroupConfig {
  return {
    groupName,
    consumeEnable: true,
    consumeFromMinEnable: true,
    consumeBroadcastEnable: true,
    consumeMessageOrderly: false,
    retryQueueNums: 1,
    retryMaxTimes: 16,
    groupRetryPolicy: { type: 'CUSTOMIZED' },
    brokerId: 0,
    whichBrokerWhenConsumeSlowly: 1,
    notifyConsumerIdsChangedEnable: true,
    groupSysFlag: 0,
    consumeTimeoutMinute: 15,
    attributes: {},
  }
}

type Fields = Record<string, unknown>

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isCount(
  value: unknown,
  largest: number = Number.MAX_SAFE_INTEGER,
): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= largest
}

/**
 * The config in `value` with defaults for what is absent, or a text that says what is wrong with
 * it.
 */
export function readTopicConfig(value: unknown): TopicConfig | string {
  if (!isObject(value)) return 'a topic is an object'
  const { topicName } = value
  if (typeof topicName !== 'string' || topicName === '') return 'a topic has a name'
  const config = overlay(defaultTopicConfig(topicName), value)
  if (typeof config === 'string') return `topic ${topicName}: ${config}`
  const { readQueueNums, writeQueueNums } = config
  if (
    !isCount(readQueueNums, MAX_QUEUES_PER_TOPIC) ||
    !isCount(writeQueueNums, MAX_QUEUES_PER_TOPIC)
  ) {
    return `topic ${topicName}: queue numbers are 0 to ${MAX_QUEUES_PER_TOPIC}`
  }
  if (!isCount(config.perm, 15)) return `topic ${topicName}: perm is 0 to 15`
  if (config.topicFilterType !== 'SINGLE_TAG' && config.topicFilterType !== 'MULTI_TAG') {
    return `topic ${topicName}: topicFilterType is SINGLE_TAG or MULTI_TAG`
  }
  return config
}

/** As `readTopicConfig`, for a subscription group. */
export function readGroupConfig(value: unknown): GroupConfig | string {
  if (!isObject(value)) return 'a group is an object'
  const { groupName } = value
  if (typeof groupName !== 'string' || groupName === '') return 'a group has a name'
  const config = overlay(defaultGroupConfig(groupName), value)
  if (typeof config === 'string') return `group ${groupName}: ${config}`
  if (!isCount(config.retryQueueNums, MAX_RETRY_QUEUES)) {
    return `group ${groupName}: retryQueueNums is 0 to ${MAX_RETRY_QUEUES}`
  }
  if (!isRetryPolicy(config.groupRetryPolicy)) return `group ${groupName}: unknown groupRetryPolicy`
  return config
}

/** The data version in `value`, or a first one. */
export function readDataVersion(value: unknown): DataVersion {
  const fields = isObject(value) ? value : {}
  const numberOf = (field: unknown): number => (isCount(field) ? field : 0)
  return {
    stateVersion: numberOf(fields.stateVersion),
    counter: numberOf(fields.counter),
    timestamp: numberOf(fields.timestamp),
  }
}

/** `defaults` with the fields of `given` that it knows; a text when one has another type. */
function overlay<Config extends object>(defaults: Config, given: Fields): Config | string {
  const config = { ...defaults } as Fields
  for (const name of Object.keys(defaults)) {
    const value = given[name]
    if (value === undefined || value === null) continue
    const problem =
      name === 'attributes' ? attributesProblem(value) : typeProblem(config[name], value)
    if (problem !== undefined) return `${name} ${problem}`
    config[name] = value
  }
  return config as Config
}

function typeProblem(expected: unknown, value: unknown): string | undefined {
  if (typeof value !== typeof expected) return `is a ${typeof expected}`
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return 'is a whole number'
  return undefined
}

function attributesProblem(value: unknown): string | undefined {
  if (!isObject(value)) return 'is an object'
  const entries = Object.entries(value)
  if (entries.length > MAX_ATTRIBUTES) return `has at most ${MAX_ATTRIBUTES} entries`
  for (const [name, text] of entries) {
    if (typeof text !== 'string') return 'has text values'
    if (name.length + text.length > MAX_ATTRIBUTE_LENGTH) return 'has a far too long entry'
  }
  return undefined
}

function isRetryPolicy(value: GroupRetryPolicy): boolean {
  return isObject(value) && (value.type === 'CUSTOMIZED' || value.type === 'EXPONENTIAL')
}
