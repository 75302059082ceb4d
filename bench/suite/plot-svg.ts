/** A plot as SVG text: one curve for each group and figure, axes, a legend; no script, no font. */
import { type Axis, axisOf, canShow } from './axis.ts'
import { figureTitle } from './figures-table.ts'
import type { Plot, Point } from './scenario.ts'

const WIDTH = 620
const HEIGHT = 340
const LEFT = 70
const RIGHT = 20
const TOP = 34
const BOTTOM = 44
const LEGEND_LINE = 16
/** Apart in hue and in lightness, for eyes that see few colours. */
const COLOURS: readonly string[] = [
  '#0b5fa5',
  '#d1495b',
  '#2e8b57',
  '#8d5fd3',
  '#c77d0a',
  '#555555',
]

interface Curve {
  readonly name: string
  readonly places: readonly { readonly at: number; readonly value: number }[]
}

export function plotSvg(plot: Plot, points: readonly Point[]): string {
  const curves = curvesOf(plot, points)
  const places = curves.flatMap((curve) => curve.places)
  const xAxis = axisOf(
    places.map(({ at }) => at),
    plot.logX === true,
  )
  const yAxis = axisOf(
    places.map(({ value }) => value),
    plot.logY === true,
  )
  const height = HEIGHT + curves.length * LEGEND_LINE
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escapeText(plot.title)}</title>`,
    text(LEFT, 18, plot.title, 'start', ' class="title"'),
    ...grid(xAxis, yAxis),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, plot.x, 'middle'),
    ...curves.flatMap((curve, at) => drawn(curve, at, xAxis, yAxis)),
    '</svg>',
  ].join('\n')
}

function curvesOf(plot: Plot, points: readonly Point[]): Curve[] {
  const curves: Curve[] = []
  const wanted = points.filter(({ group }) => plot.group === undefined || group === plot.group)
  for (const [group, of] of Map.groupBy(wanted, (point) => point.group)) {
    for (const figure of plot.figures) {
      const places = of
        .map(({ at, figures }) => ({ at, value: figures[figure] ?? Number.NaN }))
        .filter(({ at, value }) => {
          return canShow(at, plot.logX === true) && canShow(value, plot.logY === true)
        })
        .sort((a, b) => a.at - b.at)
      if (places.length > 0) curves.push({ name: `${group}: ${figureTitle(figure)}`, places })
    }
  }
  return curves
}

function grid(xAxis: Axis, yAxis: Axis): string[] {
  const [bottom, right] = [HEIGHT - BOTTOM, WIDTH - RIGHT]
  const lines = [`<path class="axis" d="M${LEFT} ${TOP}V${bottom}H${right}"/>`]
  for (const tick of yAxis.ticks) {
    const y = yOf(yAxis, tick)
    lines.push(`<path class="grid" d="M${LEFT} ${y}H${right}"/>`)
    lines.push(text(LEFT - 6, y + 4, tickText(tick), 'end'))
  }
  for (const tick of xAxis.ticks) {
    const x = xOf(xAxis, tick)
    lines.push(`<path class="grid" d="M${x} ${TOP}V${bottom}"/>`)
    lines.push(text(x, bottom + 16, tickText(tick), 'middle'))
  }
  return lines
}

function drawn({ name, places }: Curve, at: number, xAxis: Axis, yAxis: Axis): string[] {
  const colour = COLOURS[at % COLOURS.length] ?? '#000000'
  const dots = places.map((place) => `${xOf(xAxis, place.at)},${yOf(yAxis, place.value)}`)
  const legendY = HEIGHT + at * LEGEND_LINE
  return [
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${dots.join(' ')}"/>`,
    ...dots.map((dot) => {
      const [x, y] = dot.split(',')
      return `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`
    }),
    `<rect x="${LEFT}" y="${legendY}" width="10" height="10" fill="${colour}"/>`,
    text(LEFT + 16, legendY + 9, name, 'start'),
  ]
}

function xOf(axis: Axis, value: number): number {
  return rounded(LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT))
}

function yOf(axis: Axis, value: number): number {
  return rounded(HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM))
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function tickText(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 4 })
}

function text(x: number, y: number, content: string, anchor: string, more = ''): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${more}>${escapeText(content)}</text>`
}

export function escapeText(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
