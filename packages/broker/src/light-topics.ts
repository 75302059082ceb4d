/**
 * Apache's light message queues (LMQ): a store of its that ran with `enableLmq` has a queue of
 * units that lead to messages of other topics for each. They are topics without a configuration,
 * with one queue, that can be read; that there is such a queue says that there is the topic
 * (rocketmq-store.md §1.8).
 */
import { LIGHT_TOPIC_PREFIX } from '@ringledger/protocol'
import type { BrokerContext } from './context.ts'
import { defaultTopicConfig, type TopicConfig } from './state/configs.ts'

const READ_ONLY = 4

export function isLightTopic(topic: string): boolean {
  return topic.startsWith(LIGHT_TOPIC_PREFIX)
}

/** The topic of a request that reads. */
export function topicToRead(context: BrokerContext, topic: string): TopicConfig | undefined {
  const known = context.topics.get(topic)
  if (known !== undefined || !isLightTopic(topic)) return known
  if (context.store.queues.find(topic, 0) === undefined) return undefined
  return { ...defaultTopicConfig(topic, 1), perm: READ_ONLY }
}
