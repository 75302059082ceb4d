/**
 * `pnpm bench`: runs benchmarks, one process for each file, so that none runs with the other's
 * compiled code or garbage. Shows each figure as it comes. Exit code 1: one failed or fell behind
 * the baseline; 2: the arguments were wrong.
 */
import { existsSync, writeFileSync } from 'node:fs'
import type { Measurement } from './measure.ts'
import { machine, machineLine, tableHead } from './report.ts'
import { type Arguments, HELP, readArguments, UsageError } from './suite/arguments.ts'
import {
  type Baseline,
  baselineOf,
  baselinePath,
  type Comparison,
  compare,
  MAX_FALL,
  readBaseline,
  writeBaseline,
} from './suite/baseline.ts'
import { catalogue, titleOf } from './suite/catalogue.ts'
import { page, type Run } from './suite/page.ts'
import { runMicro, runScenario } from './suite/run-child.ts'
import type { Outcome } from './suite/scenario.ts'

async function list(): Promise<void> {
  for (const entry of catalogue()) {
    process.stdout.write(`${entry.name.padEnd(22)} ${await titleOf(entry)}\n`)
  }
}

async function measureAll({ entries, effort }: Arguments): Promise<Run> {
  const startedAt = new Date()
  const host = machine()
  const measurements: Measurement[] = []
  const outcomes: Outcome[] = []
  const failed: string[] = []
  process.stdout.write(`${machineLine(host)}\n`)
  if (effort.quick) process.stdout.write('--quick: these figures mean nothing\n')
  let headShown = false
  for (const entry of entries) {
    if (entry.kind === 'micro') {
      if (!headShown) process.stdout.write(`\n${tableHead()}\n`)
      headShown = true
      const found = await runMicro(entry, effort.quick)
      if (found === undefined) failed.push(entry.name)
      else measurements.push(...found)
    } else {
      const outcome = await runScenario(entry, effort)
      if (outcome === undefined) failed.push(entry.name)
      else outcomes.push(outcome)
    }
  }
  const seconds = (Date.now() - startedAt.getTime()) / 1000
  const points = outcomes.reduce((sum, outcome) => sum + outcome.points.length, 0)
  const counted = `${measurements.length} operations, ${points} points of scenarios`
  process.stdout.write(`\n${counted} in ${seconds.toFixed(1)} s\n`)
  const result = { quick: effort.quick, machine: host, measurements, outcomes, failed }
  return { startedAt: startedAt.toISOString(), ...result }
}

function write({ json, html, saveBaseline }: Arguments, run: Run, compared?: Comparison): void {
  const { machine: host, startedAt, outcomes } = run
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(run, null, 2)}\n`)
  if (html !== undefined) writeFileSync(html, page(run, compared))
  if (saveBaseline === undefined) return
  const path = baselinePath(saveBaseline, host)
  const before = existsSync(path) ? readBaseline(path, host) : undefined
  writeBaseline(path, baselineOf(host, startedAt, outcomes), before)
}

function compareWith(baseline: Baseline, run: Run): Comparison {
  const comparison = compare(baseline, run.outcomes)
  process.stdout.write(`\nratios against the baseline of ${baseline.startedAt}\n`)
  for (const line of comparison.lines) process.stdout.write(`  ${line}\n`)
  for (const line of comparison.fallen) {
    process.stdout.write(`FELL by more than ${MAX_FALL * 100} %: ${line}\n`)
  }
  return comparison
}

async function main(): Promise<number> {
  const given = readArguments(process.argv.slice(2))
  if (given.help) process.stdout.write(HELP)
  else if (given.list) await list()
  else return await run(given)
  return 0
}

async function run(given: Arguments): Promise<number> {
  const baseline = baselineBefore(given)
  const result = await measureAll(given)
  const compared = baseline === undefined ? undefined : compareWith(baseline, result)
  write(given, result, compared)
  return result.failed.length > 0 || (compared?.fallen.length ?? 0) > 0 ? 1 : 0
}

/** Read first: an hour of measuring is not to end with a path that was wrong. */
function baselineBefore({ baseline, saveBaseline, effort }: Arguments): Baseline | undefined {
  if (effort.quick && saveBaseline !== undefined) {
    throw new UsageError('--save-baseline with --quick: its figures mean nothing')
  }
  if (baseline === undefined) return undefined
  try {
    const host = machine()
    return readBaseline(baselinePath(baseline, host), host)
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

// What a child has started goes when it ends, and it ends when this process is gone.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\nThe usage is shown by --help.\n`)
  process.exitCode = 2
}
