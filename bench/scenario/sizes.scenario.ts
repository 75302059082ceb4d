/** What a message's size costs. */
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Scenario } from '../suite/scenario.ts'
import {
  LATENCY_PLOT_FIGURES,
  PEAK_PLOT_FIGURES,
  peakAndLatency,
  QUEUES,
  target,
} from './measure-send.ts'

const SIZES: readonly number[] = [128, 512, 1024, 4096, 16_384, 65_536]
const X = 'bytes of a body'

export const scenario: Scenario = {
  title: 'peak, and latency at 50 % and 80 % of it, by size of the body: 128 B to 64 KiB',
  plots: [
    { title: 'Peak by size', x: X, figures: PEAK_PLOT_FIGURES, logX: true, logY: true },
    { title: 'Latency by size', x: X, figures: LATENCY_PLOT_FIGURES, logX: true, logY: true },
  ],
  run: (context) =>
    withBrokers({ nodes: 3, settings: {}, queues: QUEUES }, async (cluster) => {
      const address = cluster.addressOf(await cluster.leader())
      const peaks = new Map<number, number>()
      for (const bytes of context.quick ? [1024, 4096] : SIZES) {
        const place = { group: 'three nodes', at: bytes, label: `${bytes} bytes` }
        peaks.set(bytes, await peakAndLatency(target(address, TOPIC, bytes), place, context))
      }
      const [small, large] = [peaks.get(1024) ?? Number.NaN, peaks.get(4096) ?? Number.NaN]
      context.ratio('4 KiB by 1 KiB, messages', large / small)
    }),
}
