/**
 * What one broker costs as it is: rate and latency of a load, memory, and the time of its start.
 */
import type { Cluster } from '../../test/harness/cluster.ts'
import { residentBytes } from '../../test/load/process-memory.ts'
import { sendLoad } from '../load/send-load.ts'
import type { SendTemplate } from '../resilience/send-connection.ts'
import type { Context, Figures, Plot } from '../suite/scenario.ts'

const CONNECTIONS = 4
const WINDOW = 64

export function costPlots(x: string): Plot[] {
  const of = (title: string, ...figures: string[]): Plot => ({ title, x, figures, logX: true })
  return [
    of('Rate', 'acknowledgedPerSecond'),
    of('Latency', 'p50Ms', 'p99Ms'),
    of('Memory', 'residentBytes'),
    of('Start', 'cleanStartMs', 'killedStartMs'),
  ]
}

/** Starts the only broker of the cluster anew twice: after a clean end and after kill -9. */
export async function measureCost(
  cluster: Cluster,
  templates: readonly SendTemplate[],
  context: Context,
): Promise<Figures> {
  const [id = ''] = cluster.ids
  const load = { address: cluster.addressOf(id), templates, connections: CONNECTIONS }
  const { seconds } = context
  const sent = await sendLoad({ ...load, window: WINDOW, warmupSeconds: 0, seconds })
  const resident = residentBytes(cluster.pidOf(id))
  return {
    acknowledgedPerSecond: sent.acknowledgedPerSecond,
    p50Ms: sent.latency.p50Ms,
    p99Ms: sent.latency.p99Ms,
    residentBytes: resident,
    cleanStartMs: await restartMs(cluster, id, 'SIGTERM'),
    killedStartMs: await restartMs(cluster, id, 'SIGKILL'),
    startedBytes: residentBytes(cluster.pidOf(id)),
  }
}

/** From the start of the process, which has the same code and store, until it serves. */
async function restartMs(
  cluster: Cluster,
  id: string,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<number> {
  await cluster.kill(id, signal)
  const startedMs = performance.now()
  await cluster.boot(id)
  const tookMs = performance.now() - startedMs
  await cluster.whole()
  return tookMs
}
