/** What more consumer groups cost: each has committed its offset of every queue. */
import { RemotingClient } from '@ringledger/network'
import { RequestCode, ResponseCode } from '@ringledger/protocol'
import { TOPIC, withBrokers } from '../resilience/group.ts'
import { sendTemplates } from '../resilience/send-connection.ts'
import type { Scenario } from '../suite/scenario.ts'
import { costPlots, measureCost } from './cost.ts'

const QUEUES = 8
const BODY_BYTES = 128
const GROUPS: readonly number[] = [1, 10, 100, 1000]
const TIMEOUT_MS = 20_000

export const scenario: Scenario = {
  title: 'rate, memory and start by consumer groups: 1 to 1,000 with offsets of 8 queues, one node',
  plots: costPlots('consumer groups'),
  run: (context) =>
    withBrokers({ nodes: 1, settings: {}, queues: QUEUES }, async (cluster) => {
      const templates = sendTemplates(TOPIC, BODY_BYTES, QUEUES)
      let groups = 0
      for (const count of context.quick ? [10] : GROUPS) {
        const address = cluster.addressOf(await cluster.leader())
        context.show(`${count} groups commit`)
        await commitOffsets(address, groups, count)
        groups = count
        const figures = await measureCost(cluster, templates, context)
        context.point({ group: 'one node', at: count, label: `${count} groups`, figures })
      }
    }),
}

/** @throws Error when a commit is refused. */
async function commitOffsets(address: string, from: number, to: number): Promise<void> {
  const client = new RemotingClient()
  await client.connect(address)
  try {
    for (let group = from; group < to; group++) {
      await createGroup(client, group)
      await Promise.all(
        Array.from({ length: QUEUES }, (_, queueId) => commitOffset(client, group, queueId)),
      )
    }
  } finally {
    await client.close()
  }
}

async function createGroup(client: RemotingClient, group: number): Promise<void> {
  const body = Buffer.from(JSON.stringify({ groupName: `Group${group}` }))
  await done(client, { code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body })
}

async function commitOffset(client: RemotingClient, group: number, queueId: number): Promise<void> {
  const ext = {
    consumerGroup: `Group${group}`,
    topic: TOPIC,
    queueId: String(queueId),
    commitOffset: '0',
  }
  await done(client, { code: RequestCode.UPDATE_CONSUMER_OFFSET, ext })
}

/** @throws Error when it is refused. */
async function done(
  client: RemotingClient,
  request: Parameters<RemotingClient['request']>[0],
): Promise<void> {
  const { code, remark } = await client.request(request, TIMEOUT_MS)
  if (code === ResponseCode.SUCCESS) return
  throw new Error(`request ${request.code}: code ${code} ${remark ?? ''}`)
}
