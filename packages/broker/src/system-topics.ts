/**
 * The topics that a RocketMQ broker has from its start (rocketmq-remoting.md §5.1). Clients, the
 * proxy and mqadmin ask for the routes of several of them, above all of those named as the cluster
 * and the broker.
 */
import { SystemTopic, TopicPerm } from '@ringledger/protocol'
import type { BrokerSettings } from './settings.ts'
import { defaultTopicConfig, type TopicConfig } from './state/configs.ts'

const BENCHMARK_QUEUES = 1_024
const CLUSTER_TOPIC_QUEUES = 16
const REVIVE_QUEUES = 8

export function replyTopicOf(clusterName: string): string {
  return `${clusterName}_REPLY_TOPIC`
}

/** What a new group's first leader writes; `delayLevels` is the number of delay levels. */
export function systemTopics(settings: BrokerSettings, delayLevels: number): TopicConfig[] {
  const { brokerClusterName, brokerName, defaultTopicQueueNums } = settings
  const { READ_WRITE, READ_WRITE_INHERIT, INHERIT } = TopicPerm
  const topics: [name: string, queues: number, perm: number][] = [
    [SystemTopic.SELF_TEST, 1, READ_WRITE],
    [SystemTopic.BENCHMARK, BENCHMARK_QUEUES, READ_WRITE],
    [brokerClusterName, CLUSTER_TOPIC_QUEUES, READ_WRITE_INHERIT],
    [brokerName, 1, READ_WRITE_INHERIT],
    [SystemTopic.OFFSET_MOVED_EVENT, 1, READ_WRITE],
    [SystemTopic.SCHEDULE, delayLevels, READ_WRITE],
    [replyTopicOf(brokerClusterName), 1, READ_WRITE],
    [`rmq_sys_REVIVE_LOG_${brokerClusterName}`, REVIVE_QUEUES, READ_WRITE],
    [`rmq_sys_SYNC_BROKER_MEMBER_${brokerName}`, 1, INHERIT],
    [SystemTopic.TRANS_HALF, 1, READ_WRITE],
    [SystemTopic.TRANS_OP_HALF, 1, READ_WRITE],
    [SystemTopic.TIMER, 1, READ_WRITE],
  ]
  if (settings.autoCreateTopicEnable) {
    topics.push([SystemTopic.AUTO_CREATE_TOPIC_KEY, defaultTopicQueueNums, READ_WRITE_INHERIT])
  }
  if (settings.traceTopicEnable) topics.push([SystemTopic.TRACE, 1, READ_WRITE])
  return topics.map(([name, queues, perm]) => defaultTopicConfig(name, queues, perm))
}
