/**
 * Names of topics and groups: what is allowed, what is reserved, and how retry and dead-letter
 * topics are named (reference rocketmq-remoting.md §3.2, §5.1, §5.10).
 */

export const RETRY_TOPIC_PREFIX = '%RETRY%'
export const DLQ_TOPIC_PREFIX = '%DLQ%'
/** Of light message queues. */
export const LIGHT_TOPIC_PREFIX = '%LMQ%'
export const MAX_TOPIC_LENGTH = 127
export const MAX_RETRY_TOPIC_LENGTH = 255
export const MAX_GROUP_LENGTH = 120

export const SystemTopic = {
  AUTO_CREATE_TOPIC_KEY: 'TBW102',
  SCHEDULE: 'SCHEDULE_TOPIC_XXXX',
  BENCHMARK: 'BenchmarkTest',
  TRANS_HALF: 'RMQ_SYS_TRANS_HALF_TOPIC',
  TRANS_OP_HALF: 'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  TRANS_CHECK_MAX_TIME: 'TRANS_CHECK_MAX_TIME_TOPIC',
  ROCKSDB_TRANS_HALF: 'RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC',
  ROCKSDB_TRANS_OP_HALF: 'RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC',
  TRACE: 'RMQ_SYS_TRACE_TOPIC',
  SELF_TEST: 'SELF_TEST_TOPIC',
  OFFSET_MOVED_EVENT: 'OFFSET_MOVED_EVENT',
  TIMER: 'rmq_sys_wheel_timer',
  /** Our own records in the log: barriers, topics, groups, offsets (decision 0001). */
  STATE: 'rmq_sys_RINGLEDGER_STATE',
} as const

export const SYSTEM_TOPIC_PREFIX = 'rmq_sys_'

/** Bits of a topic's permission. */
export const TopicPerm = {
  INHERIT: 1,
  WRITE: 2,
  READ: 4,
  PRIORITY: 8,
  READ_WRITE: 6,
  READ_WRITE_INHERIT: 7,
} as const

/** Bits of a topic's sysFlag. */
export const TopicSysFlag = { UNIT: 1, UNIT_SUBSCRIPTION: 2 } as const

const SYSTEM_TOPICS: ReadonlySet<string> = new Set(Object.values(SystemTopic))

const FORBIDDEN_TO_SEND: ReadonlySet<string> = new Set([
  SystemTopic.SCHEDULE,
  SystemTopic.TRANS_HALF,
  SystemTopic.TRANS_OP_HALF,
  SystemTopic.ROCKSDB_TRANS_HALF,
  SystemTopic.ROCKSDB_TRANS_OP_HALF,
  SystemTopic.TRANS_CHECK_MAX_TIME,
  SystemTopic.SELF_TEST,
  SystemTopic.OFFSET_MOVED_EVENT,
  SystemTopic.STATE,
])

const LEGAL_NAME = /^[%|a-zA-Z0-9_-]+$/

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_TOPIC_PREFIX)
}

export function isDlqTopic(topic: string): boolean {
  return topic.startsWith(DLQ_TOPIC_PREFIX)
}

export function retryTopicOf(group: string): string {
  return RETRY_TOPIC_PREFIX + group
}

export function dlqTopicOf(group: string): string {
  return DLQ_TOPIC_PREFIX + group
}

/** The group of a retry or dead-letter topic; undefined for any other. */
export function groupOfRetryOrDlqTopic(topic: string): string | undefined {
  if (isRetryTopic(topic)) return topic.slice(RETRY_TOPIC_PREFIX.length)
  if (isDlqTopic(topic)) return topic.slice(DLQ_TOPIC_PREFIX.length)
  return undefined
}

export function isSystemTopic(topic: string): boolean {
  return SYSTEM_TOPICS.has(topic) || topic.startsWith(SYSTEM_TOPIC_PREFIX)
}

/** True for topics only the broker itself writes. */
export function isForbiddenToSend(topic: string): boolean {
  return FORBIDDEN_TO_SEND.has(topic)
}

const ALLOWED_CHARACTERS = 'letters, digits and the characters % | - _'

/** Why `topic` cannot be a topic's name, as the remark for the client; undefined when it can. */
export function topicNameProblem(topic: string): string | undefined {
  const hasPrefix = isRetryTopic(topic) || isDlqTopic(topic)
  return nameProblem('topic', topic, hasPrefix ? MAX_RETRY_TOPIC_LENGTH : MAX_TOPIC_LENGTH)
}

/** Why `group` cannot be a group's name, as the remark for the client; undefined when it can. */
export function groupNameProblem(group: string): string | undefined {
  return nameProblem('group', group, MAX_GROUP_LENGTH)
}

function nameProblem(kind: string, name: string, longest: number): string | undefined {
  if (name.trim() === '') return `the ${kind} has no name`
  if (name.length > longest) return `the name of the ${kind} is longer than ${longest} characters`
  return LEGAL_NAME.test(name)
    ? undefined
    : `the name of the ${kind} may hold only ${ALLOWED_CHARACTERS}`
}

export function isReadable(perm: number): boolean {
  return (perm & TopicPerm.READ) !== 0
}

export function isWriteable(perm: number): boolean {
  return (perm & TopicPerm.WRITE) !== 0
}

export function isInherited(perm: number): boolean {
  return (perm & TopicPerm.INHERIT) !== 0
}
