/** What a measurement takes and gives, and how gaps and errors are shown. */
import { quantiles } from './gaps.ts'

export interface LoadSettings {
  readonly bodyBytes: number
  readonly connections: number
  /** Unanswered messages of a connection. */
  readonly window: number
  /** Messages a second; 0: as many as are answered. */
  readonly rate: number
}

export interface Settings extends LoadSettings {
  /** Lines for every broker.conf. */
  readonly brokerSettings: Readonly<Record<string, string>>
  /** How often the event happens. */
  readonly times: number
  /** Log that a follower misses. */
  readonly missedBytes: number
  /** How long throughput is measured before and after. */
  readonly baseSeconds: number
}

/** Progress, a line that the next one may replace. */
export type Show = (line: string) => void

export interface Report {
  readonly text: string
  /** For `--json`. */
  readonly figures: Readonly<Record<string, unknown>>
  /** Bars that were not reached, each with its figure. */
  readonly missed: readonly string[]
}

export interface Gaps {
  /** Longest gap of each event, in milliseconds. */
  readonly gaps: readonly number[]
  /** Longest gap between two events: what the machine alone does. */
  readonly quiet: readonly number[]
  readonly errors: ReadonlyMap<string, number>
  readonly acknowledged: number
}

/** Upper limits in milliseconds. */
export type GapBars = Partial<Readonly<Record<(typeof COLUMNS)[number], number>>>

const COLUMNS = ['p50', 'p90', 'p99', 'max'] as const
/** A client may send again: another broker leads, or the one it asked is gone. */
const RETRYABLE = /^(code 14|code 1 leadership moved|connection closed|not connected)/

export function gapReport({ gaps, quiet, errors, acknowledged }: Gaps, bars: GapBars): Report {
  const found = quantiles(gaps)
  const head = `${'gap between acknowledgements, ms'.padEnd(36)}${cells(COLUMNS)}`
  const lines = [head, row('  at the event', gaps), row('  between the events', quiet)]
  lines.push('', `${acknowledged} acknowledged; errors:`, ...errorLines(errors))
  const missed = COLUMNS.filter((column) => found[column] > (bars[column] ?? Infinity)).map(
    (column) => `${column} is ${found[column].toFixed(1)} ms, the bar is ${bars[column]} ms`,
  )
  const figures = {
    gapMs: found,
    betweenEventsMs: quantiles(quiet),
    gapsMs: gaps,
    acknowledged,
    errors: Object.fromEntries(errors),
  }
  return { text: lines.join('\n'), figures, missed: [...missed, ...finalErrors(errors)] }
}

/** Errors after which a client must not simply send again. */
export function finalErrors(errors: ReadonlyMap<string, number>): string[] {
  const final = [...errors].filter(([reason]) => !RETRYABLE.test(reason))
  return final.map(([reason, count]) => `${count} × ${reason}`)
}

export function errorLines(errors: ReadonlyMap<string, number>): string[] {
  if (errors.size === 0) return ['    none']
  return [...errors].map(([reason, count]) => `${String(count).padStart(8)}  ${reason}`)
}

function row(name: string, values: readonly number[]): string {
  const found = quantiles(values)
  return `${name.padEnd(36)}${cells(COLUMNS.map((column) => found[column].toFixed(1)))}`
}

function cells(texts: readonly string[]): string {
  return texts.map((text) => text.padStart(9)).join('')
}
