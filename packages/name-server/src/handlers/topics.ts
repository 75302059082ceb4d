/**
 * Codes 105, 106, 206, 216, 217, 224, 304 and 311 to 313: routes, the cluster table and topic
 * lists.
 */
import { LedgerError } from '@ringledger/base'
import {
  extBool,
  parseLenientJson,
  ResponseCode,
  requireExt,
  TopicSysFlag,
} from '@ringledger/protocol'
import { requireName } from '../fields.ts'
import { ORDER_TOPIC_NAMESPACE } from '../kv.ts'
import { isTopicName } from '../names.ts'
import type { TopicQueues } from '../registration.ts'
import {
  allTopics,
  clusterInfo,
  dialectOf,
  jsonBody,
  routeOf,
  systemTopics,
  topicsByFlag,
  topicsOfCluster,
} from '../route-view.ts'
import { type Handler, type HandlerContext, type Reply, SUCCESS } from './handler.ts'

const { UNIT, UNIT_SUBSCRIPTION } = TopicSysFlag
const MAX_SHOWN_TOPIC_LENGTH = 255

/** 105 GET_ROUTEINFO_BY_TOPIC */
export const routeByTopic: Handler = (request, context) => {
  const topic = requireExt(request.ext, 'topic')
  const settings = context.settings.current
  const upForMs = context.clock.monotonicMs() - context.startedMs
  if (settings.needWaitForService && upForMs < settings.waitSecondsForService * 1_000) {
    return { code: ResponseCode.SYSTEM_ERROR, remark: 'name server not ready' }
  }
  const zoned = extBool(request.ext, '__ZONE_MODE', false)
  const route = routeOf(context.routes, topic, {
    supportActingMaster: settings.supportActingMaster,
    zoneName: zoned ? request.ext.__ZONE_NAME : undefined,
    orderTopicConf: settings.orderMessageEnable
      ? context.kv.get(ORDER_TOPIC_NAMESPACE, topic)
      : undefined,
  })
  if (route === undefined) {
    const shown = topic.slice(0, MAX_SHOWN_TOPIC_LENGTH)
    const remark = `No topic route info in name server for the topic: ${shown}`
    return { code: ResponseCode.TOPIC_NOT_EXIST, remark }
  }
  const dialect = dialectOf(request.version, extBool(request.ext, 'acceptStandardJsonOnly', false))
  return { code: ResponseCode.SUCCESS, body: jsonBody(route, dialect) }
}

/** 106 GET_BROKER_CLUSTER_INFO */
export const brokerClusterInfo: Handler = (_request, context) => answer(clusterInfo(context.routes))

/** 206 GET_ALL_TOPIC_LIST_FROM_NAMESERVER */
export const allTopicList: Handler = (_request, context) => {
  if (!context.settings.current.enableAllTopicList) return DISABLED
  return answer(allTopics(context.routes))
}

/** 216 DELETE_TOPIC_IN_NAMESRV */
export const deleteTopic: Handler = (request, context) => {
  const topic = requireExt(request.ext, 'topic')
  const clusterName = request.ext.clusterName
  context.routes.deleteTopic(topic, clusterName === '' ? undefined : clusterName)
  context.log.info({ topic, clusterName }, 'topic deleted')
  return SUCCESS
}

/** 217 REGISTER_TOPIC_IN_NAMESRV */
export const registerTopic: Handler = (request, context) => {
  const topic = requireExt(request.ext, 'topic')
  if (!isTopicName(topic)) throw new LedgerError('BAD_REQUEST', 'the topic name is not usable')
  context.routes.registerTopic(topic, readQueueDatas(request.body))
  return SUCCESS
}

function readQueueDatas(body: Buffer): Map<string, TopicQueues> {
  const queuesByBroker = new Map<string, TopicQueues>()
  let parsed: unknown
  try {
    parsed = body.length === 0 ? undefined : parseLenientJson(body.toString('utf8'))
  } catch (error) {
    throw new LedgerError(
      'BAD_REQUEST',
      `the body is no TopicRouteData: ${(error as Error).message}`,
    )
  }
  const queueDatas = (parsed as { queueDatas?: unknown } | null | undefined)?.queueDatas
  if (!Array.isArray(queueDatas)) return queuesByBroker
  for (const queueData of queueDatas as (Record<string, unknown> | null)[]) {
    const brokerName = queueData?.brokerName
    if (typeof brokerName !== 'string') throw new LedgerError('BAD_REQUEST', 'no brokerName')
    queuesByBroker.set(brokerName, {
      readQueueNums: queueNumber(queueData?.readQueueNums),
      writeQueueNums: queueNumber(queueData?.writeQueueNums),
      perm: queueNumber(queueData?.perm),
      topicSysFlag: queueNumber(queueData?.topicSysFlag ?? 0),
    })
  }
  return queuesByBroker
}

function queueNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535) {
    return value
  }
  throw new LedgerError('BAD_REQUEST', 'queueDatas must hold small whole numbers')
}

/** 224 GET_TOPICS_BY_CLUSTER */
export const clusterTopicList: Handler = (request, context) => {
  const cluster = requireName(request.ext, 'cluster')
  return ifEnabled(context, () => topicsOfCluster(context.routes, cluster))
}

/** 304 GET_SYSTEM_TOPIC_LIST_FROM_NS */
export const systemTopicList: Handler = (_request, context) => {
  return ifEnabled(context, () => systemTopics(context.routes))
}

/** 311 GET_UNIT_TOPIC_LIST */
export const unitTopicList: Handler = (_request, context) => {
  return ifEnabled(context, () => topicsByFlag(context.routes, (flag) => (flag & UNIT) !== 0))
}

/** 312 GET_HAS_UNIT_SUB_TOPIC_LIST */
export const unitSubscribedTopicList: Handler = (_request, context) => {
  return ifEnabled(context, () =>
    topicsByFlag(context.routes, (flag) => (flag & UNIT_SUBSCRIPTION) !== 0),
  )
}

/** 313 GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST */
export const subscribedWithoutUnitTopicList: Handler = (_request, context) => {
  return ifEnabled(context, () =>
    topicsByFlag(
      context.routes,
      (flag) => (flag & (UNIT | UNIT_SUBSCRIPTION)) === UNIT_SUBSCRIPTION,
    ),
  )
}

const DISABLED: Reply = { code: ResponseCode.SYSTEM_ERROR, remark: 'disable' }

function ifEnabled(context: HandlerContext, list: () => object): Reply {
  return context.settings.current.enableTopicList ? answer(list()) : DISABLED
}

function answer(value: object): Reply {
  return { code: ResponseCode.SUCCESS, body: jsonBody(value) }
}
