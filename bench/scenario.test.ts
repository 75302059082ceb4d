import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Run } from './suite/page.ts'

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-test-'))
after(() => rmSync(directory, { recursive: true }))

test('a scenario runs over real brokers, writes its figures and leaves nothing behind', async () => {
  const [json, html] = [join(directory, 'figures.json'), join(directory, 'report.html')]
  const args = [RUN, 'scenario', 'tailing', '--quick', '--json', json, '--html', html]
  const env = { ...process.env, TMPDIR: directory }
  const failure = await new Promise<string | undefined>((resolve) => {
    execFile(process.execPath, args, { env }, (error, stdout, stderr) =>
      resolve(error === null ? undefined : stdout + stderr),
    )
  })
  assert.equal(failure, undefined)
  const { outcomes, failed } = JSON.parse(readFileSync(json, 'utf8')) as Run
  assert.deepEqual(failed, [])
  const [outcome] = outcomes
  assert.deepEqual(
    outcome?.points.map(({ label }) => label),
    ['no consumers', '5 consumers'],
  )
  for (const { figures } of outcome?.points ?? []) {
    assert.ok(figures.acknowledgedPerSecond! > 0)
    assert.ok(figures.p99Ms! >= figures.p50Ms!)
    assert.equal(figures.failed, 0)
  }
  assert.ok((outcome?.points[1]?.figures.readPerSecond ?? 0) > 0)
  assert.match(readFileSync(html, 'utf8'), /<polyline/)
  const kept = ['figures.json', 'node-compile-cache', 'report.html']
  assert.deepEqual(
    readdirSync(directory).filter((name) => !kept.includes(name)),
    [],
  )
})
