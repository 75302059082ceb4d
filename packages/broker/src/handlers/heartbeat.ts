/**
 * Heartbeats (34) and farewells (35) of clients: membership of groups and what they subscribe to,
 * in V1 and V2 form (rocketmq-remoting.md §5.2). The group's retry topic is made before the answer,
 * since clients ask for its route at once.
 */
import {
  groupNameProblem,
  RequestCode,
  ResponseCode,
  requireExt,
  retryTopicOf,
  TopicPerm,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import type { GroupHeartbeat, HeartbeatOutcome, Member } from '../groups.ts'
import { type Answer, type BrokerRequest, RequestError, SUCCESS } from '../request.ts'
import { defaultTopicConfig, type GroupConfig, type TopicConfig } from '../state/configs.ts'
import {
  EXPRESSION_TAG,
  isTagExpression,
  type Subscription,
  tagSubscription,
} from '../subscription.ts'
import {
  bodyObject,
  type JsonObject,
  numberMember,
  objectsMember,
  optionalTextMember,
  textMember,
} from './json-fields.ts'

const MAX_GROUPS_PER_CLIENT = 5_000
const MAX_SUBSCRIPTIONS = 5_000
/** RocketMQ's remark when a table is full. */
const BUSY_REMARK = '[OVERLOAD]system busy, start flow control for a while'

export const handleHeartbeat: Handler = (request, context) => {
  const body = bodyObject(request)
  const member: Member = {
    connectionId: request.ticket.connectionId,
    clientId: textMember(body, 'clientID'),
    language: request.language,
    version: request.version,
    lastUpdateMs: context.clock.monotonicMs(),
  }
  const fingerprint = numberMember(body, 'heartbeatFingerprint', 0)
  const withoutSubscriptions = body.withoutSub === true
  const consumers = objectsMember(body, 'consumerDataSet', MAX_GROUPS_PER_CLIENT)
  const producers = objectsMember(body, 'producerDataSet', MAX_GROUPS_PER_CLIENT)
  for (const producer of producers) {
    const group = textMember(producer, 'groupName')
    if (!context.producers.register(group, { ...member })) throw busy()
  }
  const heartbeats = consumers.map((data) => readConsumer(data, withoutSubscriptions))
  let changed = fingerprint === 0
  const missing: TopicConfig[] = []
  for (const heartbeat of heartbeats) {
    const config = context.subscriptionGroups.findOrCreate(heartbeat.name)
    if (config === undefined) continue
    if (registerConsumer(heartbeat, member, fingerprint, context)) changed = true
    const retryTopic = retryTopicConfig(config)
    if (retryTopic !== undefined && context.topics.get(retryTopic.topicName) === undefined) {
      missing.push(retryTopic)
    }
  }
  const answer = heartbeatAnswer(changed)
  if (missing.length === 0 || !context.role.serving) return answer
  return answerAfter(missing, request, answer, context)
}

/** True when the client should send its subscriptions in full next time. */
function registerConsumer(
  heartbeat: GroupHeartbeat,
  member: Member,
  fingerprint: number,
  context: BrokerContext,
): boolean {
  const outcome: HeartbeatOutcome = context.groups.register({ ...member }, heartbeat)
  if (outcome === 'full') throw busy()
  if (outcome === 'changed') context.notifyMembers(heartbeat.name)
  if (fingerprint === 0) return false
  const group = context.groups.get(heartbeat.name)
  if (group === undefined) return false
  const differs = group.fingerprint !== 0 && group.fingerprint !== fingerprint
  group.fingerprint = fingerprint
  // A node that never heard the subscriptions (a new leader, say) asks for them.
  const unknown = heartbeat.subscriptions === undefined && group.subscriptions.size === 0
  return differs || unknown
}

function retryTopicConfig(config: GroupConfig): TopicConfig | undefined {
  if (config.retryQueueNums <= 0) return undefined
  const name = retryTopicOf(config.groupName)
  return defaultTopicConfig(name, config.retryQueueNums, TopicPerm.READ_WRITE)
}

/**
 * Answers when the topics are there; a topic that cannot be made now is made by the next heartbeat.
 */
function answerAfter(
  topics: readonly TopicConfig[],
  request: BrokerRequest,
  answer: Answer,
  context: BrokerContext,
): Answer | undefined {
  let waiting = 0
  const { ticket } = request
  for (const topic of topics) {
    const failure = context.topics.create(topic, () => {
      waiting -= 1
      if (waiting === 0) context.answer(ticket, answer)
    })
    if (failure === undefined) waiting += 1
  }
  return waiting === 0 ? answer : undefined
}

function heartbeatAnswer(changed: boolean): Answer {
  return {
    code: ResponseCode.SUCCESS,
    ext: { IS_SUPPORT_HEART_BEAT_V2: 'true', IS_SUB_CHANGE: String(changed) },
  }
}

function readConsumer(data: JsonObject, withoutSubscriptions: boolean): GroupHeartbeat {
  const name = textMember(data, 'groupName')
  const problem = groupNameProblem(name)
  if (problem !== undefined) throw new RequestError(ResponseCode.SYSTEM_ERROR, problem)
  const listed = objectsMember(data, 'subscriptionDataSet', MAX_SUBSCRIPTIONS)
  const keeps = withoutSubscriptions && listed.length === 0
  return {
    name,
    consumeType: optionalTextMember(data, 'consumeType') ?? 'CONSUME_PASSIVELY',
    messageModel: optionalTextMember(data, 'messageModel') ?? 'CLUSTERING',
    consumeFromWhere: optionalTextMember(data, 'consumeFromWhere') ?? 'CONSUME_FROM_LAST_OFFSET',
    subscriptions: keeps ? undefined : listed.map(readSubscription),
  }
}

export function readSubscription(data: JsonObject): Subscription {
  const topic = textMember(data, 'topic')
  const text = optionalTextMember(data, 'subString')
  const subVersion = numberMember(data, 'subVersion', 0)
  const expressionType = optionalTextMember(data, 'expressionType')
  const parsed = tagSubscription(topic, isTagExpression(expressionType) ? text : '*', subVersion)
  if (parsed === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_PARSE_FAILED,
      `the subscription of ${topic} names too many tags`,
    )
  }
  return {
    ...parsed,
    subString: text ?? '*',
    expressionType: expressionType ?? EXPRESSION_TAG,
    classFilterMode: data.classFilterMode === true,
  }
}

export const handleUnregisterClient: Handler = ({ ext, ticket }, context) => {
  requireExt(ext, 'clientID')
  const { producerGroup, consumerGroup } = ext
  if (producerGroup !== undefined) {
    context.producers.unregister(ticket.connectionId, producerGroup)
  }
  if (
    consumerGroup !== undefined &&
    context.groups.unregister(ticket.connectionId, consumerGroup)
  ) {
    context.notifyMembers(consumerGroup)
  }
  return { code: ResponseCode.SUCCESS, ext: {} }
}

/** CHECK_CLIENT_CONFIG (46): may this client filter as it wants to? */
export const handleCheckClientConfig: Handler = (request) => {
  const body = bodyObject(request)
  const data = body.subscriptionData
  if (typeof data !== 'object' || data === null) {
    throw new RequestError(ResponseCode.SUBSCRIPTION_PARSE_FAILED, 'the subscription is not there')
  }
  const subscription = readSubscription(data as JsonObject)
  if (!isTagExpression(subscription.expressionType)) {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `The broker does not support consumer to filter message by ${subscription.expressionType}`,
    )
  }
  return SUCCESS
}

function busy(): RequestError {
  return new RequestError(ResponseCode.SYSTEM_BUSY, BUSY_REMARK)
}

export const CLIENT_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.HEART_BEAT, handleHeartbeat],
  [RequestCode.UNREGISTER_CLIENT, handleUnregisterClient],
  [RequestCode.CHECK_CLIENT_CONFIG, handleCheckClientConfig],
])
