/** What a longer log costs. */
import { fill } from '../load/fill.ts'
import { TOPIC, withBrokers } from '../resilience/group.ts'
import { sendTemplates } from '../resilience/send-connection.ts'
import type { Scenario } from '../suite/scenario.ts'
import { costPlots, measureCost } from './cost.ts'

const QUEUES = 8
const BODY_BYTES = 128
const PARTS: readonly number[] = [0.01, 0.03, 0.1, 0.3, 1]

export const scenario: Scenario = {
  title: 'rate, memory and start by messages in the log, one node (--messages: the most)',
  plots: costPlots('messages in the log'),
  run: (context) =>
    withBrokers({ nodes: 1, settings: {}, queues: QUEUES }, async (cluster) => {
      const templates = sendTemplates(TOPIC, BODY_BYTES, QUEUES)
      let messages = 0
      for (const part of context.quick ? [1] : PARTS) {
        const wanted = Math.round(context.messages * part)
        const address = cluster.addressOf(await cluster.leader())
        const before = messages
        const missing = Math.max(0, wanted - before)
        messages += await fill(address, templates, missing, (count) =>
          context.show(`${before + count} of ${wanted} messages`),
        )
        const label = `${messages.toLocaleString('en-US')} messages`
        context.show(label)
        const figures = await measureCost(cluster, templates, context)
        context.point({ group: 'one node', at: messages, label, figures })
        messages += Math.round((figures.acknowledgedPerSecond ?? 0) * context.seconds)
      }
    }),
}
