import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { occurrences } from './mutate.ts'
import { MUTATIONS } from './mutations.ts'
import { settingsOf } from './settings.ts'
import { type RunResult, SimMemory, World } from './world.ts'

const RUN = new URL('./run.ts', import.meta.url).pathname
const TICKS = 3000
const run = promisify(execFile)

function resultOf(seed: number, memory: SimMemory): Promise<RunResult> {
  return new World(settingsOf(seed, TICKS), memory).run()
}

test('the same seed gives the same run, after other runs too', async () => {
  const memory = new SimMemory()
  const first = await resultOf(7, memory)
  const other = await resultOf(8, memory)
  const second = await resultOf(7, memory)
  assert.deepEqual(second, first)
  assert.notEqual(other.digest, first.digest)
  assert.equal(first.failure, '')
})

test('the same seed gives the same run in another process', async () => {
  const here = await resultOf(11, new SimMemory())
  const args = [RUN, '--seed', '11', '--ticks', String(TICKS), '--json']
  const { stdout } = await run(process.execPath, args)
  assert.deepEqual(JSON.parse(stdout), here)
})

test('a failure names its seed and the command that repeats it exactly', async () => {
  const mutated = ['--mutate', 'no-check-quorum', '--ticks', '10000']
  const many = [RUN, '--seeds', '3', '--jobs', '1', ...mutated]
  const failed = await run(process.execPath, many).catch((error) => error)
  assert.equal(failed.code, 1)
  const [, seed, tick] = /FAILED seed (\d+) at tick (\d+): /.exec(failed.stdout) ?? []
  const replay = `replay: pnpm sim --seed ${seed} --ticks 10000 --mutate no-check-quorum`
  assert.ok(failed.stdout.includes(replay), failed.stdout)
  const one = [RUN, '--seed', String(seed), '--json', ...mutated]
  const again = await run(process.execPath, one).catch((error) => error)
  assert.equal(again.code, 1)
  const result = JSON.parse(again.stdout)
  assert.equal(result.tick, Number(tick))
  assert.ok(failed.stdout.includes(result.failure.split('\n', 1)[0]))
})

test('the text that each mutation replaces is there exactly once', () => {
  assert.ok(MUTATIONS.length >= 12)
  for (const mutation of MUTATIONS) {
    assert.equal(occurrences(mutation), 1, `${mutation.name} in ${mutation.file}`)
  }
})
