import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Machine } from './report.ts'
import { readArguments, UsageError } from './suite/arguments.ts'
import { axisOf } from './suite/axis.ts'
import {
  baselineOf,
  baselinePath,
  compare,
  machineKind,
  readBaseline,
  writeBaseline,
} from './suite/baseline.ts'
import { choose, type Entry } from './suite/catalogue.ts'
import { figureText, figureTitle, pointHead, pointRow, sameTable } from './suite/figures-table.ts'
import { page, type Run } from './suite/page.ts'
import { plotSvg } from './suite/plot-svg.ts'
import type { Outcome, Point } from './suite/scenario.ts'

const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-test-'))
after(() => rmSync(directory, { recursive: true }))

const MACHINE: Machine = {
  processor: 'ACME Fast(R) CPU @ 2.0GHz',
  cores: 4,
  memoryGib: 8,
  kernel: '6.1',
  node: 'v26.0.0',
  load: 0,
  commit: '',
  directory: '/tmp',
}

function outcome(ratios: Record<string, number>, points: readonly Point[] = []): Outcome {
  const plots = [{ title: 'Latency', x: 'rate', figures: ['p99Ms'] }]
  return { name: 'scenario/flush', title: 'flushes <and> waits', plots, points, ratios }
}

const POINTS: readonly Point[] = [
  { group: 'ours', at: 10, label: 'ten', figures: { p99Ms: 1.5, failed: 0 } },
  { group: 'ours', at: 20, label: 'twenty', figures: { p99Ms: Number.NaN, failed: 2 } },
  { group: 'theirs', at: 10, label: 'ten', figures: { p99Ms: 15, failed: 0 } },
]

test('a ratio that falls by more than 15 % is named, one that falls less or rises is not', () => {
  const before = baselineOf(MACHINE, 'then', [outcome({ a: 2, b: 2, c: 2 })])
  const { lines, fallen } = compare(before, [outcome({ a: 1.69, b: 1.71, c: 9 })])
  assert.equal(lines.length, 3)
  assert.deepEqual(fallen, ['scenario/flush, a: 2.000 before, 1.690 now (−16 %)'])
})

test('a ratio that is gone or no number has fallen; what did not run or is new has not', () => {
  const before = baselineOf(MACHINE, 'then', [outcome({ a: 2, b: 2 })])
  const { fallen } = compare(before, [outcome({ b: Number.NaN, added: 1 })])
  const infinite = outcome({ a: Number.POSITIVE_INFINITY, b: 2 })
  assert.equal(compare(before, [infinite]).fallen.length, 1)
  assert.equal(fallen.length, 2)
  for (const line of fallen) assert.match(line, /not measured now/)
  assert.deepEqual(compare(before, []).fallen, [])
})

test('a ratio never falls against itself, and always when it is a fifth less', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (ratio) => {
      const before = baselineOf(MACHINE, 'then', [outcome({ a: ratio })])
      assert.deepEqual(compare(before, [outcome({ a: ratio })]).fallen, [])
      assert.equal(compare(before, [outcome({ a: ratio * 0.8 })]).fallen.length, 1)
    }),
  )
})

test('a baseline is kept by kind of machine, and keeps what another run said', () => {
  assert.equal(machineKind(MACHINE), 'acme-fast-r-cpu-2-0ghz-x4')
  assert.match(
    baselinePath('machine', MACHINE),
    /bench\/baselines\/acme-fast-r-cpu-2-0ghz-x4.json$/,
  )
  const path = baselinePath(join(directory, 'kept.json'), MACHINE)
  const first = baselineOf(MACHINE, 'then', [outcome({ a: 2 })])
  writeBaseline(path, first, undefined)
  const other = { ...outcome({ b: 3 }), name: 'peers/apache' }
  writeBaseline(path, baselineOf(MACHINE, 'now', [other]), readBaseline(path, MACHINE))
  const { ratios, startedAt } = readBaseline(path, MACHINE)
  assert.deepEqual(ratios, { 'peers/apache': { b: 3 }, 'scenario/flush': { a: 2 } })
  assert.equal(startedAt, 'now')
})

test('a file that is no baseline, or one of another machine, is refused with its path', () => {
  const path = join(directory, 'bad.json')
  const good = { machine: MACHINE, startedAt: '', ratios: { x: { a: 1 } } }
  for (const content of [
    '',
    '{}',
    '{"machine":{"processor":"x","cores":1},"ratios":{"x":{"a":-1}}}',
  ]) {
    writeFileSync(path, content)
    assert.throws(() => readBaseline(path, MACHINE), /bad\.json/)
  }
  writeFileSync(path, JSON.stringify(good))
  assert.doesNotThrow(() => readBaseline(path, MACHINE))
  assert.throws(() => readBaseline(path, { ...MACHINE, cores: 8 }), /is of a acme.*-x4.*-x8/)
})

test('kinds, whole names and names after their kind choose; unknown ones say what there is', () => {
  const entries: Entry[] = ['micro/rings', 'scenario/rates', 'scenario/sizes', 'peers/nats'].map(
    (name) => ({ name, kind: name.split('/')[0] as Entry['kind'], url: '' }),
  )
  const chosen = (...names: string[]): string[] => choose(entries, names).map(({ name }) => name)
  assert.deepEqual(chosen(), ['micro/rings', 'scenario/rates', 'scenario/sizes'])
  assert.deepEqual(chosen('scenario'), ['scenario/rates', 'scenario/sizes'])
  assert.deepEqual(chosen('scenario', 'sizes'), ['scenario/sizes'])
  assert.deepEqual(chosen('peers', 'micro/rings'), ['micro/rings', 'peers/nats'])
  assert.throws(() => chosen('scenario', 'speed'), /scenario\/speed; there are micro\/rings, /)
})

test('options that are no numbers are refused', () => {
  assert.throws(() => readArguments(['--seconds', '0']), UsageError)
  assert.throws(() => readArguments(['--rounds', 'many']), /--rounds many: a number from 1 up/)
  assert.equal(readArguments(['scenario', '--seconds', '2']).effort.seconds, 2)
  assert.equal(readArguments(['scenario', '--quick']).effort.quick, true)
})

test('the unit of a figure is read off its name', () => {
  assert.equal(figureTitle('acknowledgedPerSecond'), 'acknowledged/s')
  assert.equal(figureTitle('p999Ms'), 'p99.9 ms')
  assert.equal(figureTitle('p999At50Ms'), 'p99.9 ms at 50 %')
  assert.equal(figureTitle('residentBytes'), 'resident MiB')
  assert.equal(figureText('residentBytes', 5 * 2 ** 20), '5.00')
  assert.equal(figureText('slowestShare', 0.995), '99.5')
  assert.equal(figureText('acknowledgedPerSecond', 123_456.7), '123,457')
  assert.equal(figureText('p99Ms', Number.NaN), '–')
})

test('the columns of a table stand below their heads', () => {
  const [first, second, third] = POINTS as [Point, Point, Point]
  assert.equal(pointHead(first).length, pointRow(first).length)
  assert.ok(sameTable(first, second))
  assert.ok(!sameTable(second, third))
  assert.ok(!sameTable(undefined, first))
})

test('every value has its place on an axis, between ticks, and larger ones further on', () => {
  const values = fc.array(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), { minLength: 1 })
  fc.assert(
    fc.property(values, fc.boolean(), (all, logarithmic) => {
      const { place, ticks } = axisOf(all, logarithmic)
      const places = all.toSorted((a, b) => a - b).map(place)
      for (const at of places) assert.ok(at >= -1e-6 && at <= 1 + 1e-6, String(at))
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      )
      assert.ok(ticks.length >= 2 && ticks.length <= 20, String(ticks))
      assert.ok(Math.abs(place(ticks[0]!)) < 1e-9)
      assert.ok(Math.abs(place(ticks.at(-1)!) - 1) < 1e-9)
    }),
  )
  assert.deepEqual(axisOf([], true).ticks, [])
})

test('a plot has a curve for each group, and leaves out what could not be measured', () => {
  const svg = plotSvg({ title: 'a < b', x: 'rate', figures: ['p99Ms'] }, POINTS)
  assert.equal(svg.match(/<polyline/g)?.length, 2)
  assert.equal(svg.match(/<circle/g)?.length, 2)
  const one = plotSvg({ title: '', x: '', figures: ['p99Ms'], group: 'theirs' }, POINTS)
  assert.equal(one.match(/<polyline/g)?.length, 1)
  assert.ok(svg.includes('a &lt; b'))
  assert.ok(!svg.includes('NaN'))
})

test('the report shows every figure, says what failed, and needs nothing from elsewhere', () => {
  const run: Run = {
    startedAt: '2026-01-01',
    quick: true,
    machine: MACHINE,
    measurements: [],
    outcomes: [outcome({ a: 0.5 }, POINTS)],
    failed: ['scenario/rates'],
  }
  const html = page(run, { lines: ['x held'], fallen: ['y & z fell'] })
  for (const text of ['ACME Fast(R)', 'twenty', '1.50', '15.0', '0.500', 'y &amp; z fell']) {
    assert.ok(html.includes(text), text)
  }
  assert.match(html, /scenario\/rates could not be measured/)
  assert.match(html, /flushes &lt;and&gt; waits/)
  assert.match(html, /these figures mean nothing/)
  const elsewhere = html
    .replaceAll('http://www.w3.org/2000/svg', '')
    .match(/(src|href)=|https?:|url\(/)
  assert.equal(elsewhere, null)
})

test('what is written as a baseline is sorted, so that changes of the file are small', () => {
  const path = join(directory, 'sorted.json')
  const outcomes = ['z', 'a'].map((name) => ({ ...outcome({ r: 1 }), name }))
  writeBaseline(path, baselineOf(MACHINE, 'now', outcomes), undefined)
  assert.match(readFileSync(path, 'utf8'), /"a"[\s\S]*"z"/)
})
