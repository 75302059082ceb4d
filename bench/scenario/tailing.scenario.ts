/** What five consumers that read all along cost the load, and how far they fall behind. */
import type { SendResult } from '../load/send-load.ts'
import { TailThread } from '../load/tail-thread.ts'
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Context, Scenario } from '../suite/scenario.ts'
import { closedFigures, measurePeak, QUEUES, type Target, target } from './measure-send.ts'

const CONSUMERS = 5

export const scenario: Scenario = {
  title: 'peak without and with five consumers that tail all eight queues',
  plots: [{ title: 'Peak by consumers', x: 'consumers', figures: ['acknowledgedPerSecond'] }],
  run: (context) =>
    withBrokers({ nodes: 3, settings: {}, queues: QUEUES }, async (cluster) => {
      const to = target(cluster.addressOf(await cluster.leader()), TOPIC)
      context.show('no consumers')
      const alone = await measurePeak(to, context)
      const group = 'three nodes'
      context.point({ group, at: 0, label: 'no consumers', figures: closedFigures(alone) })
      const { sent, readPerSecond, slowestShare } = await tailed(to, context)
      const figures = { ...closedFigures(sent), readPerSecond, slowestShare }
      context.point({ group, at: CONSUMERS, label: `${CONSUMERS} consumers`, figures })
      context.ratio('sent with consumers by without', share(sent, alone))
      context.ratio('read by the slowest consumer by sent', slowestShare)
    }),
}

interface Tailed {
  readonly sent: SendResult
  /** By all consumers. */
  readonly readPerSecond: number
  /** Of all that was acknowledged, what the slowest had when the load ended. */
  readonly slowestShare: number
}

async function tailed(to: Target, context: Context): Promise<Tailed> {
  const { address } = to
  const options = { address, topic: TOPIC, queues: QUEUES, connections: CONSUMERS }
  context.show(`${CONSUMERS} consumers`)
  const tail = await TailThread.start(options)
  const startedMs = performance.now()
  const sent = await measurePeak(to, context)
  const seconds = (performance.now() - startedMs) / 1000
  const counts = await tail.end()
  const read = counts.reduce((sum, count) => sum + count, 0)
  return {
    sent,
    readPerSecond: read / seconds,
    slowestShare: Math.min(...counts) / sent.acknowledged,
  }
}

function share(a: SendResult, b: SendResult): number {
  return a.acknowledgedPerSecond / b.acknowledgedPerSecond
}
