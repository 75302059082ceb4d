/** Figures as text: the unit is read off the end of the name. */
import type { Point } from './scenario.ts'

interface Unit {
  readonly ending: string
  readonly text: string
  readonly show: (value: number) => string
}

const MIB = 2 ** 20
const UNITS: readonly Unit[] = [
  { ending: 'PerSecond', text: '/s', show: (value) => grouped(value) },
  { ending: 'Ms', text: ' ms', show: (value) => digits(value) },
  { ending: 'Us', text: ' µs', show: (value) => digits(value) },
  { ending: 'Seconds', text: ' s', show: (value) => digits(value) },
  { ending: 'Bytes', text: ' MiB', show: (value) => digits(value / MIB) },
  { ending: 'Share', text: ' %', show: (value) => digits(value * 100) },
]
const COUNT: Unit = { ending: '', text: '', show: (value) => grouped(value) }
const LABEL_COLUMNS = 34
const COLUMN_GAP = 2
const LEAST_COLUMNS = 9

/**
 * `p99Ms` as `p99 ms`, `sentBytes` as `sent MiB`, `p99At50Ms` (of the peak) as `p99 ms at 50 %`.
 */
export function figureTitle(name: string): string {
  const unit = unitOf(name)
  const bare = name.slice(0, name.length - unit.ending.length).replace(/^p999/, 'p99.9')
  const [what = '', percent] = bare.split(/At(?=\d+$)/)
  const words = what.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return `${words}${unit.text}${percent === undefined ? '' : ` at ${percent} %`}`
}

export function figureText(name: string, value: number | undefined): string {
  if (value === undefined) return ''
  return Number.isFinite(value) ? unitOf(name).show(value) : '–'
}

/** The head of a table for points like this one. */
export function pointHead(point: Point): string {
  return row(
    `  ${point.group}`,
    Object.keys(point.figures).map((name) => [name, figureTitle(name)]),
  )
}

export function pointRow({ label, figures }: Point): string {
  return row(
    `    ${label}`,
    Object.entries(figures).map(([name, value]) => [name, figureText(name, value)]),
  )
}

/** A head is wanted again when the group or the figures are others. */
export function sameTable(a: Point | undefined, b: Point): boolean {
  if (a === undefined || a.group !== b.group) return false
  return Object.keys(a.figures).join() === Object.keys(b.figures).join()
}

function row(name: string, cells: readonly (readonly [name: string, text: string])[]): string {
  const padded = cells.map(([figure, text]) => {
    const columns = Math.max(LEAST_COLUMNS, figureTitle(figure).length)
    return text.padStart(columns + COLUMN_GAP)
  })
  return `${name.padEnd(LABEL_COLUMNS)}${padded.join('')}`.trimEnd()
}

function unitOf(name: string): Unit {
  return UNITS.find(({ ending }) => name.endsWith(ending)) ?? COUNT
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** Three digits. */
function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}
