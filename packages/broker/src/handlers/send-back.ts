/**
 * A consumer gives a message back (36): it returns after a delay through the group's retry topic,
 * or goes to the dead-letter topic (rocketmq-remoting.md §3.3).
 */
import {
  decodeMessage,
  extInt,
  extLong,
  MessageSysFlag,
  offsetMessageIdOfHost,
  PropertyName,
  ResponseCode,
  RocketMqVersion,
  requireExt,
  retryTopicOf,
  type StoredMessage,
  TopicPerm,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import {
  appendFailure,
  appendMessage,
  encodeOutgoing,
  type OutgoingMessage,
  routeDelayed,
} from '../put-message.ts'
import { type Answer, type BrokerRequest, RequestError, SUCCESS } from '../request.ts'
import { defaultTopicConfig, type GroupConfig } from '../state/configs.ts'
import { StatName } from '../stats.ts'
import { failureAnswer } from './failures.ts'
import { readStoredMessage } from './read-message.ts'
import { deadLetterTopic, withTopic } from './send-retry.ts'

/** The first retry waits at this level, each further one a level more. */
const FIRST_RETRY_LEVEL = 3

export const handleSendBack: Handler = (request, context) => {
  const { ext, ticket } = request
  const offset = extLong(ext, 'offset')
  const group = requireExt(ext, 'group')
  const wantedLevel = extInt(ext, 'delayLevel')
  if (!context.role.serving) throw appendFailure('NOT_LEADER')
  const config = context.subscriptionGroups.findOrCreate(group)
  if (config === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group not exist, ${group}`,
    )
  }
  if (config.retryQueueNums <= 0) return SUCCESS
  const bytes = readStoredMessage(context, offset)
  if (bytes === undefined) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${offset}`)
  }
  const original = decodeMessage(bytes, 0)
  // What failed is one element: then the client sends that to the retry topic by itself.
  if ((original.sysFlag & MessageSysFlag.INNER_BATCH) !== 0) {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `the message at ${offset} is an inner batch, which cannot be given back as a whole`,
    )
  }
  const limit = maxReconsumeTimes(request, config)
  const dead = wantedLevel < 0 || original.reconsumeTimes >= limit
  const level = wantedLevel > 0 ? wantedLevel : FIRST_RETRY_LEVEL + original.reconsumeTimes
  const message = dead
    ? deadMessage(group, original)
    : retryMessage(group, config, original, level, context)
  const target = dead
    ? deadLetterTopic(group)
    : defaultTopicConfig(message.topic, config.retryQueueNums, TopicPerm.READ_WRITE)
  withTopic(target, original.totalSize, context, {
    ticket,
    body: message.body,
    onError: (error) => failureAnswer(context, error),
    proceed: (_, body) =>
      store({ ...message, body }, ticket, `${original.topic}@${group}`, context),
  })
  return undefined
}

function maxReconsumeTimes({ ext, version }: BrokerRequest, config: GroupConfig): number {
  if (version < RocketMqVersion.V3_4_9 || ext.maxReconsumeTimes === undefined) {
    return config.retryMaxTimes
  }
  return extInt(ext, 'maxReconsumeTimes')
}

function retryMessage(
  group: string,
  config: GroupConfig,
  original: StoredMessage,
  level: number,
  context: BrokerContext,
): OutgoingMessage {
  const queueId = Math.floor(context.random() * config.retryQueueNums)
  const message = copyOf(original, retryTopicOf(group), queueId)
  message.properties.set(PropertyName.DELAY, String(level))
  return message
}

function deadMessage(group: string, original: StoredMessage): OutgoingMessage {
  const message = copyOf(original, deadLetterTopic(group).topicName, 0)
  const { properties } = message
  properties.set(PropertyName.DELAY, '0')
  setIfAbsent(properties, PropertyName.DLQ_ORIGIN_TOPIC, originalTopic(original))
  setIfAbsent(properties, PropertyName.DLQ_ORIGIN_MESSAGE_ID, idOf(original))
  return message
}

function copyOf(original: StoredMessage, topic: string, queueId: number): OutgoingMessage {
  const properties = new Map(original.properties)
  setIfAbsent(properties, PropertyName.RETRY_TOPIC, original.topic)
  setIfAbsent(properties, PropertyName.ORIGIN_MESSAGE_ID, idOf(original))
  properties.set(PropertyName.WAIT, 'false')
  return {
    topic,
    queueId,
    body: original.body,
    properties,
    flag: original.flag,
    sysFlag: original.sysFlag,
    bornTimestampMs: original.bornTimestampMs,
    bornHost: original.bornHost,
    reconsumeTimes: original.reconsumeTimes + 1,
  }
}

function store(
  message: OutgoingMessage,
  ticket: BrokerRequest['ticket'],
  statKey: string,
  context: BrokerContext,
): Answer | undefined {
  routeDelayed(message, context.delayLevelsMs.length)
  const bytes = encodeOutgoing(context, message)
  appendMessage(context, message.topic, message.queueId, bytes, (result) => {
    if (result.ok) context.stats.add(StatName.SNDBCK_PUT_NUMS, statKey, 1)
    const answer = result.ok ? SUCCESS : failureAnswer(context, appendFailure(result.code))
    context.answer(ticket, answer)
  })
  return undefined
}

function originalTopic(original: StoredMessage): string {
  return original.properties.get(PropertyName.RETRY_TOPIC) ?? original.topic
}

function idOf(original: StoredMessage): string {
  return (
    original.properties.get(PropertyName.ORIGIN_MESSAGE_ID) ??
    offsetMessageIdOfHost(original.storeHost, original.physicalOffset)
  )
}

function setIfAbsent(properties: Map<string, string>, name: string, value: string): void {
  if (!properties.has(name)) properties.set(name, value)
}
