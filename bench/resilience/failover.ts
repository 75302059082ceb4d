/** kill -9 of the leader, again and again: how long nobody gets an acknowledgement. */
import type { Cluster } from '../../test/harness/cluster.ts'
import { addresses, caughtUp, idOf, TOPIC, withGroup, within } from './group.ts'
import { Load } from './load.ts'
import { gapReport, type Report, type Settings, type Show } from './outcome.ts'

/** Acknowledged after the leader's end, before the node is started again. */
const SETTLED_MESSAGES = 500
const SETTLE_LIMIT_MS = 30_000
const CATCH_UP_LIMIT_MS = 60_000

/** Issue 4. */
const BARS = { p50: 250, p99: 800 }

export function measureFailover(settings: Settings, show: Show): Promise<Report> {
  return withGroup(settings.brokerSettings, (cluster) => run(cluster, settings, show))
}

async function run(cluster: Cluster, settings: Settings, show: Show): Promise<Report> {
  const { times, bodyBytes, connections, window, rate } = settings
  const gaps: number[] = []
  const quiet: number[] = []
  const brokers = addresses(cluster)
  const load = await Load.start({ brokers, topic: TOPIC, bodyBytes, connections, window, rate })
  const { acknowledgements } = load
  await within(SETTLE_LIMIT_MS, 'the load starts', acknowledgements.more(SETTLED_MESSAGES))
  for (let time = 1; time <= times; time++) {
    const id = idOf(cluster, load.leaderAddress)
    quiet.push(acknowledgements.takeLongestMs())
    await cluster.kill(id, 'SIGKILL')
    const settled = acknowledgements.more(SETTLED_MESSAGES)
    await within(SETTLE_LIMIT_MS, `writes after the end of ${id}`, settled)
    const gapMs = acknowledgements.takeLongestMs()
    gaps.push(gapMs)
    show(`failover ${time} of ${times}: ${id} killed, ${gapMs.toFixed(0)} ms`)
    await cluster.restart(id)
    await caughtUp(cluster, id, load.leaderAddress, CATCH_UP_LIMIT_MS)
  }
  await load.end()
  const { errors, count } = acknowledgements
  return gapReport({ gaps, quiet, errors, acknowledged: count }, BARS)
}
