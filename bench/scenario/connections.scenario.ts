/** What connections cost: the same load from one client, or from a thousand. */
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Scenario } from '../suite/scenario.ts'
import {
  LATENCY_PLOT_FIGURES,
  PEAK_PLOT_FIGURES,
  peakAndLatency,
  QUEUES,
  target,
} from './measure-send.ts'

const COUNTS: readonly number[] = [1, 4, 16, 64, 256, 1000]
const X = 'connections'

export const scenario: Scenario = {
  title: 'peak, and latency at 50 % and 80 % of it, with 1 to 1,000 connections',
  plots: [
    { title: 'Peak by connections', x: X, figures: PEAK_PLOT_FIGURES, logX: true },
    { title: 'Latency by connections', x: X, figures: LATENCY_PLOT_FIGURES, logX: true },
  ],
  run: (context) =>
    withBrokers({ nodes: 3, settings: {}, queues: QUEUES }, async (cluster) => {
      const address = cluster.addressOf(await cluster.leader())
      const peaks = new Map<number, number>()
      for (const connections of context.quick ? [4, 64] : COUNTS) {
        const to = { ...target(address, TOPIC), connections }
        const place = { group: 'three nodes', at: connections, label: `${connections} connections` }
        peaks.set(connections, await peakAndLatency(to, place, context))
      }
      const few = peaks.get(4) ?? Number.NaN
      const many = peaks.get(context.quick ? 64 : 1000) ?? Number.NaN
      context.ratio(`${context.quick ? 64 : 1000} connections by 4`, many / few)
    }),
}
