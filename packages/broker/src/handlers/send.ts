/**
 * Sends that the core thread does not take by itself (10, 310, 320): unknown topics, delays, retry
 * topics, batches, unusual headers (rocketmq-remoting.md §3.2). Owns the order of the checks and
 * what an answer to a send carries.
 */
import {
  isForbiddenToSend,
  isRetryTopic,
  isWriteable,
  MessageSysFlag,
  PropertyName,
  parseProperties,
  ResponseCode,
  topicNameProblem,
  transactionType,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import type { OutgoingMessage } from '../put-message.ts'
import { appendFailure, appendMessage, encodeOutgoing, routeDelayed } from '../put-message.ts'
import { type Answer, type BrokerRequest, RequestError, type Ticket } from '../request.ts'
import type { TopicConfig } from '../state/configs.ts'
import { failureAnswer, topicText } from './failures.ts'
import { sendAnswer, sentMessageId } from './send-answer.ts'
import { sendBatch } from './send-batch.ts'
import { readSendRequest, type SendRequest } from './send-request.ts'
import { deadLetterOf, withTopic } from './send-retry.ts'

const MULTI_TAGS = MessageSysFlag.MULTI_TAGS
const TIMER_PROPERTIES = [
  PropertyName.TIMER_DELIVER_MS,
  PropertyName.TIMER_DELAY_SEC,
  PropertyName.TIMER_DELAY_MS,
]

/** What a send still needs when its topic is known. */
export interface PendingSend {
  readonly send: SendRequest
  readonly ticket: Ticket
  readonly version: number
  readonly body: Buffer
  readonly properties: Map<string, string>
}

export const handleSend: Handler = (request, context) => {
  try {
    return trySend(request, context)
  } catch (error) {
    return sendAnswer(context, failureAnswer(context, error))
  }
}

function trySend(request: BrokerRequest, context: BrokerContext): Answer | undefined {
  const send = readSendRequest(request)
  checkTopic(send.topic, context)
  const pending: PendingSend = {
    send,
    ticket: request.ticket,
    version: request.version,
    body: request.body,
    properties: parseProperties(send.properties),
  }
  checkKind(pending)
  const config = context.topics.get(send.topic)
  if (config !== undefined) return sendTo(config, pending, context)
  const created = context.topics.fromDefaultTopic(
    send.topic,
    send.defaultTopic,
    send.defaultTopicQueueNums,
  )
  if (created === undefined) {
    throw new RequestError(
      ResponseCode.TOPIC_NOT_EXIST,
      `topic[${send.topic}] not exist, apply first please!`,
    )
  }
  return sendAfterCreation(created, pending, context)
}

function checkTopic(topic: string, context: BrokerContext): void {
  if (!context.role.serving) throw appendFailure('NOT_LEADER')
  const config = context.topics.get(topic)
  if (config?.order && !isWriteable(context.settings.brokerPermission)) {
    throw new RequestError(
      ResponseCode.NO_PERMISSION,
      `the broker[${context.settings.brokerIP1}] sending message is forbidden`,
    )
  }
  const problem = topicNameProblem(topic)
  if (problem !== undefined) throw new RequestError(ResponseCode.INVALID_PARAMETER, problem)
  if (isForbiddenToSend(topic)) {
    throw new RequestError(
      ResponseCode.NO_PERMISSION,
      `Sending message to topic[${topic}] is forbidden.`,
    )
  }
}

/** Kinds of messages that RocketMQ has switches for; these are off here. */
function checkKind({ send, properties }: PendingSend): void {
  const prepared = properties.get(PropertyName.TRANSACTION_PREPARED)?.toLowerCase() === 'true'
  if (prepared || transactionType(send.sysFlag) !== 0) {
    throw new RequestError(
      ResponseCode.NO_PERMISSION,
      'the broker sending transaction message is forbidden',
    )
  }
  // Of a client's batch only the broker makes an inner batch; this one stores its elements.
  const isInner = (send.sysFlag & MessageSysFlag.INNER_BATCH) !== 0
  if (isInner || properties.has(PropertyName.INNER_NUM)) {
    throw new RequestError(
      ResponseCode.MESSAGE_ILLEGAL,
      'the message is illegal, inner batches cannot be sent',
    )
  }
  if (properties.has(PropertyName.DELAY)) return
  if (TIMER_PROPERTIES.some((name) => properties.has(name))) {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      'accurate timer message is not enabled, timerWheelEnable is false',
    )
  }
}

/**
 * The send goes on when the topic's record has been applied; until then its body is copied and
 * counted.
 */
function sendAfterCreation(
  config: TopicConfig,
  pending: PendingSend,
  context: BrokerContext,
): undefined {
  const keptBytes = pending.body.length + pending.send.properties.length
  withTopic(config, keptBytes, context, {
    ticket: pending.ticket,
    onError: (error) => sendAnswer(context, failureAnswer(context, error)),
    body: pending.body,
    proceed: (created, body) => sendTo(created, { ...pending, body }, context),
  })
}

function sendTo(
  config: TopicConfig,
  pending: PendingSend,
  context: BrokerContext,
): Answer | undefined {
  const { send, ticket } = pending
  const queueId = queueIdOf(config, send, ticket, context)
  if (send.batch) return sendBatch(config, queueId, pending, context)
  const message: OutgoingMessage = {
    topic: config.topicName,
    queueId,
    body: pending.body,
    properties: pending.properties,
    flag: send.flag,
    sysFlag: send.sysFlag | (config.topicFilterType === 'MULTI_TAG' ? MULTI_TAGS : 0),
    bornTimestampMs: send.bornTimestampMs,
    bornHost: context.connections.hostOf(ticket.connectionId),
    reconsumeTimes: send.reconsumeTimes,
  }
  stampProperties(message.properties, context)
  const deadLetter = isRetryTopic(config.topicName)
    ? deadLetterOf(config.topicName, pending, context)
    : undefined
  if (deadLetter === undefined) return store(message, queueId, ticket, context)
  message.properties.delete(PropertyName.DELAY)
  message.topic = deadLetter.topicName
  message.queueId = 0
  withTopic(deadLetter, message.body.length, context, {
    ticket,
    onError: (error) => sendAnswer(context, failureAnswer(context, error)),
    body: message.body,
    proceed: (_, body) => store({ ...message, body }, queueId, ticket, context),
  })
  return undefined
}

function queueIdOf(
  config: TopicConfig,
  send: SendRequest,
  ticket: Ticket,
  context: BrokerContext,
): number {
  const queues = Math.max(config.readQueueNums, config.writeQueueNums)
  if (send.queueId >= queues) {
    const producer = context.connections.addressOf(ticket.connectionId)
    throw new RequestError(
      ResponseCode.INVALID_PARAMETER,
      `request queueId[${send.queueId}] is illegal, ${topicText(config)} Producer: ${producer}`,
    )
  }
  if (send.queueId >= 0) return send.queueId
  return Math.floor(context.random() * Math.max(1, config.writeQueueNums))
}

/** What the broker adds to every message before it is stored. */
function stampProperties(properties: Map<string, string>, context: BrokerContext): void {
  const { regionId, traceOn, brokerClusterName } = context.settings
  properties.delete(PropertyName.POP_CK)
  if (!properties.has(PropertyName.UNIQ_KEY)) {
    properties.set(PropertyName.UNIQ_KEY, context.uniqueIds.next(context.clock.wallMs()))
  }
  properties.set(PropertyName.MSG_REGION, regionId)
  properties.set(PropertyName.TRACE_ON, String(traceOn))
  properties.set(PropertyName.CLUSTER, brokerClusterName)
}

function store(
  message: OutgoingMessage,
  answeredQueueId: number,
  ticket: Ticket,
  context: BrokerContext,
): undefined {
  const uniqueKey = message.properties.get(PropertyName.UNIQ_KEY)
  routeDelayed(message, context.delayLevelsMs.length)
  const bytes = encodeOutgoing(context, message)
  appendMessage(context, message.topic, message.queueId, bytes, (result) => {
    const answer: Answer = result.ok
      ? {
          code: ResponseCode.SUCCESS,
          ext: {
            msgId: sentMessageId(context, result.physicalOffset),
            queueId: String(answeredQueueId),
            queueOffset: String(result.queueOffset),
            ...(uniqueKey === undefined ? {} : { transactionId: uniqueKey }),
          },
        }
      : failureAnswer(context, appendFailure(result.code))
    context.answer(ticket, sendAnswer(context, answer))
  })
}
