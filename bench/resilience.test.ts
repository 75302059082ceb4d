import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Acknowledgements, quantiles } from './resilience/gaps.ts'
import { gapReport } from './resilience/outcome.ts'

const RUN = fileURLToPath(new URL('./resilience.ts', import.meta.url))

interface Result {
  code: number
  stdout: string
  stderr: string
}

function run(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    execFile(process.execPath, [RUN, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
  })
}

test('--help names what can be measured and every option', async () => {
  const { code, stdout } = await run('--help')
  assert.equal(code, 0)
  for (const word of ['failover', 'transfer', 'catch-up', '--times', '--gigabytes', '--json']) {
    assert.ok(stdout.includes(word), word)
  }
})

test('arguments that are wrong end with 2 and the way to the usage', async () => {
  for (const args of [[], ['nonsense'], ['failover', '--times', '0'], ['transfer', '--what']]) {
    const { code, stderr } = await run(...args)
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, /The usage is shown by --help/)
  }
})

test('of a hundred values one may be above the 99th percentile', () => {
  const values = Array.from({ length: 100 }, (_, at) => at + 1)
  assert.deepEqual(quantiles(values), { count: 100, p50: 50, p90: 90, p99: 99, max: 100 })
  assert.deepEqual(quantiles([7]), { count: 1, p50: 7, p90: 7, p99: 7, max: 7 })
})

test('the gap of an event is the longest that ended after it, also when it began before', async () => {
  const acknowledgements = new Acknowledgements()
  const three = acknowledgements.more(3)
  for (const nowMs of [10, 12, 40]) acknowledgements.add(nowMs)
  await three
  assert.equal(acknowledgements.takeLongestMs(), 28)
  for (const nowMs of [90, 91, 101]) acknowledgements.add(nowMs)
  assert.equal(acknowledgements.takeLongestMs(), 50)
  assert.equal(acknowledgements.takeLongestMs(), 0)
})

test('a bar that is missed, and an error that ends a send for good, are said', () => {
  const errors = new Map([
    ['code 14 service not available now', 3],
    ['code 2 busy', 1],
  ])
  const gaps = { gaps: [10, 20, 300], quiet: [1, 2, 3], errors, acknowledged: 100 }
  const { missed, text } = gapReport(gaps, { p50: 50, p99: 100 })
  assert.deepEqual(missed, ['p99 is 300.0 ms, the bar is 100 ms', '1 × code 2 busy'])
  assert.match(text, /at the event +20\.0 +300\.0 +300\.0 +300\.0/)
})
