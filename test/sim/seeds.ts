/** Runs of many seeds, or of one with its trace, and what is said about them. */
import { addCounts, type Counts, noCounts } from './counts.ts'
import { runJobs, type SeedFailure } from './jobs.ts'
import { mutate, mutationNamed } from './mutate.ts'

export interface SimArguments {
  readonly from: number
  readonly seeds: number
  readonly ticks: number
  readonly members: number | undefined
  readonly jobs: number
  readonly json: boolean
  readonly mutation: string
}

const TICK_MS = 25
const RANGE_SEEDS = 10
const PROGRESS_MS = 2000
/** Enough to see whether they are one bug or several. */
const MAX_FAILURES = 10

/** The command that runs this one seed again, with its trace. */
export function replayCommand(options: SimArguments, seed: number): string {
  const parts = [`pnpm sim --seed ${seed} --ticks ${options.ticks}`]
  if (options.members !== undefined) parts.push(`--members ${options.members}`)
  if (options.mutation !== '') parts.push(`--mutate ${options.mutation}`)
  return parts.join(' ')
}

/** One seed, here and now. True if all promises held. */
export async function replay(options: SimArguments): Promise<boolean> {
  if (options.mutation !== '') mutate(mutationNamed(options.mutation))
  const { settingsOf } = await import('./settings.ts')
  const { SimMemory, World } = await import('./world.ts')
  const settings = settingsOf(options.from, options.ticks, options.members)
  const print = (line: string): void => {
    process.stdout.write(`${line}\n`)
  }
  const world = new World(settings, new SimMemory(), options.json ? undefined : print)
  if (!options.json) print(JSON.stringify(settings))
  const result = await world.run()
  if (options.json) print(JSON.stringify(result))
  else {
    print(summary(result.counts))
    print(`digest ${result.digest}, ${result.tick} ticks`)
    if (result.failure !== '') print(`FAILED at tick ${result.tick}: ${result.failure}`)
  }
  return result.failure === ''
}

/** Many seeds on several threads. True if all promises held in all of them. */
export async function runSeeds(options: SimArguments): Promise<boolean> {
  const startMs = performance.now()
  const counts = noCounts()
  const failures: SeedFailure[] = []
  let saidMs = startMs
  await runJobs({
    ...options,
    rangeSeeds: Math.max(1, Math.min(RANGE_SEEDS, Math.ceil(options.seeds / options.jobs / 4))),
    onReport: (report) => {
      addCounts(counts, report.counts)
      for (const failure of report.failures) {
        failures.push(failure)
        if (failures.length <= MAX_FAILURES && !options.json) sayFailure(options, failure)
      }
      const nowMs = performance.now()
      if (nowMs - saidMs >= PROGRESS_MS && !options.json) {
        saidMs = nowMs
        process.stderr.write(`${progress(options, counts, nowMs - startMs)}\n`)
      }
      return failures.length < MAX_FAILURES
    },
  })
  const seconds = (performance.now() - startMs) / 1000
  const hours = hoursOf(counts)
  if (options.json) {
    const rate = counts.runs / seconds
    process.stdout.write(`${JSON.stringify({ seconds, hours, rate, counts, failures })}\n`)
  } else {
    process.stdout.write(`${summary(counts)}\n`)
    process.stdout.write(
      `${counts.runs} seeds, ${hours.toFixed(1)} simulated hours in ${seconds.toFixed(0)} s, ` +
        `${failures.length} failed\n`,
    )
  }
  return failures.length === 0
}

function sayFailure(options: SimArguments, { seed, tick, failure }: SeedFailure): void {
  process.stdout.write(`FAILED seed ${seed} at tick ${tick}: ${failure}\n`)
  process.stdout.write(`  replay: ${replayCommand(options, seed)}\n`)
}

function hoursOf(counts: Counts): number {
  return (counts.ticks * TICK_MS) / 3_600_000
}

function progress(options: SimArguments, counts: Counts, elapsedMs: number): string {
  const rate = (counts.runs * 1000) / elapsedMs
  const left = (options.seeds - counts.runs) / rate
  return (
    `${counts.runs} of ${options.seeds} seeds, ${rate.toFixed(1)} a second, ` +
    `${hoursOf(counts).toFixed(1)} simulated hours, ${Math.ceil(left / 60)} min left`
  )
}

/** What was done, and what came of it. */
function summary(counts: Counts): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}
