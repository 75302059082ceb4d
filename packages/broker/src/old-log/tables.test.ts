import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StateRecord } from '../state/records.ts'
import { ReplicatedState } from '../state/replicated-state.ts'
import { recordsOf } from './tables.ts'

const topic = (name: string, queues: number): string =>
  `"${name}":{"topicName":"${name}","readQueueNums":${queues},"writeQueueNums":${queues},"perm":6}`
const version = (counter: number): string =>
  `"dataVersion":{"counter":${counter},"timestamp":${counter * 1000}}`
const master = {
  'topics.json': `{${version(9)},"topicConfigTable":{${topic('A', 8)},${topic('B', 4)}}}`,
  'consumerOffset.json': '{"offsetTable":{"A@G":{0:15,1:13}}}',
  'delayOffset.json': '{"offsetTable":{1:5,2:3}}',
}
const slave = {
  'topics.json': `{${version(7)},"topicConfigTable":{${topic('A', 2)},${topic('C', 1)}}}`,
  'consumerOffset.json': '{"offsetTable":{"A@G":{0:11,1:14},"C@G":{0:1}}}',
  'delayOffset.json': '{"offsetTable":{1:6}}',
}

function apply(state: ReplicatedState, records: readonly StateRecord[]): void {
  for (const [at, record] of records.entries()) state.apply(record, at, at + 1)
}

/** As a member that had `own` of its own and applied the records. */
function applied(members: Record<string, string>[]): ReplicatedState {
  const state = new ReplicatedState({ offsets: [['Old', 'G', 0, 1]] })
  apply(state, recordsOf(members))
  return state
}

for (const [title, members] of [
  ['the newest word counts, and the furthest offset', [master, slave]],
  ['the order of members changes nothing', [slave, master, {}]],
] as const) {
  test(title, () => {
    const state = applied([...members])
    assert.deepEqual([...state.topics.keys()].sort(), ['A', 'B', 'C'])
    assert.equal(state.topics.get('A')?.readQueueNums, 8)
    assert.equal(state.offset('A', 'G', 0), 15)
    assert.equal(state.offset('A', 'G', 1), 14)
    assert.equal(state.offset('C', 'G', 0), 1)
    assert.equal(state.delayOffset(1), 6)
    assert.equal(state.delayOffset(2), 3)
    assert.equal(state.offset('Old', 'G', 0), -1, "a member's own tables are replaced")
    assert.equal(state.takenOver, true)
  })
}

test('a take-over that was begun twice ends as if it had been begun once', () => {
  const records = recordsOf([master])
  const state = new ReplicatedState()
  const sequence = [...records.slice(0, 3), ...records]
  apply(state, sequence)
  assert.equal(state.offset('A', 'G', 0), 15)
  state.apply({ kind: 'offsets', entries: [['A', 'G', 0, 99]] }, 100, 101)
  state.apply({ kind: 'takeOver', step: 'begin' }, 101, 102)
  assert.equal(state.offset('A', 'G', 0), 99, 'once it has ended it never begins again')
})
