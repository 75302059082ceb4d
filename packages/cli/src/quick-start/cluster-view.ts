/** What the name server knows about the quick-start cluster, and the topic to try. */
import { LedgerError } from '@ringledger/base'
import { RemotingClient } from '@ringledger/network'
import {
  type ClusterInfo,
  parseJsonBody,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import { type ClusterLayout, GROUP_NAME, HOST, nameServerAddress } from './layout.ts'

export const TRY_TOPIC = 'TopicTest'
const TRY_QUEUES = 8
const REQUEST_TIMEOUT_MS = 2_000
const RETRY_MS = 50

/** Broker id (0: leader) of every registered address of the group. */
export type Registrations = ReadonlyMap<string, number>

/** Asks the name server once. @throws LedgerError when it does not answer. */
export async function registrations(layout: ClusterLayout): Promise<Registrations> {
  const answer = await ask(nameServerAddress(layout), {
    code: RequestCode.GET_BROKER_CLUSTER_INFO,
    flag: 0,
  })
  const info = parseJsonBody(answer.body) as Partial<ClusterInfo>
  const addresses = info.brokerAddrTable?.[GROUP_NAME]?.brokerAddrs ?? {}
  return new Map(Object.entries(addresses).map(([id, address]) => [address, Number(id)]))
}

/** True when each of these brokers is registered and one of the group leads. */
export function isComplete(layout: ClusterLayout, known: Registrations): boolean {
  const addresses = layout.brokers.map(({ port }) => `${HOST}:${port}`)
  return addresses.every((address) => known.has(address)) && [...known.values()].includes(0)
}

/**
 * Asks again and again, bounded by `limitMs`, until `accept` takes the answer; a failed request
 * counts as an empty answer. Returns the last answer and whether it was taken.
 */
export async function waitForRegistrations(
  layout: ClusterLayout,
  accept: (known: Registrations) => boolean,
  limitMs: number,
  stopEarly: () => boolean,
): Promise<{ known: Registrations; accepted: boolean }> {
  const endMs = performance.now() + limitMs
  for (;;) {
    const known = await registrations(layout).catch(() => new Map<string, number>())
    if (accept(known)) return { known, accepted: true }
    if (performance.now() >= endMs || stopEarly()) return { known, accepted: false }
    await new Promise((next) => setTimeout(next, RETRY_MS))
  }
}

/** Makes the topic of the quick start unless it is there; the leader answers. */
export async function createTryTopic(leader: string): Promise<void> {
  await ask(leader, {
    code: RequestCode.UPDATE_AND_CREATE_TOPIC,
    flag: 0,
    ext: {
      topic: TRY_TOPIC,
      defaultTopic: 'TBW102',
      readQueueNums: String(TRY_QUEUES),
      writeQueueNums: String(TRY_QUEUES),
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
    },
  })
}

async function ask(
  address: string,
  request: Parameters<RemotingClient['request']>[0],
): Promise<RemotingCommand> {
  const client = new RemotingClient({ connectTimeoutMs: REQUEST_TIMEOUT_MS })
  await client.connect(address)
  try {
    const answer = await client.request(request, REQUEST_TIMEOUT_MS)
    if (answer.code === ResponseCode.SUCCESS) return answer
    throw new LedgerError('BAD_REQUEST', `${address}: ${answer.remark ?? `code ${answer.code}`}`)
  } finally {
    client.close()
  }
}
