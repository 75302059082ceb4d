/**
 * The header of a pull (11, 361) and the checks before it reads anything, rocketmq-remoting.md
 * §5.4.
 */
import {
  extInt,
  extLong,
  isReadable,
  PullSysFlag,
  RequestCode,
  ResponseCode,
  requireExt,
} from '@ringledger/protocol'
import type { BrokerContext } from '../context.ts'
import { BROADCASTING } from '../groups.ts'
import { topicToRead } from '../light-topics.ts'
import { type BrokerRequest, RequestError } from '../request.ts'
import type { GroupConfig, TopicConfig } from '../state/configs.ts'
import { isTagExpression, type Subscription, tagSubscription } from '../subscription.ts'

const INT_MAX = 2_147_483_647

export interface PullRequest {
  readonly group: string
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly maxMessages: number
  readonly maxBytes: number
  readonly sysFlag: number
  readonly commitOffset: number
  readonly suspendTimeoutMs: number
  readonly subVersion: number
  readonly subscriptionText: string | undefined
  readonly expressionType: string | undefined
}

export function readPullRequest({ ext }: BrokerRequest): PullRequest {
  return {
    group: requireExt(ext, 'consumerGroup'),
    topic: requireExt(ext, 'topic'),
    queueId: extInt(ext, 'queueId'),
    queueOffset: extLong(ext, 'queueOffset'),
    maxMessages: extInt(ext, 'maxMsgNums'),
    maxBytes: extInt(ext, 'maxMsgBytes', INT_MAX),
    sysFlag: extInt(ext, 'sysFlag'),
    commitOffset: extLong(ext, 'commitOffset'),
    suspendTimeoutMs: extLong(ext, 'suspendTimeoutMillis'),
    subVersion: extLong(ext, 'subVersion'),
    subscriptionText: ext.subscription,
    expressionType: ext.expressionType,
  }
}

export interface CheckedPull {
  readonly pull: PullRequest
  readonly topic: TopicConfig
  readonly group: GroupConfig
  readonly subscription: Subscription
}

/** Why a pull is forbidden, for the ext field `forbiddenType`. */
const Forbidden = { BROKER: 1, GROUP: 2, TOPIC: 3, BROADCASTING: 4 } as const

/** A refusal that carries `forbiddenType`. */
export class PullForbidden extends RequestError {
  readonly forbiddenType: number

  constructor(forbiddenType: number, remark: string) {
    super(ResponseCode.NO_PERMISSION, remark)
    this.forbiddenType = forbiddenType
  }
}

export function checkPull(request: BrokerRequest, context: BrokerContext): CheckedPull {
  const pull = readPullRequest(request)
  const { settings } = context
  if (!isReadable(settings.brokerPermission)) {
    throw new PullForbidden(
      Forbidden.BROKER,
      `the broker[${settings.brokerIP1}] pulling message is forbidden`,
    )
  }
  if (request.code === RequestCode.LITE_PULL_MESSAGE && !settings.litePullMessageEnable) {
    throw new PullForbidden(
      Forbidden.BROKER,
      `the broker[${settings.brokerIP1}] for lite pull consumer is forbidden`,
    )
  }
  const group = checkGroup(pull, context)
  const topic = checkQueue(pull, request, context)
  const named = (pull.sysFlag & PullSysFlag.SUBSCRIPTION) !== 0
  const subscription = named ? subscriptionOf(pull) : registeredSubscription(pull, group, context)
  return { pull, topic, group, subscription }
}

function checkGroup(pull: PullRequest, context: BrokerContext): GroupConfig {
  const group = context.subscriptionGroups.findOrCreate(pull.group)
  if (group === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group [${pull.group}] does not exist`,
    )
  }
  if (!group.consumeEnable) {
    throw new PullForbidden(Forbidden.GROUP, `subscription group no permission, ${pull.group}`)
  }
  return group
}

function checkQueue(
  pull: PullRequest,
  request: BrokerRequest,
  context: BrokerContext,
): TopicConfig {
  const topic = topicToRead(context, pull.topic)
  if (topic === undefined) throw topicMissing(pull.topic)
  if (!isReadable(topic.perm)) {
    throw new PullForbidden(
      Forbidden.TOPIC,
      `the topic[${pull.topic}] pulling message is forbidden`,
    )
  }
  if (pull.queueId < 0 || pull.queueId >= topic.readQueueNums) {
    const consumer = context.connections.addressOf(request.ticket.connectionId)
    throw new RequestError(
      ResponseCode.INVALID_PARAMETER,
      `queueId[${pull.queueId}] is illegal, topic:[${pull.topic}] ` +
        `topicConfig.readQueueNums:[${topic.readQueueNums}] consumer:[/${consumer}]`,
    )
  }
  return topic
}

export function topicMissing(topic: string): RequestError {
  return new RequestError(
    ResponseCode.TOPIC_NOT_EXIST,
    `topic[${topic}] not exist, apply first please!`,
  )
}

/** The request brings its own expression; no group needs to be registered here. */
function subscriptionOf(pull: PullRequest): Subscription {
  if (!isTagExpression(pull.expressionType)) throw sqlDisabled(pull.expressionType)
  const subscription = tagSubscription(pull.topic, pull.subscriptionText, pull.subVersion)
  if (subscription === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_PARSE_FAILED,
      "parse the consumer's subscription failed",
    )
  }
  return subscription
}

function registeredSubscription(
  pull: PullRequest,
  config: GroupConfig,
  context: BrokerContext,
): Subscription {
  const group = context.groups.get(pull.group)
  if (group === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_NOT_EXIST,
      "the consumer's group info not exist",
    )
  }
  if (group.messageModel === BROADCASTING && !config.consumeBroadcastEnable) {
    throw new PullForbidden(
      Forbidden.BROADCASTING,
      `the consumer group[${pull.group}] can not consume by broadcast way`,
    )
  }
  const subscription = group.subscriptions.get(pull.topic)
  if (subscription === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_NOT_EXIST,
      "the consumer's subscription not exist",
    )
  }
  if (subscription.subVersion < pull.subVersion) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_NOT_LATEST,
      "the consumer's subscription not latest",
    )
  }
  if (!isTagExpression(subscription.expressionType)) throw sqlDisabled(subscription.expressionType)
  return subscription
}

function sqlDisabled(expressionType: string | undefined): RequestError {
  return new RequestError(
    ResponseCode.SYSTEM_ERROR,
    `The broker does not support consumer to filter message by ${expressionType}`,
  )
}
