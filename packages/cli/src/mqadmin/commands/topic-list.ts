/** topicList, topicRoute and topicStatus: which topics there are, where, and how far. */
import {
  asJsonObject,
  isReadable,
  isWriteable,
  parseJsonBody,
  RequestCode,
} from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import { type AdminCommand, OPTION } from '../command.ts'
import { RefusedError } from '../errors.ts'
import { answeringAddress, clusterBrokers, compare, findRoute, routeOf } from '../queries.ts'
import { queueEntries } from '../queue-keys.ts'
import { formatTime } from '../time.ts'
import { columns } from '../view.ts'

export const topicList: AdminCommand<{ clusterModel?: boolean }> = {
  name: 'topicList',
  summary: 'List the topics; with -c also the cluster and the consumer groups of each.',
  options: [{ flags: '-c, --clusterModel', description: 'with cluster and consumer groups' }],
  example: 'topicList -c',
  async run(admin, { clusterModel }) {
    const topics = await allTopics(admin)
    if (clusterModel !== true) {
      return {
        json: topics,
        sections: [{ kind: 'text', text: topics.join('\n') || 'there is no topic' }],
      }
    }
    const rows = []
    for (const topic of topics) rows.push(...(await topicWithGroups(admin, topic)))
    return {
      json: rows,
      sections: [
        {
          kind: 'table',
          columns: columns('Cluster', 'Topic', 'Consumer group'),
          rows: rows.map(({ cluster, topic, group }) => [cluster, topic, group]),
          empty: 'there is no topic',
        },
      ],
    }
  },
}

/** Every topic that a name server knows, sorted. */
export async function allTopics(admin: Admin): Promise<string[]> {
  const answer = await admin.askNameServer({ code: RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER })
  const { topicList: topics } = asJsonObject(parseJsonBody(answer.body), 'the topic list')
  return Array.isArray(topics) ? topics.map(String).sort(compare) : []
}

interface TopicOfGroup {
  cluster: string
  topic: string
  group: string | undefined
}

async function topicWithGroups(admin: Admin, topic: string): Promise<TopicOfGroup[]> {
  const route = await findRoute(admin, topic)
  const rows: TopicOfGroup[] = []
  for (const broker of route?.brokers ?? []) {
    const address = answeringAddress(broker)
    const groups = address === undefined ? [] : await groupsOfTopic(admin, address, topic)
    for (const group of groups.length === 0 ? [undefined] : groups) {
      const row = { cluster: broker.cluster, topic, group }
      if (!rows.some((other) => other.cluster === row.cluster && other.group === group)) {
        rows.push(row)
      }
    }
  }
  return rows
}

/**
 * Code 300: the groups that read a topic on one broker; none when the broker does not know the
 * topic.
 */
export async function groupsOfTopic(
  admin: Admin,
  address: string,
  topic: string,
): Promise<string[]> {
  try {
    const question = { code: RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, ext: { topic } }
    const answer = await admin.askBroker(address, question)
    const { groupList } = asJsonObject(parseJsonBody(answer.body) ?? {}, 'the group list')
    return Array.isArray(groupList) ? groupList.map(String).sort(compare) : []
  } catch (error) {
    if (error instanceof RefusedError) return []
    throw error
  }
}

export const topicRoute: AdminCommand<{ topic: string; list?: boolean }> = {
  name: 'topicRoute',
  summary: 'Show which brokers serve a topic, with how many queues and which permission.',
  options: [
    OPTION.topic,
    {
      flags: '-l, --list',
      description: 'a table; it is one anyhow (for scripts written for Apache)',
    },
  ],
  example: 'topicRoute -t TopicTest',
  async run(admin, { topic }) {
    const route = await routeOf(admin, topic)
    const rows = route.queues.flatMap((queue) => {
      const broker = route.brokers.find(({ name }) => name === queue.brokerName)
      return [...(broker?.addresses ?? [])].map(([id, address]) => [
        broker?.cluster,
        queue.brokerName,
        id,
        address,
        queue.readQueueNums,
        queue.writeQueueNums,
        permissionText(queue.perm),
      ])
    })
    const heads = columns('Cluster', 'Broker', '>Id', 'Address', '>Read', '>Write', 'Permission')
    const empty = 'no broker serves the topic'
    return { json: route.json, sections: [{ kind: 'table', columns: heads, rows, empty }] }
  },
}

function permissionText(perm: number): string {
  return (isReadable(perm) ? 'R' : '-') + (isWriteable(perm) ? 'W' : '-')
}

export const topicStatus: AdminCommand<{ topic: string; cluster?: string }> = {
  name: 'topicStatus',
  summary: 'Show the first and next offset of each queue of a topic.',
  options: [
    OPTION.topic,
    { flags: '-c, --cluster <cluster>', description: 'ask the brokers of this cluster' },
  ],
  example: 'topicStatus -t TopicTest',
  async run(admin, { topic, cluster }) {
    const brokers =
      cluster === undefined
        ? (await routeOf(admin, topic)).brokers
        : await clusterBrokers(admin, cluster)
    const queues = []
    for (const broker of brokers) {
      const address = answeringAddress(broker)
      if (address === undefined) continue
      const question = { code: RequestCode.GET_TOPIC_STATS_INFO, ext: { topic } }
      const answer = await admin.askBroker(address, question)
      for (const [queue, value] of queueEntries(answer.body, 'offsetTable')) {
        const offsets = asJsonObject(value, 'a queue')
        const { minOffset, maxOffset, lastUpdateTimestamp } = offsets
        queues.push({
          broker: queue.brokerName,
          queueId: queue.queueId,
          minOffset: Number(minOffset),
          maxOffset: Number(maxOffset),
          lastUpdateTimestamp: Number(lastUpdateTimestamp),
        })
      }
    }
    return {
      json: { topic, queues },
      sections: [
        {
          kind: 'table',
          columns: columns('Broker', '>Queue', '>Min offset', '>Max offset', 'Last update'),
          rows: queues.map((queue) => [
            queue.broker,
            queue.queueId,
            queue.minOffset,
            queue.maxOffset,
            formatTime(queue.lastUpdateTimestamp),
          ]),
          empty: 'the topic has no queue',
        },
      ],
    }
  },
}
