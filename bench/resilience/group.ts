/**
 * The group under measurement: three brokers and a name server as processes of their own, with the
 * shipped defaults, on free ports, in a directory that goes away with them.
 */
import { Cluster } from '../../test/harness/cluster.ts'
import { eventually } from '../../test/harness/eventually.ts'
import { queueEnds } from '../../test/load/audit.ts'

export const TOPIC = 'Resilience'
const START_ATTEMPTS = 5

export interface GroupOptions {
  readonly nodes: 1 | 3
  /** Lines for every broker.conf. */
  readonly settings: Readonly<Record<string, string>>
  readonly queues: number
}

export function withGroup<T>(
  settings: Readonly<Record<string, string>>,
  run: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  return withBrokers({ nodes: 3, settings, queues: 4 }, run)
}

/** Runs with a group of its own; the end of its logs is shown when that fails. */
export async function withBrokers<T>(
  options: GroupOptions,
  run: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = await startGroup(options)
  try {
    return await run(cluster)
  } catch (error) {
    process.stderr.write(`\n${cluster.logs()}`)
    throw error
  } finally {
    await cluster.stop()
  }
}

export async function startGroup({ nodes, settings, queues }: GroupOptions): Promise<Cluster> {
  for (let attempt = 1; ; attempt++) {
    try {
      const cluster = await Cluster.start({ nodes, settings })
      await cluster.createTopic(TOPIC, queues)
      return cluster
    } catch (error) {
      // Another program may take a port between the look at it and the start of a broker.
      const portTaken = error instanceof Error && error.message.includes('is in use by')
      if (!portTaken || attempt === START_ATTEMPTS) throw error
    }
  }
}

export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs)
  })
}

/** @throws Error when it takes longer: whatever was to come will not come. */
export async function within<T>(limitMs: number, what: string, coming: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${limitMs} ms`)), limitMs)
  })
  try {
    return await Promise.race([coming, limit])
  } finally {
    clearTimeout(timer)
  }
}

export function addresses(cluster: Cluster): string[] {
  return cluster.ids.map((id) => cluster.addressOf(id))
}

export function idOf(cluster: Cluster, address: string): string {
  const id = cluster.ids.find((candidate) => cluster.addressOf(candidate) === address)
  if (id === undefined) throw new Error(`${address} is no broker of the group`)
  return id
}

/** Resolves when `id` has everything that the node at `leaderAddress` has now. */
export async function caughtUp(
  cluster: Cluster,
  id: string,
  leaderAddress: string,
  limitMs: number,
): Promise<void> {
  const wanted = await queueEnds(leaderAddress, TOPIC)
  await eventually(
    async () => {
      const own = await queueEnds(cluster.addressOf(id), TOPIC)
      return wanted.every((end, queueId) => (own[queueId] ?? 0) >= end) ? true : undefined
    },
    { what: `${id} has caught up`, limitMs },
  )
}
