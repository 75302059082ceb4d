/**
 * What sends and send-backs share: the dead-letter rule of retry topics and the wait for a topic's
 * creation (rocketmq-remoting.md §3.3).
 */
import {
  dlqTopicOf,
  groupOfRetryOrDlqTopic,
  ResponseCode,
  RocketMqVersion,
  TopicPerm,
} from '@ringledger/protocol'
import type { BrokerContext } from '../context.ts'
import { appendFailure } from '../put-message.ts'
import { type Answer, RequestError, type Ticket } from '../request.ts'
import { defaultTopicConfig, type TopicConfig } from '../state/configs.ts'
import { changeError } from './failures.ts'
import type { PendingSend } from './send.ts'

export interface Continuation {
  readonly ticket: Ticket
  /** The request's body; a copy of it reaches `proceed` when the topic has to be made first. */
  readonly body: Buffer
  /** Goes on with the topic there. Returns an answer or answers by itself. */
  proceed(config: TopicConfig, body: Buffer): Answer | undefined
  onError(error: unknown): Answer
}

/** Calls `proceed` now or when the topic exists; what it returns or throws is answered. */
export function withTopic(
  config: TopicConfig,
  bodyBytes: number,
  context: BrokerContext,
  then: Continuation,
): void {
  const known = context.topics.get(config.topicName)
  if (known !== undefined) {
    run(known, then.body, context, then)
    return
  }
  if (!context.deferred.take(bodyBytes)) throw appendFailure('BUSY')
  const body = Buffer.from(then.body)
  const failure = context.topics.create(config, (outcome) => {
    context.deferred.give(bodyBytes)
    if (outcome === undefined) run(config, body, context, then)
    else context.answer(then.ticket, then.onError(changeError(outcome)))
  })
  if (failure === undefined) return
  context.deferred.give(bodyBytes)
  throw changeError(failure)
}

function run(config: TopicConfig, body: Buffer, context: BrokerContext, then: Continuation): void {
  let answer: Answer | undefined
  try {
    answer = then.proceed(context.topics.get(config.topicName) ?? config, body)
  } catch (error) {
    answer = then.onError(error)
  }
  if (answer !== undefined) context.answer(then.ticket, answer)
}

/** The dead-letter topic when a message may not go to its retry topic any more. */
export function deadLetterOf(
  retryTopic: string,
  { send, version }: PendingSend,
  context: BrokerContext,
): TopicConfig | undefined {
  const group = groupOfRetryOrDlqTopic(retryTopic) ?? ''
  const config = context.subscriptionGroups.findOrCreate(group)
  if (config === undefined) {
    throw new RequestError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group not exist, ${group}`,
    )
  }
  const honoursRequest = version >= RocketMqVersion.V3_4_9
  const limit = (honoursRequest ? send.maxReconsumeTimes : undefined) ?? config.retryMaxTimes
  const ordered = context.locks.anyHeld(group, context.clock.monotonicMs())
  return send.reconsumeTimes > limit || ordered ? deadLetterTopic(group) : undefined
}

export function deadLetterTopic(group: string): TopicConfig {
  return defaultTopicConfig(dlqTopicOf(group), 1, TopicPerm.READ_WRITE)
}
