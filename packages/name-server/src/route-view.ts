/**
 * Answers made from the route tables: TopicRouteData, ClusterInfo and the topic lists. Owns the
 * wire form: one line of JSON without blanks (the Go client cuts `brokerAddrs` as text), ids always
 * as quoted keys, members in alphabetical order.
 */
import {
  type BrokerData,
  type ClusterInfo,
  isWriteable,
  type QueueData,
  type TopicList,
  type TopicRouteData,
} from '@ringledger/protocol'
import { type BrokerEntry, MASTER_ID, type Routes, smallestId } from './routes.ts'

/** How a requester reads JSON: `standard` readers get every non-ASCII character as an escape. */
export type JsonDialect = 'standard' | 'fastjson'

/** From this version (4.9.4) on clients parse route bodies as standard JSON. */
const STANDARD_JSON_VERSION = 401
const ACTING_MASTER_EXEMPT_PREFIX = 'rmq_sys_SYNC_BROKER_MEMBER_'

export interface RouteOptions {
  supportActingMaster: boolean
  /** Only brokers of this zone (letter case does not count), and those without a master. */
  zoneName?: string | undefined
  orderTopicConf?: string | undefined
}

/** TopicRouteData, or undefined when no broker serves the topic (code 17). */
export function routeOf(
  routes: Routes,
  topic: string,
  options: RouteOptions,
): TopicRouteData | undefined {
  const brokerDatas: BrokerData[] = []
  const queueDatas: QueueData[] = []
  for (const [brokerName, queues] of routes.topics.get(topic) ?? []) {
    const broker = routes.brokers.get(brokerName)
    if (broker === undefined) continue
    if (options.zoneName !== undefined && isOutsideZone(broker, options.zoneName)) continue
    const acting =
      options.supportActingMaster &&
      !topic.startsWith(ACTING_MASTER_EXEMPT_PREFIX) &&
      broker.enableActingMaster &&
      !isWriteable(queues.perm)
    brokerDatas.push(brokerView(broker, acting))
    queueDatas.push({
      brokerName,
      perm: queues.perm,
      readQueueNums: queues.readQueueNums,
      topicSysFlag: queues.topicSysFlag,
      writeQueueNums: queues.writeQueueNums,
    })
  }
  if (brokerDatas.length === 0) return undefined
  const order = options.orderTopicConf
  return {
    brokerDatas,
    filterServerTable: {},
    ...(order === undefined ? {} : { orderTopicConf: order }),
    queueDatas,
  }
}

function isOutsideZone(broker: Readonly<BrokerEntry>, zoneName: string): boolean {
  if (!broker.addresses.has(MASTER_ID)) return false
  return broker.zoneName?.toLowerCase() !== zoneName.toLowerCase()
}

function brokerView(broker: Readonly<BrokerEntry>, actingMaster: boolean): BrokerData {
  const addresses = new Map(broker.addresses)
  if (actingMaster && !addresses.has(MASTER_ID)) {
    const acting = smallestId(broker)
    addresses.set(MASTER_ID, addresses.get(acting) ?? '')
    addresses.delete(acting)
  }
  return {
    brokerAddrs: addressTable(addresses),
    brokerName: broker.brokerName,
    cluster: broker.cluster,
    enableActingMaster: broker.enableActingMaster,
    ...(broker.zoneName === undefined ? {} : { zoneName: broker.zoneName }),
  }
}

function addressTable(addresses: ReadonlyMap<number, string>): Record<string, string> {
  return Object.fromEntries([...addresses].sort(([left], [right]) => left - right))
}

/** ClusterInfo (code 106). */
export function clusterInfo(routes: Routes): ClusterInfo {
  const brokers: [string, BrokerData][] = []
  for (const [name, broker] of routes.brokers) brokers.push([name, brokerView(broker, false)])
  const clusters: [string, string[]][] = []
  for (const [name, brokerNames] of routes.clusters) clusters.push([name, [...brokerNames].sort()])
  return {
    brokerAddrTable: Object.fromEntries(brokers.sort(byName)),
    clusterAddrTable: Object.fromEntries(clusters.sort(byName)),
  }
}

function byName(left: readonly [string, unknown], right: readonly [string, unknown]): number {
  return left[0] < right[0] ? -1 : 1
}

/** BrokerMemberGroup (code 901); a broker name that is not known has no members. */
export function brokerMemberGroup(routes: Routes, cluster: string, brokerName: string): object {
  const addresses = routes.brokers.get(brokerName)?.addresses ?? new Map<number, string>()
  return { brokerMemberGroup: { brokerAddrs: addressTable(addresses), brokerName, cluster } }
}

/** Every topic (code 206). */
export function allTopics(routes: Routes): TopicList {
  return { topicList: [...routes.topics.keys()] }
}

/** Topics that have queues on a broker of the cluster (code 224). */
export function topicsOfCluster(routes: Routes, cluster: string): TopicList {
  const brokerNames = [...(routes.clusters.get(cluster) ?? [])]
  const topicList: string[] = []
  for (const [topic, queues] of routes.topics) {
    if (brokerNames.some((name) => queues.has(name))) topicList.push(topic)
  }
  return { topicList }
}

/** Cluster and broker names, which are topics too, and the address of one broker (code 304). */
export function systemTopics(routes: Routes): TopicList {
  const topicList = new Set<string>()
  let brokerAddr: string | undefined
  for (const [cluster, brokerNames] of routes.clusters) {
    topicList.add(cluster)
    for (const name of brokerNames) {
      topicList.add(name)
      const broker = routes.brokers.get(name)
      if (broker !== undefined) brokerAddr ??= broker.addresses.get(smallestId(broker))
    }
  }
  return { ...(brokerAddr === undefined ? {} : { brokerAddr }), topicList: [...topicList] }
}

/** Topics whose system flag passes the test on their first broker (codes 311 to 313). */
export function topicsByFlag(routes: Routes, passes: (topicSysFlag: number) => boolean): TopicList {
  const topicList: string[] = []
  for (const [topic, queuesByBroker] of routes.topics) {
    const [first] = queuesByBroker.values()
    if (first !== undefined && passes(first.topicSysFlag)) topicList.push(topic)
  }
  return { topicList }
}

/** Which dialect the requester of a route wants (reference §2.4). */
export function dialectOf(version: number, standardJsonOnly: boolean): JsonDialect {
  return standardJsonOnly || version >= STANDARD_JSON_VERSION ? 'standard' : 'fastjson'
}

/** One line of JSON in the dialect. */
export function jsonBody(value: object, dialect: JsonDialect = 'fastjson'): Buffer {
  const text = JSON.stringify(value)
  if (dialect === 'fastjson') return Buffer.from(text)
  const escaped = text.replace(/[\u007f-\uffff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}`
  })
  return Buffer.from(escaped, 'latin1')
}
