/** A run as one HTML file that needs nothing else: no network, no script. */
import type { Measurement } from '../measure.ts'
import { formatTime, type Machine, machineLine } from '../report.ts'
import type { Comparison } from './baseline.ts'
import { figureText, figureTitle } from './figures-table.ts'
import { escapeText, plotSvg } from './plot-svg.ts'
import type { Outcome, Point } from './scenario.ts'

export interface Run {
  readonly startedAt: string
  readonly quick: boolean
  readonly machine: Machine
  readonly measurements: readonly Measurement[]
  readonly outcomes: readonly Outcome[]
  /** Names of what could not be measured. */
  readonly failed: readonly string[]
}

const STYLE = `
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1320px; padding: 0 1em }
table { border-collapse: collapse; margin: 0.6em 0 1.4em }
th, td { padding: 0.15em 0.8em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
.plots { display: flex; flex-wrap: wrap; gap: 1em }
svg { width: 620px; font: 12px system-ui, sans-serif }
svg .title { font-weight: bold }
svg .axis { fill: none; stroke: #333 }
svg .grid { stroke: #e4e4e4 }
.bad { color: #b00020 }
`

export function page(run: Run, comparison: Comparison | undefined): string {
  const parts = [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><title>RingLedger benchmarks</title>',
    `<style>${STYLE}</style></head><body>`,
    '<h1>RingLedger benchmarks</h1>',
    `<p>${escapeText(run.startedAt)}<br>${escapeText(machineLine(run.machine))}</p>`,
  ]
  if (run.quick) parts.push('<p class="bad">Quick run: these figures mean nothing.</p>')
  for (const name of run.failed) {
    parts.push(`<p class="bad">${escapeText(name)} could not be measured.</p>`)
  }
  if (comparison !== undefined) parts.push(comparisonPart(comparison))
  parts.push(...run.outcomes.map(outcomePart))
  if (run.measurements.length > 0) parts.push(measurementsPart(run.measurements))
  parts.push('</body></html>', '')
  return parts.join('\n')
}

function comparisonPart({ lines, fallen }: Comparison): string {
  const marked = new Set(fallen)
  const items = [...new Set([...fallen, ...lines])].map((line) => {
    return `<li${marked.has(line) ? ' class="bad"' : ''}>${escapeText(line)}</li>`
  })
  return `<h2>Against the baseline</h2>\n<ul>\n${items.join('\n')}\n</ul>`
}

function outcomePart({ name, title, plots, points, ratios }: Outcome): string {
  const tables = [...tablesOf(points).values()].map(pointTable)
  const drawn = plots.map((plot) => plotSvg(plot, points))
  const quotients = Object.entries(ratios).map(([ratio, value]) => [ratio, value.toFixed(3)])
  return [
    `<h2>${escapeText(name)}</h2>`,
    `<p>${escapeText(title)}</p>`,
    drawn.length > 0 ? `<div class="plots">\n${drawn.join('\n')}\n</div>` : '',
    ...tables,
    quotients.length > 0 ? table(['ratio, higher is better', ''], quotients) : '',
  ].join('\n')
}

/** Points with the same group and figures stand in one table. */
function tablesOf(points: readonly Point[]): Map<string, Point[]> {
  return Map.groupBy(points, ({ group, figures }) => `${group} ${Object.keys(figures).join()}`)
}

function pointTable(points: readonly Point[]): string {
  const [first] = points
  if (first === undefined) return ''
  const names = Object.keys(first.figures)
  const rows = points.map(({ label, figures }) => {
    return [label, ...names.map((name) => figureText(name, figures[name]))]
  })
  return table([first.group, ...names.map(figureTitle)], rows)
}

function measurementsPart(measurements: readonly Measurement[]): string {
  const rows = measurements.map((of) => [
    `${of.bench}: ${of.operation}`,
    formatTime(of.medianNs),
    formatTime(of.p99Ns),
    formatTime(of.processorNs),
    figureText('', of.operationsPerSecond),
    of.megabytesPerSecond === undefined ? '' : figureText('', of.megabytesPerSecond),
  ])
  const head = ['operation', 'median', 'p99', 'processor', 'ops/s', 'MB/s']
  return `<h2>micro</h2>\n${table(head, rows)}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, texts: readonly string[]): string =>
    texts.map((content) => `<${tag}>${escapeText(content)}</${tag}>`).join('')
  const lines = rows.map((row) => `<tr>${cells('td', row)}</tr>`)
  return `<table>\n<tr>${cells('th', head)}</tr>\n${lines.join('\n')}\n</table>`
}
