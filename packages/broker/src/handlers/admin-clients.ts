/**
 * Who is connected: members of a group (203), producers of a group (204) and of all (328), who
 * consumes a topic (300), what a group consumes (343, 345); rocketmq-remoting.md §3.6.
 */
import {
  jsonBody,
  RequestCode,
  ResponseCode,
  requireExt,
  type SubscriptionData,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import type { Member } from '../groups.ts'
import { RequestError } from '../request.ts'
import type { Subscription } from '../subscription.ts'

export function subscriptionData(subscription: Subscription): SubscriptionData {
  return {
    classFilterMode: subscription.classFilterMode,
    codeSet: [...(subscription.codes ?? [])],
    expressionType: subscription.expressionType,
    subString: subscription.subString,
    subVersion: subscription.subVersion,
    tagsSet: [...subscription.tags],
    topic: subscription.topic,
  }
}

function connectionsOf(members: Iterable<Member>, context: BrokerContext): object[] {
  return Array.from(members, ({ connectionId, clientId, language, version }) => ({
    clientAddr: context.connections.addressOf(connectionId),
    clientId,
    language,
    version,
  }))
}

export const handleConsumerConnections: Handler = ({ ext }, context) => {
  const name = requireExt(ext, 'consumerGroup')
  const group = context.groups.get(name)
  if (group === undefined) {
    throw new RequestError(
      ResponseCode.CONSUMER_NOT_ONLINE,
      `the consumer group[${name}] not online`,
    )
  }
  const subscriptions = Array.from(
    group.subscriptions.values(),
    (subscription) => [subscription.topic, subscriptionData(subscription)] as const,
  )
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({
      connectionSet: connectionsOf(group.members.values(), context),
      consumeFromWhere: group.consumeFromWhere,
      consumeType: group.consumeType,
      messageModel: group.messageModel,
      subscriptionTable: Object.fromEntries(subscriptions),
    }),
  }
}

export const handleProducerConnections: Handler = ({ ext }, context) => {
  const group = requireExt(ext, 'producerGroup')
  const producers = context.producers.of(group)
  if (producers === undefined) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `the producer group[${group}] not exist`)
  }
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({ connectionSet: connectionsOf(producers.values(), context) }),
  }
}

export const handleAllProducers: Handler = (_request, context) => {
  const wallBehindMs = context.clock.wallMs() - context.clock.monotonicMs()
  const groups = Array.from(context.producers.all(), ([group, producers]) => {
    const clients = Array.from(producers.values(), (producer) => ({
      clientId: producer.clientId,
      language: producer.language,
      lastUpdateTimestamp: Math.round(producer.lastUpdateMs + wallBehindMs),
      remoteIP: `/${context.connections.addressOf(producer.connectionId)}`,
      version: producer.version,
    }))
    return [group, clients] as const
  })
  return { code: ResponseCode.SUCCESS, body: jsonBody({ data: Object.fromEntries(groups) }) }
}

/** Groups that subscribe to the topic now, or have consumed it. */
export const handleWhoConsumes: Handler = ({ ext }, context) => {
  const topic = requireExt(ext, 'topic')
  const groups = new Set<string>()
  for (const group of context.groups.all()) {
    if (group.subscriptions.has(topic)) groups.add(group.name)
  }
  context.store.state.forEachGroupOfTopic(topic, (group) => groups.add(group))
  return { code: ResponseCode.SUCCESS, body: jsonBody({ groupList: [...groups] }) }
}

export const handleTopicsOfGroup: Handler = ({ ext }, context) => {
  const topicList: string[] = []
  context.store.state.forEachTopicOfGroup(requireExt(ext, 'group'), (topic) => {
    topicList.push(topic)
  })
  const { brokerIP1, listenPort } = context.settings
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({ brokerAddr: `${brokerIP1}:${listenPort}`, topicList }),
  }
}

export const handleSubscriptionOfGroup: Handler = ({ ext }, context) => {
  const group = requireExt(ext, 'group')
  const topic = requireExt(ext, 'topic')
  const subscription = context.groups.get(group)?.subscriptions.get(topic)
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({
      group,
      subscriptionData: subscription === undefined ? undefined : subscriptionData(subscription),
      topic,
    }),
  }
}

export const ADMIN_CLIENT_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.GET_CONSUMER_CONNECTION_LIST, handleConsumerConnections],
  [RequestCode.GET_PRODUCER_CONNECTION_LIST, handleProducerConnections],
  [RequestCode.GET_ALL_PRODUCER_INFO, handleAllProducers],
  [RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, handleWhoConsumes],
  [RequestCode.QUERY_TOPICS_BY_CONSUMER, handleTopicsOfGroup],
  [RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, handleSubscriptionOfGroup],
])
