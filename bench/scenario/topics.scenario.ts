/** What topics cost: the same load, spread over up to 1,024 × 8 queues. */
import { createTopics } from '../load/topics.ts'
import { withBrokers } from '../resilience/group.ts'
import { sendTemplates } from '../resilience/send-connection.ts'
import type { Scenario } from '../suite/scenario.ts'
import {
  BODY_BYTES,
  CONNECTIONS,
  LATENCY_PLOT_FIGURES,
  PEAK_PLOT_FIGURES,
  peakAndLatency,
  QUEUES,
} from './measure-send.ts'

const COUNTS: readonly number[] = [1, 16, 128, 1024]
const X = 'topics of 8 queues'

export const scenario: Scenario = {
  title: 'peak, and latency at 50 % and 80 % of it, over 1 to 1,024 topics of 8 queues',
  plots: [
    { title: 'Peak by topics', x: X, figures: PEAK_PLOT_FIGURES, logX: true },
    { title: 'Latency by topics', x: X, figures: LATENCY_PLOT_FIGURES, logX: true },
  ],
  run: (context) =>
    withBrokers({ nodes: 3, settings: {}, queues: QUEUES }, async (cluster) => {
      const address = cluster.addressOf(await cluster.leader())
      const counts = context.quick ? [1, 16] : COUNTS
      const peaks: number[] = []
      for (const count of counts) {
        const topics = Array.from({ length: count }, (_, at) => `Of${count}Number${at}`)
        context.show(`${count} topics are made`)
        await createTopics(address, topics, QUEUES)
        const templates = topics.flatMap((topic) => sendTemplates(topic, BODY_BYTES, QUEUES))
        const place = { group: 'three nodes', at: count, label: `${count} topics` }
        const to = { address, templates, connections: CONNECTIONS }
        peaks.push(await peakAndLatency(to, place, context))
      }
      const [one = Number.NaN, all = Number.NaN] = [peaks[0], peaks.at(-1)]
      context.ratio(`${counts.at(-1)} topics by 1`, all / one)
    }),
}
