/** One node alone against a group of three, flushed before and after the answer. */
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Scenario } from '../suite/scenario.ts'
import { PEAK_PLOT_FIGURES, peakAndLatency, QUEUES, target } from './measure-send.ts'

const NODES = [1, 3] as const
const FLUSHES = ['SYNC_FLUSH', 'ASYNC_FLUSH'] as const

export const scenario: Scenario = {
  title: 'peak, and latency at 50 % and 80 % of it: one node and three, SYNC_FLUSH and ASYNC_FLUSH',
  plots: [{ title: 'Peak by nodes', x: 'nodes', figures: PEAK_PLOT_FIGURES }],
  run: async (context) => {
    const peaks = new Map<string, number>()
    for (const flushDiskType of FLUSHES) {
      for (const nodes of NODES) {
        context.show(`${flushDiskType}, ${nodes} nodes: starts`)
        const options = { nodes, settings: { flushDiskType }, queues: QUEUES }
        const peak = await withBrokers(options, async (cluster) => {
          const to = target(cluster.addressOf(await cluster.leader()), TOPIC)
          const label = nodes === 1 ? 'one node' : 'three nodes'
          return await peakAndLatency(to, { group: flushDiskType, at: nodes, label }, context)
        })
        peaks.set(`${flushDiskType} ${nodes}`, peak)
      }
    }
    const of = (name: string): number => peaks.get(name) ?? Number.NaN
    context.ratio('three nodes by one, SYNC_FLUSH', of('SYNC_FLUSH 3') / of('SYNC_FLUSH 1'))
    context.ratio(
      'SYNC_FLUSH by ASYNC_FLUSH, three nodes',
      of('SYNC_FLUSH 3') / of('ASYNC_FLUSH 3'),
    )
  },
}
