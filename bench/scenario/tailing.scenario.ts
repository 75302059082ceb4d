/**
 * What five consumers that read all along cost the load, and how far they fall behind: as one
 * group, in which each message goes to one of them, and each for itself. First beside a load that
 * takes all it can get, then beside one that starts a fixed share of its messages, whoever reads.
 */
import type { SendResult } from '../load/send-load.ts'
import { TailThread } from '../load/tail-thread.ts'
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Scenario } from '../suite/scenario.ts'
import {
  closedFigures,
  measurePeak,
  measureRate,
  openFigures,
  QUEUES,
  type Target,
  target,
} from './measure-send.ts'

const CONSUMERS = 5
/** Of the peak without consumers. */
const KEPT_SHARE = 0.6

export const scenario: Scenario = {
  title: 'peak without and with five consumers that tail all eight queues',
  plots: [
    { title: 'Peak by readers', x: 'readers of a message', figures: ['acknowledgedPerSecond'] },
  ],
  run: (context) =>
    withBrokers({ nodes: 3, settings: {}, queues: QUEUES }, async (cluster) => {
      const to = target(cluster.addressOf(await cluster.leader()), TOPIC)
      const group = 'three nodes'
      context.show('no consumers')
      const alone = await measurePeak(to, context)
      context.point({ group, at: 0, label: 'no consumers', figures: closedFigures(alone) })
      const rate = alone.acknowledgedPerSecond * KEPT_SHARE
      for (const { at, who, isGroup } of READERS) {
        context.show(who)
        const { sent, ...read } = await tailed(to, isGroup, () => measurePeak(to, context))
        const figures = { ...closedFigures(sent), ...read }
        context.point({ group, at, label: who, figures })
        context.ratio(`sent beside ${who} by without`, share(sent, alone))
        const label = `${who}, ${KEPT_SHARE * 100} % sent`
        context.show(label)
        const paced = await tailed(to, isGroup, () => measureRate(to, rate, context))
        const { sent: due, ...readThen } = paced
        context.point({
          group: 'three nodes, open loop',
          at,
          label,
          figures: { ...openFigures(rate, due), ...readThen },
        })
        context.ratio(`read by the slowest of ${label}`, paced.slowestShare)
      }
    }),
}

const READERS = [
  { at: 1, who: `a group of ${CONSUMERS}`, isGroup: true },
  { at: CONSUMERS, who: `${CONSUMERS} that read all`, isGroup: false },
]

interface Tailed {
  readonly sent: SendResult
  /** By all consumers. */
  readonly readPerSecond: number
  /** Of what a queue got, the part that its slowest reader had when the load ended. */
  readonly slowestShare: number
}

async function tailed(
  { address }: Target,
  isGroup: boolean,
  load: () => Promise<SendResult>,
): Promise<Tailed> {
  const options = { address, topic: TOPIC, queues: QUEUES, connections: CONSUMERS, isGroup }
  const tail = await TailThread.start(options)
  const startedMs = performance.now()
  const sent = await load()
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
