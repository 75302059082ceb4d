/** What connections cost that do nothing: the load is the same on four of its own. */
import { RemotingClient } from '@ringledger/network'
import { TOPIC, withBrokers } from '../resilience/group.ts'
import { sendTemplates } from '../resilience/send-connection.ts'
import type { Scenario } from '../suite/scenario.ts'
import { costPlots, measureCost } from './cost.ts'

const QUEUES = 8
const BODY_BYTES = 1024
const COUNTS: readonly number[] = [1, 10, 100, 1000]
const AT_A_TIME = 50

export const scenario: Scenario = {
  title: 'rate and memory by connections that do nothing: 1 to 1,000, one node',
  plots: costPlots('idle connections'),
  run: (context) =>
    withBrokers({ nodes: 1, settings: {}, queues: QUEUES }, async (cluster) => {
      const templates = sendTemplates(TOPIC, BODY_BYTES, QUEUES)
      for (const count of context.quick ? [10] : COUNTS) {
        context.show(`${count} connections`)
        const idle = await connect(cluster.addressOf(await cluster.leader()), count)
        const figures = await measureCost(cluster, templates, context)
        // The start of the broker has ended them, or this does.
        await Promise.all(idle.map((client) => client.close()))
        const label = `${count} connections`
        context.point({ group: 'one node', at: count, label, figures })
      }
    }),
}

async function connect(address: string, count: number): Promise<RemotingClient[]> {
  const clients: RemotingClient[] = []
  while (clients.length < count) {
    const some = Array.from({ length: Math.min(AT_A_TIME, count - clients.length) }, () => {
      return new RemotingClient()
    })
    clients.push(...some)
    await Promise.all(some.map((client) => client.connect(address)))
  }
  return clients
}
