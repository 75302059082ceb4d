import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { machine } from './report.ts'
import type { Run } from './suite/page.ts'

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-test-'))
after(() => rmSync(directory, { recursive: true }))

interface Result {
  code: number
  stdout: string
  stderr: string
}

function run(...args: string[]): Promise<Result> {
  const env = { ...process.env, TMPDIR: directory }
  return new Promise((resolve) => {
    execFile(process.execPath, [RUN, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
  })
}

const RATIO = 'sent beside 5 that read all by without'

test('a scenario runs over real brokers, falls behind a baseline, and leaves nothing', async () => {
  const [json, html] = [join(directory, 'figures.json'), join(directory, 'report.html')]
  const baseline = join(directory, 'baseline.json')
  const ratios = { 'scenario/tailing': { [RATIO]: 1_000_000 } }
  writeFileSync(baseline, JSON.stringify({ machine: machine(), startedAt: 'then', ratios }))
  const files = ['--json', json, '--html', html, '--baseline', baseline]
  const { code, stdout, stderr } = await run('scenario', 'tailing', '--quick', ...files)
  assert.equal(code, 1, stdout + stderr)
  assert.match(stdout, new RegExp(`FELL by more than 15 %: scenario/tailing, ${RATIO}`))
  const { outcomes, failed } = JSON.parse(readFileSync(json, 'utf8')) as Run
  assert.deepEqual(failed, [], stdout + stderr)
  const [outcome] = outcomes
  assert.deepEqual(
    outcome?.points.map(({ label }) => label),
    [
      'no consumers',
      'a group of 5',
      'a group of 5, 60 % sent',
      '5 that read all',
      '5 that read all, 60 % sent',
    ],
  )
  for (const { figures } of outcome?.points ?? []) {
    assert.ok(figures.acknowledgedPerSecond! > 0)
    assert.ok(figures.p99Ms! >= figures.p50Ms!)
    assert.equal(figures.failed, 0)
  }
  for (const { figures } of outcome?.points.slice(1) ?? []) assert.ok(figures.readPerSecond! > 0)
  assert.match(readFileSync(html, 'utf8'), /<polyline/)
  const kept = ['baseline.json', 'figures.json', 'node-compile-cache', 'report.html']
  assert.deepEqual(
    readdirSync(directory).filter((name) => !kept.includes(name)),
    [],
  )
})

test('a baseline that is not there is said before anything is measured', async () => {
  const { code, stdout, stderr } = await run('scenario', '--baseline', join(directory, 'none'))
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /the baseline .*none: ENOENT/)
})
