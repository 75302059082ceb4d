/** Leadership is handed over on request, again and again, while a load runs. */
import { RequestCode } from '@ringledger/protocol'
import type { Cluster } from '../../test/harness/cluster.ts'
import { ask } from '../../test/harness/name-server.ts'
import { addresses, caughtUp, pause, TOPIC, withGroup, within } from './group.ts'
import { Load } from './load.ts'
import { gapReport, type Report, type Settings, type Show } from './outcome.ts'

/** How long the load is watched after a transfer. */
const WATCHED_MS = 300
const SETTLE_LIMIT_MS = 30_000
const CATCH_UP_LIMIT_MS = 30_000

/** Issue 4. */
const BARS = { p99: 100 }

export function measureTransfer(settings: Settings, show: Show): Promise<Report> {
  return withGroup(settings.brokerSettings, (cluster) => run(cluster, settings, show))
}

async function run(cluster: Cluster, settings: Settings, show: Show): Promise<Report> {
  const { times, bodyBytes, connections, window, rate } = settings
  const gaps: number[] = []
  const quiet: number[] = []
  const brokers = addresses(cluster)
  const load = await Load.start({ brokers, topic: TOPIC, bodyBytes, connections, window, rate })
  const { acknowledgements } = load
  await pause(WATCHED_MS)
  for (let time = 1; time <= times; time++) {
    const from = await cluster.leader()
    await load.turnTo(cluster.addressOf(from))
    const at = (cluster.ids.indexOf(from) + 1) % cluster.ids.length
    const target = cluster.ids[at] as string
    await caughtUp(cluster, target, cluster.addressOf(from), CATCH_UP_LIMIT_MS)
    quiet.push(acknowledgements.takeLongestMs())
    await electMaster(cluster.addressOf(from), at + 1)
    await pause(WATCHED_MS)
    await within(SETTLE_LIMIT_MS, `writes at ${target}`, acknowledgements.more(1))
    const gapMs = acknowledgements.takeLongestMs()
    gaps.push(gapMs)
    show(`transfer ${time} of ${times}: ${from} to ${target}, ${gapMs.toFixed(1)} ms`)
  }
  await load.end()
  const { errors, count } = acknowledgements
  return gapReport({ gaps, quiet, errors, acknowledged: count }, BARS)
}

/** What `mqadmin electMaster` asks. @throws Error when the broker refuses. */
async function electMaster(address: string, brokerId: number): Promise<void> {
  const ext = { brokerId: String(brokerId), designateElect: 'true' }
  await ask(address, { code: RequestCode.CONTROLLER_ELECT_MASTER, ext })
}
