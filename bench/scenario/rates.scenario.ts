/** Latency as the rate rises, from a tenth of the peak to above it. */
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Scenario } from '../suite/scenario.ts'
import {
  closedFigures,
  measureClosed,
  measurePeak,
  measureRate,
  openFigures,
  QUEUES,
  target,
} from './measure-send.ts'

const PERCENTS: readonly number[] = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]
const OPEN = 'open loop'

export const scenario: Scenario = {
  title: 'latency of 1 KiB messages at rising rates, three nodes (open loop)',
  plots: [
    {
      title: 'Latency by rate',
      x: '% of the peak',
      figures: ['p50Ms', 'p99Ms', 'p999Ms'],
      group: OPEN,
      logY: true,
    },
    {
      title: 'Acknowledged by rate',
      x: '% of the peak',
      figures: ['sentPerSecond', 'acknowledgedPerSecond'],
      group: OPEN,
    },
  ],
  run: (context) =>
    withBrokers({ nodes: 3, settings: {}, queues: QUEUES }, async (cluster) => {
      const to = target(cluster.addressOf(await cluster.leader()), TOPIC)
      context.show('one in flight')
      const one = await measureClosed({ ...to, connections: 1 }, 1, context)
      const closed = { group: 'closed loop', at: 0 }
      context.point({ ...closed, label: 'one in flight', figures: closedFigures(one) })
      context.show('peak')
      const peak = await measurePeak(to, context)
      context.point({ ...closed, label: 'peak, 4 × 256', figures: closedFigures(peak) })
      for (const percent of context.quick ? [50, 80] : PERCENTS) {
        const rate = (peak.acknowledgedPerSecond * percent) / 100
        context.show(`${percent} % of the peak`)
        const figures = openFigures(rate, await measureRate(to, rate, context))
        context.point({ group: OPEN, at: percent, label: `${percent} % of peak`, figures })
      }
    }),
}
