/**
 * Topics for administrators: create and change (17, 18), delete (215), one configuration (351), all
 * (21), what the queues hold (202), the system's own (305); rocketmq-remoting.md §3.4, §3.6, §5.1.
 */
import {
  extBool,
  extInt,
  isSystemTopic,
  jsonBody,
  objectKeyMap,
  RequestCode,
  ResponseCode,
  requireExt,
  SystemTopic,
  type TopicFilterType,
  topicNameProblem,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { type Answer, RequestError } from '../request.ts'
import { readTopicConfig, type TopicConfig } from '../state/configs.ts'
import type { StateRecord } from '../state/records.ts'
import { StatName } from '../stats.ts'
import { systemTopics } from '../system-topics.ts'
import { answerWhenApplied, messageQueue, requireServing, storeTimeAt } from './admin-answers.ts'
import { pageOf } from './admin-page.ts'
import { attributeChangeOf, changedAttributes } from './admin-topic-attributes.ts'
import { bodyObject, objectsMember } from './json-fields.ts'

const MAX_TOPICS_PER_REQUEST = 10_000

/** Names that no administrator may create or delete. */
function systemTopicNames(context: BrokerContext): Set<string> {
  const { STATE, ...visible } = SystemTopic
  const own = systemTopics(context.settings, context.delayLevelsMs.length)
  return new Set([...Object.values(visible), ...own.map(({ topicName }) => topicName)])
}

/** Throws RequestError INVALID_PARAMETER for a name that cannot be an ordinary topic's. */
function checkTopicName(topic: string, context: BrokerContext): void {
  const problem = topicNameProblem(topic)
  if (problem !== undefined) throw new RequestError(ResponseCode.INVALID_PARAMETER, problem)
  if (isSystemTopic(topic) || systemTopicNames(context).has(topic)) {
    throw new RequestError(
      ResponseCode.INVALID_PARAMETER,
      `The topic[${topic}] is conflict with system topic.`,
    )
  }
}

/** The record for a change of a topic; undefined when the topic is like that already. */
function topicChange(
  config: Omit<TopicConfig, 'attributes'>,
  attributeChange: string,
  context: BrokerContext,
): StateRecord | undefined {
  checkTopicName(config.topicName, context)
  const known = context.topics.get(config.topicName)
  const attributes = changedAttributes(known?.attributes, attributeChange)
  const changed: TopicConfig = { ...config, attributes }
  if (known !== undefined && sameTopic(known, changed)) return undefined
  return { kind: 'topic', config: changed }
}

function sameTopic(left: TopicConfig, right: TopicConfig): boolean {
  const { attributes: leftAttributes, ...leftRest } = left
  const { attributes: rightAttributes, ...rightRest } = right
  return sameFields(leftRest, rightRest) && sameFields(leftAttributes, rightAttributes)
}

function sameFields(left: object, right: object): boolean {
  const ours = Object.entries(left)
  const theirs = new Map<string, unknown>(Object.entries(right))
  return ours.length === theirs.size && ours.every(([name, value]) => theirs.get(name) === value)
}

export const handleUpdateTopic: Handler = ({ ext, ticket }, context) => {
  requireServing(context)
  const config = {
    topicName: requireExt(ext, 'topic'),
    readQueueNums: extInt(ext, 'readQueueNums'),
    writeQueueNums: extInt(ext, 'writeQueueNums'),
    perm: extInt(ext, 'perm'),
    topicFilterType: (ext.topicFilterType ?? 'SINGLE_TAG') as TopicFilterType,
    topicSysFlag: extInt(ext, 'topicSysFlag', 0),
    order: extBool(ext, 'order', false),
  }
  const change = topicChange(config, ext.attributes ?? '', context)
  return answerWhenApplied(ticket, context, change === undefined ? [] : [change])
}

export const handleUpdateTopicList: Handler = (request, context) => {
  requireServing(context)
  const listed = objectsMember(bodyObject(request), 'topicConfigList', MAX_TOPICS_PER_REQUEST)
  const changes: StateRecord[] = []
  for (const data of listed) {
    const config = readTopicConfig(data)
    if (typeof config === 'string') throw new RequestError(ResponseCode.INVALID_PARAMETER, config)
    const change = topicChange(config, attributeChangeOf(config.attributes), context)
    if (change !== undefined) changes.push(change)
  }
  return answerWhenApplied(request.ticket, context, changes)
}

export const handleDeleteTopic: Handler = ({ ext, ticket }, context) => {
  const topic = requireExt(ext, 'topic')
  if (topic.trim() === '') {
    throw new RequestError(ResponseCode.INVALID_PARAMETER, 'The specified topic is blank.')
  }
  requireServing(context)
  checkTopicName(topic, context)
  const known = [topic, ...popRetryTopicsOf(topic, context)].filter(
    (name) => context.topics.get(name) !== undefined,
  )
  const records = known.map((name): StateRecord => ({ kind: 'deleteTopic', topic: name }))
  return answerWhenApplied(ticket, context, records)
}

/**
 * Retry topics that POP consumers have per topic, of both naming versions (rocketmq-remoting.md
 * §5.10).
 */
function popRetryTopicsOf(topic: string, context: BrokerContext): string[] {
  const names: string[] = []
  context.store.state.forEachGroupOfTopic(topic, (group) => {
    names.push(`%RETRY%${group}_${topic}`, `%RETRY%${group}+${topic}`)
  })
  return names
}

export const handleTopicConfig: Handler = ({ ext }, context) => {
  const topic = requireExt(ext, 'topic')
  return { code: ResponseCode.SUCCESS, body: jsonBody(requireTopic(topic, context, NOT_HERE)) }
}

const NOT_HERE = (topic: string): string => `No topic in this broker. topic: ${topic}`
const NOT_THERE = (topic: string): string => `topic[${topic}] not exist`

function requireTopic(
  topic: string,
  context: BrokerContext,
  remark: (topic: string) => string,
): TopicConfig {
  const config = context.topics.get(topic)
  if (config === undefined) throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, remark(topic))
  return config
}

export const handleTopicStats: Handler = ({ ext }, context) => {
  const topic = requireExt(ext, 'topic')
  const config = requireTopic(topic, context, NOT_THERE)
  const queueCount = Math.max(config.readQueueNums, config.writeQueueNums)
  const entries = Array.from({ length: queueCount }, (_, queueId) => {
    const queue = context.store.queues.find(topic, queueId)
    const maxOffset = queue?.maxOffset ?? 0
    const minOffset = queue?.minOffset ?? 0
    const lastMs = maxOffset > 0 ? storeTimeAt(context, queue, maxOffset - 1) : 0
    const stats = { lastUpdateTimestamp: Math.max(lastMs, 0), maxOffset, minOffset }
    return [messageQueue(context, topic, queueId), stats] as const
  })
  const nowMs = context.clock.monotonicMs()
  context.putCounts.refresh(nowMs)
  const topicPutTps = context.stats.view(StatName.TOPIC_PUT_NUMS, topic, nowMs)?.minute.tps ?? 0
  return {
    code: ResponseCode.SUCCESS,
    body: jsonBody({ offsetTable: objectKeyMap(entries), topicPutTps }),
  }
}

export const handleAllTopics: Handler = ({ ext }, context) => {
  const { topicsVersion } = context.store.state
  const page = pageOf(ext, { first: 'topicSeq', most: 'maxTopicNum' }, topicsVersion, () =>
    [...context.topics.all()].map((config) => [config.topicName, config] as const),
  )
  return {
    code: ResponseCode.SUCCESS,
    ext: { totalTopicNum: String(context.topics.size) },
    body: jsonBody({
      dataVersion: topicsVersion,
      mappingDataVersion: { counter: 0, stateVersion: 0, timestamp: context.startedAtMs },
      topicConfigTable: Object.fromEntries(page),
      topicQueueMappingDetailMap: {},
      topicQueueMappingInfoMap: {},
    }),
  }
}

export const handleSystemTopics: Handler = (_request, context): Answer => ({
  code: ResponseCode.SUCCESS,
  body: jsonBody({ topicList: [...systemTopicNames(context)] }),
})

export const ADMIN_TOPIC_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.UPDATE_AND_CREATE_TOPIC, handleUpdateTopic],
  [RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, handleUpdateTopicList],
  [RequestCode.DELETE_TOPIC_IN_BROKER, handleDeleteTopic],
  [RequestCode.GET_TOPIC_CONFIG, handleTopicConfig],
  [RequestCode.GET_TOPIC_STATS_INFO, handleTopicStats],
  [RequestCode.GET_ALL_TOPIC_CONFIG, handleAllTopics],
  [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER, handleSystemTopics],
])
