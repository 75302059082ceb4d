/**
 * What five consumers that read all along cost the load, and how far they fall behind: as one
 * group, in which each message goes to one of them, and each for itself.
 */
import type { SendResult } from '../load/send-load.ts'
import { TailThread } from '../load/tail-thread.ts'
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Context, Scenario } from '../suite/scenario.ts'
import { closedFigures, measurePeak, QUEUES, type Target, target } from './measure-send.ts'

const CONSUMERS = 5

export const scenario: Scenario = {
  title: 'peak without and with five consumers that tail all eight queues',
  plots: [
    { title: 'Peak by readers', x: 'readers of a message', figures: ['acknowledgedPerSecond'] },
  ],
  run: (context) =>
    withBrokers({ nodes: 3, settings: {}, queues: QUEUES }, async (cluster) => {
      const to = target(cluster.addressOf(await cluster.leader()), TOPIC)
      const group = 'three nodes'
      const tail = async (at: number, label: string, isGroup: boolean): Promise<Tailed> => {
        context.show(label)
        const measured = await tailed(to, context, isGroup)
        const { sent, readPerSecond, slowestShare } = measured
        const figures = { ...closedFigures(sent), readPerSecond, slowestShare }
        context.point({ group, at, label, figures })
        return measured
      }
      context.show('no consumers')
      const alone = await measurePeak(to, context)
      context.point({ group, at: 0, label: 'no consumers', figures: closedFigures(alone) })
      const shared = await tail(1, `a group of ${CONSUMERS}`, true)
      const each = await tail(CONSUMERS, `${CONSUMERS} that read all`, false)
      context.ratio('sent with a group by without', share(shared.sent, alone))
      context.ratio('read by the slowest of the group by sent', shared.slowestShare)
      context.ratio('sent with consumers by without', share(each.sent, alone))
      context.ratio('read by the slowest consumer by sent', each.slowestShare)
    }),
}

interface Tailed {
  readonly sent: SendResult
  /** By all consumers. */
  readonly readPerSecond: number
  /** Of what a queue got, the part that its slowest reader had when the load ended. */
  readonly slowestShare: number
}

async function tailed(to: Target, context: Context, isGroup: boolean): Promise<Tailed> {
  const { address } = to
  const options = { address, topic: TOPIC, queues: QUEUES, connections: CONSUMERS, isGroup }
  const tail = await TailThread.start(options)
  const startedMs = performance.now()
  const sent = await measurePeak(to, context)
  const seconds = (performance.now() - startedMs) / 1000
  const counts = await tail.end()
  const read = counts.reduce((sum, count) => sum + count, 0)
  return {
    sent,
    readPerSecond: read / seconds,
    slowestShare: (Math.min(...counts) * QUEUES) / sent.acknowledged,
  }
}

function share(a: SendResult, b: SendResult): number {
  return a.acknowledgedPerSecond / b.acknowledgedPerSecond
}
