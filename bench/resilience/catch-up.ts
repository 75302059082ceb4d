/**
 * A follower that was down for gigabytes of log comes back while a load runs: what that costs the
 * load, how fast it catches up, what it takes of memory, and whether leadership stays.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseJsonBody, RequestCode } from '@ringledger/protocol'
import type { Cluster } from '../../test/harness/cluster.ts'
import { ask } from '../../test/harness/name-server.ts'
import { residentBytes } from '../../test/load/process-memory.ts'
import { addresses, idOf, pause, TOPIC, withGroup } from './group.ts'
import { Load } from './load.ts'
import { errorLines, type Report, type Settings, type Show } from './outcome.ts'

interface Outcome {
  /** Messages a second, all three nodes up. */
  readonly wholeRate: number
  /** The follower down, right before it comes back. */
  readonly beforeRate: number
  /** From the start of its process until it has caught up. */
  readonly duringRate: number
  /** The worst second of that. */
  readonly worstRate: number
  /** Caught up, all three nodes up again. */
  readonly afterRate: number
  /** Log written while the follower was down. */
  readonly missedBytes: number
  /** Bytes that the follower took altogether, the new ones included. */
  readonly caughtUpBytes: number
  readonly seconds: number
  readonly termsBefore: number
  readonly termsAfter: number
  readonly leaderMaxBytes: number
  readonly followerMaxBytes: number
  readonly errors: ReadonlyMap<string, number>
}

/** Issue 4: of the throughput before. */
const BAR = 0.6
const SAMPLE_MS = 1000
/** Under load a follower is always somewhat behind. */
const CAUGHT_UP_BYTES = 16 * 1024 * 1024
const LIMIT_MS = 300_000
const SETTLE_MS = 3000
/** The shipped default. */
const SEGMENT_BYTES = 1024 * 1024 * 1024

interface Sample {
  readonly rate: number
  readonly leaderBytes: number
  readonly followerBytes: number
}

export function measureCatchUp(settings: Settings, show: Show): Promise<Report> {
  const { bodyBytes, connections, window, rate, brokerSettings } = settings
  const lines = { mappedFileSizeCommitLog: String(SEGMENT_BYTES), ...brokerSettings }
  return withGroup(lines, async (cluster) => {
    const brokers = addresses(cluster)
    const load = await Load.start({ brokers, topic: TOPIC, bodyBytes, connections, window, rate })
    const outcome = await run(settings, cluster, load, show)
    await load.end()
    return report(outcome)
  })
}

async function run(settings: Settings, cluster: Cluster, load: Load, show: Show): Promise<Outcome> {
  const { baseSeconds, missedBytes } = settings
  await pause(SETTLE_MS)
  show('throughput of the whole group')
  const wholeRate = await rateOf(load, baseSeconds)
  const leader = idOf(cluster, load.leaderAddress)
  const follower = cluster.ids.find((id) => id !== leader) as string
  await cluster.kill(follower, 'SIGTERM')
  const downAt = await positionOf(load.leaderAddress)
  await until(async () => {
    const missed = (await positionOf(load.leaderAddress)) - downAt
    show(`${follower} is down, ${gigabytes(missed)} of ${gigabytes(missedBytes)} written`)
    return missed >= missedBytes
  }, SAMPLE_MS)
  show('throughput before it comes back')
  const beforeRate = await rateOf(load, baseSeconds)
  const termsBefore = await termOf(load.leaderAddress)
  const missed = (await positionOf(load.leaderAddress)) - downAt
  const startedMs = performance.now()
  const restarted = cluster.restart(follower)
  const samples = await catchUp(cluster, load, { leader, follower }, show)
  await restarted
  const seconds = (performance.now() - startedMs) / 1000
  const rates = samples.map(({ rate }) => rate)
  const caughtUpBytes = (await positionOf(cluster.addressOf(follower))) - downAt
  show('throughput of the whole group again')
  const afterRate = await rateOf(load, baseSeconds)
  return {
    wholeRate,
    beforeRate,
    duringRate: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
    worstRate: Math.min(...rates),
    afterRate,
    missedBytes: missed,
    caughtUpBytes,
    seconds,
    termsBefore,
    termsAfter: await termOf(load.leaderAddress),
    leaderMaxBytes: Math.max(...samples.map(({ leaderBytes }) => leaderBytes)),
    followerMaxBytes: Math.max(...samples.map(({ followerBytes }) => followerBytes)),
    errors: load.acknowledgements.errors,
  }
}

function report(outcome: Outcome): Report {
  const { beforeRate, duringRate, seconds, caughtUpBytes, errors } = outcome
  const share = duringRate / beforeRate
  const changes = outcome.termsAfter - outcome.termsBefore
  const lines = [
    row('throughput, messages/s: whole group', outcome.wholeRate),
    row('  follower down, before it comes back', beforeRate),
    row('  while it catches up', duringRate, `${percent(share)} of before`),
    row('  the worst second of that', outcome.worstRate),
    row('  whole group again', outcome.afterRate),
    row('missed, MB', outcome.missedBytes / 1e6),
    row('caught up in, s', seconds, `${Math.round(caughtUpBytes / seconds / 1e6)} MB/s`),
    row('changes of leader', changes),
    row('memory of the leader, MiB', outcome.leaderMaxBytes / 2 ** 20),
    row('memory of the follower, MiB', outcome.followerMaxBytes / 2 ** 20),
    '',
    'errors:',
    ...errorLines(errors),
  ]
  const missed: string[] = []
  if (share < BAR) missed.push(`throughput is ${percent(share)} of before, the bar is 60 %`)
  if (changes > 0) missed.push(`${changes} changes of leader`)
  const figures = { ...outcome, share, errors: Object.fromEntries(errors) }
  return { text: lines.join('\n'), figures, missed }
}

function row(name: string, value: number, note = ''): string {
  return `${name.padEnd(40)}${Math.round(value).toLocaleString('en-US').padStart(12)}  ${note}`
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

/** A sample a second until the follower has what the leader has. */
async function catchUp(
  cluster: Cluster,
  load: Load,
  { leader, follower }: { leader: string; follower: string },
  show: Show,
): Promise<Sample[]> {
  const samples: Sample[] = []
  await until(async () => {
    const rate = await rateOf(load, SAMPLE_MS / 1000)
    const leaderBytes = memoryOf(cluster, leader)
    samples.push({ rate, leaderBytes, followerBytes: memoryOf(cluster, follower) })
    const own = await positionOf(cluster.addressOf(follower)).catch(() => 0)
    const behind = (await positionOf(load.leaderAddress)) - own
    const files = gigabytes(directoryBytes(join(cluster.directory, follower)))
    const at = own === 0 ? 'starts' : `is ${gigabytes(behind)} behind, has ${files} on disk`
    show(`${samples.length} s: ${Math.round(rate)} messages/s, ${follower} ${at}`)
    return own > 0 && behind < CAUGHT_UP_BYTES
  }, 0)
  return samples
}

async function rateOf(load: Load, seconds: number): Promise<number> {
  const { acknowledgements } = load
  const before = acknowledgements.count
  const startedMs = performance.now()
  await pause(seconds * 1000)
  return ((acknowledgements.count - before) * 1000) / (performance.now() - startedMs)
}

/** What the node has applied of the log. */
async function positionOf(address: string): Promise<number> {
  return Number((await runtimeOf(address)).commitLogMaxOffset)
}

async function termOf(address: string): Promise<number> {
  return Number((await runtimeOf(address)).raftTerm)
}

async function runtimeOf(address: string): Promise<Record<string, string>> {
  const { body } = await ask(address, { code: RequestCode.GET_BROKER_RUNTIME_INFO })
  return (parseJsonBody(body) as { table: Record<string, string> }).table
}

function memoryOf(cluster: Cluster, id: string): number {
  try {
    return residentBytes(cluster.pidOf(id))
  } catch {
    return 0
  }
}

function directoryBytes(directory: string): number {
  let sizeBytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const { blocks } = statSync(join(entry.parentPath, entry.name))
    sizeBytes += blocks * 512
  }
  return sizeBytes
}

/** @throws Error when it does not come about. */
async function until(look: () => Promise<boolean>, pauseMs: number): Promise<void> {
  const endMs = performance.now() + LIMIT_MS
  while (!(await look())) {
    if (performance.now() > endMs) throw new Error(`not within ${LIMIT_MS / 1000} s`)
    await pause(pauseMs)
  }
}

function gigabytes(sizeBytes: number): string {
  return `${(sizeBytes / 1e9).toFixed(2)} GB`
}
