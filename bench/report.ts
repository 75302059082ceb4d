/** How measurements are shown: a table with units that fit, and the machine they hold for. */
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Measurement } from './measure.ts'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  /** Processes that wanted a core in the last minute, before the benchmark began. */
  readonly load: number
  readonly commit: string
  /** Where the files of the disk benchmarks lie. */
  readonly directory: string
}

export function machine(): Machine {
  const processors = cpus()
  return {
    processor: processors[0]?.model.trim() ?? 'unknown processor',
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? 0,
    commit: commitOfCheckout(),
    directory: tmpdir(),
  }
}

export function machineLine(of: Machine): string {
  const parts = [
    `${of.cores} × ${of.processor}`,
    `${of.memoryGib} GiB`,
    `Linux ${of.kernel}`,
    `Node ${of.node}`,
    `load ${of.load.toFixed(1)}`,
    `files in ${of.directory}`,
    of.commit,
  ]
  return parts.filter((part) => part !== '').join(' · ')
}

/** Empty outside of a checkout. */
function commitOfCheckout(): string {
  const directory = fileURLToPath(new URL('.', import.meta.url))
  try {
    const options = { cwd: directory, encoding: 'utf8', stdio: 'pipe' } as const
    return `commit ${execFileSync('git', ['rev-parse', '--short', 'HEAD'], options).trim()}`
  } catch {
    return ''
  }
}

const OPERATION_COLUMNS = 43
const NUMBER_COLUMNS = 12

export function tableHead(): string {
  return row('', ['median', 'p99', 'processor', 'ops/s', 'MB/s'])
}

export function tableRow(of: Measurement): string {
  const megabytes = of.megabytesPerSecond
  return row(`  ${of.operation}`, [
    formatTime(of.medianNs),
    formatTime(of.p99Ns),
    formatTime(of.processorNs),
    formatCount(of.operationsPerSecond),
    megabytes === undefined ? '' : formatCount(megabytes),
  ])
}

function row(name: string, cells: readonly string[]): string {
  const padded = cells.map((cell) => cell.padStart(NUMBER_COLUMNS)).join('')
  return `${name.padEnd(OPERATION_COLUMNS)}${padded}`.trimEnd()
}

/** Three digits and a unit. */
export function formatTime(nanoseconds: number): string {
  if (nanoseconds < 1e3) return `${digits(nanoseconds)} ns`
  if (nanoseconds < 1e6) return `${digits(nanoseconds / 1e3)} µs`
  return `${digits(nanoseconds / 1e6)} ms`
}

function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}

function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
