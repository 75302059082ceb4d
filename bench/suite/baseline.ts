/**
 * Ratios of an earlier run on a machine of the same kind, and the comparison with them. Only
 * ratios: rates move with whatever else the machine does, a quotient of two rates of one run
 * hardly. Invariant: a ratio that the baseline has and the run should have measured never goes
 * missing unseen.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Machine } from '../report.ts'
import type { Outcome } from './scenario.ts'

/** How far a ratio may fall. */
export const MAX_FALL = 0.15

export interface Baseline {
  readonly machine: Machine
  readonly startedAt: string
  /** `scenario/flush` to its ratios. */
  readonly ratios: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export interface Comparison {
  /** A line for each ratio. */
  readonly lines: readonly string[]
  /** What fell too far or is gone. */
  readonly fallen: readonly string[]
}

/** Processor and number of cores: figures of another kind are not compared. */
export function machineKind({ processor, cores }: Machine): string {
  const slug = processor.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  return `${slug.replace(/^-|-$/g, '')}-x${cores}`
}

/** `machine` stands for the file of this kind of machine. */
export function baselinePath(given: string, machine: Machine): string {
  if (given !== 'machine') return given
  return fileURLToPath(new URL(`../baselines/${machineKind(machine)}.json`, import.meta.url))
}

/**
 * @throws Error with the path and the reason when it is not there, is no baseline, or is that of
 * another kind of machine.
 */
export function readBaseline(path: string, machine: Machine): Baseline {
  let read: unknown
  try {
    read = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Error(`the baseline ${path}: ${error instanceof Error ? error.message : error}`)
  }
  if (!isBaseline(read)) throw new Error(`the baseline ${path}: it has no machine with ratios`)
  const [was, is] = [machineKind(read.machine), machineKind(machine)]
  if (was !== is) throw new Error(`the baseline ${path} is of a ${was}, this is a ${is}`)
  return read
}

/** What other entries of the file say is kept. */
export function writeBaseline(path: string, run: Baseline, before: Baseline | undefined): void {
  const ratios = { ...before?.ratios, ...run.ratios }
  const sorted = Object.fromEntries(Object.entries(ratios).sort(([a], [b]) => (a < b ? -1 : 1)))
  writeFileSync(path, `${JSON.stringify({ ...run, ratios: sorted }, null, 2)}\n`)
}

export function baselineOf(
  machine: Machine,
  startedAt: string,
  outcomes: readonly Outcome[],
): Baseline {
  const measured = outcomes.filter(({ ratios }) => Object.keys(ratios).length > 0)
  return {
    machine,
    startedAt,
    ratios: Object.fromEntries(measured.map(({ name, ratios }) => [name, ratios])),
  }
}

/** Of what has run; what has not is not compared. */
export function compare(baseline: Baseline, outcomes: readonly Outcome[]): Comparison {
  const lines: string[] = []
  const fallen: string[] = []
  for (const { name, ratios } of outcomes) {
    for (const [ratio, before] of Object.entries(baseline.ratios[name] ?? {})) {
      // A quotient by nothing is no ratio.
      const now = Number.isFinite(ratios[ratio]) ? ratios[ratio] : undefined
      const line = `${name}, ${ratio}: ${changeText(before, now)}`
      lines.push(line)
      if (now === undefined || !(now >= before * (1 - MAX_FALL))) fallen.push(line)
    }
  }
  return { lines, fallen }
}

function changeText(before: number, now: number | undefined): string {
  if (now === undefined) return `${before.toFixed(3)} before, not measured now`
  const percent = (now / before - 1) * 100
  const sign = percent < 0 ? '−' : '+'
  return `${before.toFixed(3)} before, ${now.toFixed(3)} now (${sign}${Math.abs(percent).toFixed(0)} %)`
}

function isBaseline(read: unknown): read is Baseline {
  if (typeof read !== 'object' || read === null) return false
  const { machine, ratios } = read as Partial<Baseline>
  if (typeof machine?.processor !== 'string' || typeof machine.cores !== 'number') return false
  if (typeof ratios !== 'object' || ratios === null) return false
  const values = Object.values(ratios).flatMap((of) => Object.values(of ?? {}))
  return values.every((value) => typeof value === 'number' && value > 0)
}
