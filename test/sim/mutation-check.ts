/** Does the simulation find what it is there to find? Each deliberate bug, within its seeds. */
import { runJobs, type SeedFailure } from './jobs.ts'
import { MUTATIONS, type Mutation } from './mutations.ts'
import type { SimArguments } from './seeds.ts'

export interface MutationResult {
  readonly name: string
  /** The first seed that failed, and how; undefined: not found. */
  readonly found: SeedFailure | undefined
}

/** True if every mutation was found. */
export async function checkMutations(options: SimArguments): Promise<boolean> {
  const waiting = [...MUTATIONS]
  const results: MutationResult[] = []
  const serve = async (): Promise<void> => {
    for (let mutation = waiting.shift(); mutation !== undefined; mutation = waiting.shift()) {
      const found = await hunt(options, mutation)
      results.push({ name: mutation.name, found })
      if (!options.json) say(mutation, found)
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, serve))
  const missed = results.filter(({ found }) => found === undefined)
  if (options.json) process.stdout.write(`${JSON.stringify(results)}\n`)
  else process.stdout.write(`${results.length - missed.length} of ${results.length} found\n`)
  return missed.length === 0
}

async function hunt(options: SimArguments, mutation: Mutation): Promise<SeedFailure | undefined> {
  let found: SeedFailure | undefined
  await runJobs({
    mutation: mutation.name,
    ticks: options.ticks,
    members: options.members,
    from: 1,
    seeds: mutation.seeds,
    jobs: 1,
    rangeSeeds: 1,
    onReport: (report) => {
      found ??= report.failures[0]
      return found === undefined
    },
  })
  return found
}

function say({ name, seeds, breaks }: Mutation, found: SeedFailure | undefined): void {
  const line =
    found === undefined
      ? `MISSED ${name} within ${seeds} seeds: ${breaks}`
      : `found ${name} at seed ${found.seed} of ${seeds}: ${found.failure.split('\n', 1)[0]}`
  process.stdout.write(`${line}\n`)
}
