/** kill -9 of the leader under load, as `node bench/resilience.ts failover` measures it. */
import { measureFailover } from '../resilience/failover.ts'
import type { Quantiles } from '../resilience/gaps.ts'
import type { Settings } from '../resilience/outcome.ts'
import type { Figures, Scenario } from '../suite/scenario.ts'

const TIMES = 5

export const scenario: Scenario = {
  title: 'the gap in acknowledgements when the leader is killed, 2,000 messages a second',
  plots: [],
  run: async (context) => {
    const settings: Settings = {
      times: context.quick ? 1 : TIMES,
      bodyBytes: 1024,
      connections: 4,
      window: 16,
      rate: 2000,
      brokerSettings: {},
      missedBytes: 0,
      baseSeconds: 0,
    }
    const { figures } = await measureFailover(settings, context.show)
    const { gapMs, betweenEventsMs } = figures as Record<'gapMs' | 'betweenEventsMs', Quantiles>
    const group = 'three nodes'
    context.point({ group, at: 0, label: 'gap at a failover', figures: gapFigures(gapMs) })
    context.point({ group, at: 0, label: 'between them', figures: gapFigures(betweenEventsMs) })
  },
}

function gapFigures({ count, p50, max }: Quantiles): Figures {
  return { times: count, p50Ms: p50, maxMs: max }
}
