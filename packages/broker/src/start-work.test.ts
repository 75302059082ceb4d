import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StartWork } from './start-work.ts'

const MB = 1_000_000

function watched(): { work: StartWork; told: string[]; said: string[]; clock: { nowMs: number } } {
  const [told, said]: [string[], string[]] = [[], []]
  const clock = { nowMs: 1000 }
  const work = new StartWork(
    (text) => told.push(text),
    (line) => said.push(line),
    () => clock.nowMs,
  )
  return { work, told, said, clock }
}

test('phase, bytes, rate and time left are told each time, and said every 5 s', () => {
  const { work, told, said, clock } = watched()
  work.progress('completes', 100 * MB, 1100 * MB)
  clock.nowMs += 2000
  work.progress('completes', 300 * MB, 1100 * MB)
  clock.nowMs += 3000
  work.progress('completes', 600 * MB, 1100 * MB)
  assert.deepEqual(told, [
    'completes: 9 %, 100 of 1100 MB',
    'completes: 27 %, 300 of 1100 MB, 100 MB/s, 8 s left',
    'completes: 54 %, 600 of 1100 MB, 100 MB/s, 5 s left',
  ])
  assert.deepEqual(said, told.slice(-1))
})

test('the rate is that of the work under way', () => {
  const { work, told, clock } = watched()
  work.progress('looks', 50 * MB, 50 * MB)
  clock.nowMs += 60_000
  work.at('waits for n1')
  work.progress('completes', 0, 10 * MB)
  clock.nowMs += 1000
  work.progress('completes', 2 * MB, 10 * MB)
  assert.deepEqual(told.slice(1), [
    'waits for n1',
    'completes: 0 %, 0.0 of 10.0 MB',
    'completes: 20 %, 2.0 of 10.0 MB, 2.0 MB/s, 4 s left',
  ])
})

test('nothing is said of a work without bytes', () => {
  const { work, told } = watched()
  work.progress('looks', 0, 0)
  assert.deepEqual(told, [])
})
