/**
 * `pnpm sim`: runs the simulation over many seeds, or one with its trace, or the check that
 * deliberate bugs are found. Exit code 0: all promises held (or all bugs were found).
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { checkMutations } from './mutation-check.ts'
import { replay, runSeeds, type SimArguments } from './seeds.ts'

const HELP = `pnpm sim [options]: whole groups of nodes in a world made from a seed

  --seeds N      seeds to run (200)
  --from S       the first of them (1)
  --seed S       one seed, with the trace of everything that happens
  --ticks T      ticks of 25 ms that a run lasts at least (10000)
  --members M    nodes in the group (1 to 5; the seed chooses)
  --jobs J       threads (as many as there are cores)
  --json         the result as JSON; with --seed without the trace
  --mutate NAME  with this deliberate bug; "all": that each one is found within its seeds
  --help

A failure says how to replay it. docs/simulation.md says what is simulated.
`

function wholeNumber(name: string, text: string, low: number, high: number): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= low && value <= high) return value
  throw new Error(`--${name} is a whole number from ${low} to ${high}, not ${text}`)
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '200' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      ticks: { type: 'string', default: '10000' },
      members: { type: 'string' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      json: { type: 'boolean', default: false },
      mutate: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return true
  }
  const options: SimArguments = {
    from: wholeNumber('from', values.seed ?? values.from, 0, 2 ** 31),
    seeds: wholeNumber('seeds', values.seeds, 1, 2 ** 31),
    ticks: wholeNumber('ticks', values.ticks, 1, 1_000_000),
    members:
      values.members === undefined ? undefined : wholeNumber('members', values.members, 1, 5),
    jobs: wholeNumber('jobs', values.jobs, 1, 256),
    json: values.json,
    mutation: values.mutate,
  }
  if (values.seed !== undefined) return replay(options)
  if (values.mutate === 'all') return checkMutations(options)
  return runSeeds(options)
}

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 2
}
