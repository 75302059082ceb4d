/** What more queues cost: topics of eight, up to ten thousand queues, all written to. */
import { fill } from '../load/fill.ts'
import { createTopics } from '../load/topics.ts'
import { withBrokers } from '../resilience/group.ts'
import { sendTemplates } from '../resilience/send-connection.ts'
import type { Scenario } from '../suite/scenario.ts'
import { costPlots, measureCost } from './cost.ts'

const QUEUES = 8
const BODY_BYTES = 128
const TOPICS: readonly number[] = [1, 10, 100, 400, 1250]
/** So many in each queue, so that each has a file. */
const MESSAGES = 4

export const scenario: Scenario = {
  title: 'rate, memory and start by queues: 8 to 10,000, all written to, one node',
  plots: costPlots('queues'),
  run: (context) =>
    withBrokers({ nodes: 1, settings: {}, queues: QUEUES }, async (cluster) => {
      const topics: string[] = []
      for (const count of context.quick ? [10] : TOPICS) {
        const address = cluster.addressOf(await cluster.leader())
        const more = Array.from({ length: count - topics.length }, (_, at) => {
          return `Topic${topics.length + at}`
        })
        context.show(`${count} topics are made`)
        await createTopics(address, more, QUEUES)
        topics.push(...more)
        const templates = topics.flatMap((topic) => sendTemplates(topic, BODY_BYTES, QUEUES))
        await fill(address, templates, templates.length * MESSAGES, (sent) =>
          context.show(`${count} topics, ${sent} messages`),
        )
        const label = `${templates.length.toLocaleString('en-US')} queues`
        const figures = await measureCost(cluster, templates, context)
        context.point({ group: 'one node', at: templates.length, label, figures })
      }
    }),
}
