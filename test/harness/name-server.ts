/** What a name server says, asked the way clients ask. */
import { RemotingClient } from '@ringledger/network'
import {
  type ClusterInfo,
  parseJsonBody,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import { eventually } from './eventually.ts'

const TIMEOUT_MS = 2_000

/**
 * One request on a connection of its own. @throws Error with code and remark when it is refused.
 */
export async function ask(
  address: string,
  request: Parameters<RemotingClient['request']>[0],
): Promise<RemotingCommand> {
  const client = new RemotingClient({ connectTimeoutMs: TIMEOUT_MS })
  await client.connect(address)
  try {
    const answer = await client.request(request, TIMEOUT_MS)
    if (answer.code === ResponseCode.SUCCESS) return answer
    throw new Error(`${address}: code ${answer.code} ${answer.remark ?? ''}`)
  } finally {
    client.close()
  }
}

/**
 * Makes a topic at that broker, with `+name=value,…` of 5.x, and resolves when the name server
 * knows its route.
 */
export async function createTopic(
  address: string,
  nameServer: string,
  topic: string,
  queues: number,
  attributes = '',
): Promise<void> {
  const ext = {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: String(queues),
    writeQueueNums: String(queues),
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: '0',
    order: 'false',
    ...(attributes === '' ? {} : { attributes }),
  }
  // Made twice it is the same topic.
  await eventually(() => ask(address, { code: RequestCode.UPDATE_AND_CREATE_TOPIC, ext }), {
    what: `topic ${topic}`,
  })
  await eventually(async () => await leaderOf(nameServer, topic), { what: `a route of ${topic}` })
}

/** Addresses of the brokers of the group by id; 0 is the leader. */
export async function brokerIds(
  nameServer: string,
  brokerName: string,
): Promise<Map<number, string>> {
  const answer = await ask(nameServer, { code: RequestCode.GET_BROKER_CLUSTER_INFO })
  const info = parseJsonBody(answer.body) as Partial<ClusterInfo>
  const addresses = info.brokerAddrTable?.[brokerName]?.brokerAddrs ?? {}
  return new Map(Object.entries(addresses).map(([id, address]) => [Number(id), String(address)]))
}

/** The leader by the route of a topic; undefined while there is none. */
export async function leaderOf(nameServer: string, topic: string): Promise<string | undefined> {
  const answer = await ask(nameServer, {
    code: RequestCode.GET_ROUTEINFO_BY_TOPIC,
    ext: { topic },
  })
  const route = parseJsonBody(answer.body) as {
    brokerDatas?: { brokerAddrs: Record<string, string> }[]
  }
  return route.brokerDatas?.[0]?.brokerAddrs['0']
}
