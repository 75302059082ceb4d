import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Measurement } from './measure.ts'
import { KINDS } from './suite/catalogue.ts'

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-test-'))
after(() => rmSync(directory, { recursive: true }))

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

test('--list names every benchmark with what it measures', async () => {
  const { code, stdout } = await run('--list')
  const names = KINDS.flatMap((kind) => {
    const files = readdirSync(new URL(`./${kind}/`, import.meta.url)).sort()
    const ending = /\.(bench|scenario)\.ts$/
    return files
      .filter((file) => ending.test(file))
      .map((file) => `${kind}/${file.replace(ending, '')}`)
  })
  assert.equal(code, 0)
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/)[0]),
    names,
  )
  for (const line of stdout.trimEnd().split('\n')) assert.match(line, /^\w+\/\S+ +\S+ \S+/)
})

test('all micro benchmarks check their results, and --json has every figure that was shown', async () => {
  const json = join(directory, 'figures.json')
  const { code, stdout, stderr } = await run('micro', '--quick', '--json', json)
  assert.equal(code, 0, stdout + stderr)
  const { machine, measurements, quick } = JSON.parse(readFileSync(json, 'utf8')) as {
    machine: { node: string; cores: number }
    measurements: Measurement[]
    quick: boolean
  }
  assert.equal(quick, true)
  assert.equal(machine.node, process.version)
  assert.ok(machine.cores > 0)
  assert.ok(measurements.length > 0)
  for (const figures of measurements) {
    const { operation, medianNs, p99Ns, processorNs, operationsPerSecond } = figures
    assert.ok(stdout.includes(operation), operation)
    assert.ok(medianNs > 0 && p99Ns >= medianNs && processorNs >= 0, operation)
    assert.ok(operationsPerSecond > 0, operation)
  }
})

test('one benchmark is run by its name, alone', async () => {
  const { code, stdout } = await run('micro/checksums', '--quick')
  assert.equal(code, 0, stdout)
  assert.deepEqual(stdout.match(/^micro\/.*$/gm), ['micro/checksums'])
})

test('an unknown name or option says what there is', async () => {
  const unknown = await run('micro/nothing')
  assert.equal(unknown.code, 2)
  assert.match(unknown.stderr, /no benchmark micro\/nothing; there are .*checksums/)
  const option = await run('--fast')
  assert.equal(option.code, 2)
  assert.match(option.stderr, /--fast[\s\S]*--help/)
})

test('--help tells the usage', async () => {
  const { code, stdout } = await run('--help')
  assert.equal(code, 0)
  assert.match(stdout, /usage: pnpm bench/)
})
