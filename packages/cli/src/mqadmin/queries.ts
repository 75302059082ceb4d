/**
 * What most commands ask first: the cluster table and the route of a topic. Answers are checked
 * before use.
 */
import {
  asJsonObject,
  isWriteable,
  parseJsonBody,
  type QueueData,
  RequestCode,
  ResponseCode,
  retryTopicOf,
  SystemTopic,
} from '@ringledger/protocol'
import type { Admin } from './admin.ts'
import { AdminError } from './errors.ts'

export interface Broker {
  readonly cluster: string
  readonly name: string
  /** Address by id, ascending; id 0 leads. */
  readonly addresses: ReadonlyMap<number, string>
}

export interface Route {
  readonly brokers: readonly Broker[]
  readonly queues: readonly QueueData[]
  /** The answer as it came, for `--json`. */
  readonly json: unknown
}

/**
 * Every broker that the name server knows, by cluster and name; only one cluster's when it is
 * given.
 */
export async function clusterBrokers(admin: Admin, cluster?: string): Promise<Broker[]> {
  const answer = await admin.askNameServer({ code: RequestCode.GET_BROKER_CLUSTER_INFO })
  const info = asJsonObject(parseJsonBody(answer.body), 'the cluster table')
  const table = asJsonObject(info.brokerAddrTable ?? {}, 'brokerAddrTable')
  const all = Object.values(table).map(readBroker)
  const found = all.filter((broker) => cluster === undefined || broker.cluster === cluster)
  if (found.length === 0 && cluster !== undefined) throw noCluster(cluster, all)
  return found.sort((left, right) => {
    return compare(left.cluster, right.cluster) || compare(left.name, right.name)
  })
}

function noCluster(cluster: string, all: readonly Broker[]): AdminError {
  const names = [...new Set(all.map((broker) => broker.cluster))].sort()
  const hint =
    names.length === 0
      ? 'no broker has registered at this name server: start one with: mqbroker -n host:port'
      : `known clusters: ${names.join(', ')}`
  return new AdminError(`the name server knows no cluster ${cluster}`, hint)
}

export function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

function readBroker(value: unknown): Broker {
  const broker = asJsonObject(value, 'a broker')
  const table = asJsonObject(broker.brokerAddrs ?? {}, 'brokerAddrs')
  const addresses = Object.entries(table).map(([id, address]) => {
    return [Number(id), String(address)] as const
  })
  return {
    cluster: String(broker.cluster),
    name: String(broker.brokerName),
    addresses: new Map(addresses.sort(([left], [right]) => left - right)),
  }
}

/** The route of a topic, or undefined when no broker serves it. */
export async function findRoute(admin: Admin, topic: string): Promise<Route | undefined> {
  const answer = await admin.askNameServer({
    code: RequestCode.GET_ROUTEINFO_BY_TOPIC,
    ext: { topic, acceptStandardJsonOnly: true },
    accept: [ResponseCode.TOPIC_NOT_EXIST],
  })
  if (answer.code === ResponseCode.TOPIC_NOT_EXIST) return undefined
  const json = asJsonObject(parseJsonBody(answer.body), 'the route')
  const brokers = Array.isArray(json.brokerDatas) ? json.brokerDatas.map(readBroker) : []
  const queues = Array.isArray(json.queueDatas) ? json.queueDatas.map(readQueue) : []
  brokers.sort((left, right) => compare(left.name, right.name))
  queues.sort((left, right) => compare(left.brokerName, right.brokerName))
  return { brokers, queues, json }
}

function readQueue(value: unknown): QueueData {
  const queue = asJsonObject(value, 'queueDatas')
  return {
    brokerName: String(queue.brokerName),
    perm: Number(queue.perm),
    readQueueNums: Number(queue.readQueueNums),
    topicSysFlag: Number(queue.topicSysFlag ?? 0),
    writeQueueNums: Number(queue.writeQueueNums),
  }
}

/** The route of a topic. @throws AdminError when there is none. */
export async function routeOf(admin: Admin, topic: string): Promise<Route> {
  const route = await findRoute(admin, topic)
  if (route !== undefined) return route
  const hint = 'see the topics with: mqadmin topicList   create one with: mqadmin updateTopic'
  throw new AdminError(`no broker serves the topic ${topic}`, hint)
}

/**
 * The brokers a consumer group is known on; all of them while it has no retry topic, which comes
 * with its first consumer.
 */
export async function brokersOfGroup(admin: Admin, group: string): Promise<readonly Broker[]> {
  const route = await findRoute(admin, retryTopicOf(group))
  return route?.brokers ?? (await clusterBrokers(admin))
}

/**
 * The address that orders changes of a broker name.
 * @throws AdminError while it has none.
 */
export function leaderOf(broker: Broker): string {
  const address = broker.addresses.get(0)
  if (address !== undefined) return address
  throw new AdminError(
    `the broker ${broker.name} has no leader now`,
    'a group elects one within seconds when most of its nodes run: see mqadmin clusterList',
  )
}

/** The leader's address, or another one that can answer questions; undefined without any. */
export function answeringAddress(broker: Broker): string | undefined {
  const [first] = broker.addresses.values()
  return first
}

/**
 * A queue to send to: one of the topic, else one that the broker will create. @throws AdminError
 */
export async function writableQueues(
  admin: Admin,
  topic: string,
): Promise<{ broker: Broker; queueCount: number }[]> {
  const route = await findRoute(admin, topic)
  const base = route ?? (await findRoute(admin, SystemTopic.AUTO_CREATE_TOPIC_KEY))
  const most = route === undefined ? AUTO_CREATED_QUEUES : Number.POSITIVE_INFINITY
  const targets: { broker: Broker; queueCount: number }[] = []
  for (const queue of base?.queues ?? []) {
    const broker = base?.brokers.find(({ name }) => name === queue.brokerName)
    if (broker === undefined || !isWriteable(queue.perm) || !broker.addresses.has(0)) continue
    targets.push({ broker, queueCount: Math.min(queue.writeQueueNums, most) })
  }
  if (targets.length > 0) return targets
  const hint = 'see mqadmin topicRoute; create the topic with: mqadmin updateTopic'
  throw new AdminError(`no broker takes messages of the topic ${topic} now`, hint)
}

/** Queues that clients ask for when the broker creates a topic on the first send. */
const AUTO_CREATED_QUEUES = 4
