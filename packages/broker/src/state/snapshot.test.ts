/**
 * Snapshots in the log: made while the tables change, and taken by a member that lacks the rest.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultGroupConfig, defaultTopicConfig } from './configs.ts'
import { decodeStateRecord, type StateRecord } from './records.ts'
import { ReplicatedState } from './replicated-state.ts'
import { type SnapshotPart, SnapshotTracker, snapshotParts } from './snapshot.ts'

const name = fc.constantFrom('A', 'B', 'C', '%RETRY%g')
const count = fc.nat(1000)
const record: fc.Arbitrary<StateRecord> = fc.oneof(
  fc.record({ kind: fc.constant('topic' as const), config: name.map((topic) => big(topic)) }),
  fc.record({ kind: fc.constant('deleteTopic' as const), topic: name }),
  fc.record({ kind: fc.constant('group' as const), config: name.map(defaultGroupConfig) }),
  fc.record({
    kind: fc.constant('deleteGroup' as const),
    group: name,
    cleanOffset: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('offsets' as const),
    entries: fc.array(fc.tuple(name, name, fc.nat(3), count), { maxLength: 9 }),
  }),
  fc.record({
    kind: fc.constant('delay' as const),
    entries: fc.array(fc.tuple(fc.integer({ min: 1, max: 18 }), count), { maxLength: 4 }),
  }),
)

/** Two of these fill a part. */
function big(topicName: string): ReturnType<typeof defaultTopicConfig> {
  const attributes = Object.fromEntries(
    Array.from({ length: 12 }, (_, at) => [`a${at}`, 'x'.repeat(3000)]),
  )
  return { ...defaultTopicConfig(topicName), attributes }
}

/** A log of records by itself: entry n is at position n. */
class Records {
  readonly all: StateRecord[] = []
  readonly leader: ReplicatedState = new ReplicatedState()

  /** Through text, as in the log. */
  write(written: StateRecord): void {
    const position = this.all.length
    this.all.push(decodeStateRecord(JSON.stringify(written)))
    this.leader.apply(this.all[position]!, position, position + 1)
  }
}

function tablesOf(state: ReplicatedState): unknown {
  const { topics, groups, offsets, delayOffsets } = state.content()
  const sorted = (rows: Iterable<unknown>) => [...rows].map((row) => JSON.stringify(row)).sort()
  return [sorted(topics), sorted(groups), sorted(offsets), sorted(delayOffsets)]
}

/** As a member that has lost everything below `position`. */
function taken(log: Records, position: number): ReplicatedState {
  const state = new ReplicatedState()
  state.beginAnew(position)
  for (const part of log.all.slice(position)) {
    if (part.kind === 'snapshot' && part.position === position) state.takeRows(part)
  }
  for (const [at, next] of log.all.entries()) state.apply(next, at, at + 1)
  return state
}

test('a snapshot made while the tables change gives the same tables as all records', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 20 }),
      fc.array(fc.array(record, { maxLength: 4 }), { maxLength: 6 }),
      fc.array(record, { maxLength: 9 }),
      (before, between, after) => {
        const log = new Records()
        for (const one of before) log.write(one)
        const position = log.all.length
        const rows = snapshotParts({ position, term: 3 }, log.leader.content(), [])
        for (const part of rows) {
          for (const one of between.shift() ?? []) log.write(one)
          log.write(part)
        }
        assert.equal(log.leader.snapshotPosition, position)
        for (const one of after) log.write(one)
        const member = taken(log, position)
        assert.deepEqual(tablesOf(member), tablesOf(log.leader))
        assert.equal(member.snapshotPosition, position)
      },
    ),
    { numRuns: 60 },
  )
})

test('a long table takes several parts, and its queues come along', () => {
  const state = new ReplicatedState()
  const names = Array.from({ length: 9 }, (_, at) => `T${at}`)
  for (const [at, topic] of names.entries()) {
    state.apply({ kind: 'topic', config: big(topic) }, at, at + 1)
  }
  const queues = names.map((topic): [string, number, number] => [topic, 1, 77])
  const parts = [...snapshotParts({ position: 9, term: 1 }, state.content(), queues)]
  assert.ok(parts.length > 3, `${parts.length} parts`)
  assert.deepEqual(
    parts.flatMap((part) => part.topics ?? []).map(({ topicName }) => topicName),
    names,
  )
  assert.deepEqual(
    parts.flatMap((part) => part.queues ?? []),
    queues,
  )
  assert.deepEqual(
    parts.map(({ isLast }) => isLast),
    parts.map((_, at) => at === parts.length - 1),
  )
})

test('only a whole run of parts of one leader counts', () => {
  const versions = emptyVersions()
  const part = (position: number, number: number, isLast: boolean, term = 1): SnapshotPart => {
    return { kind: 'snapshot', position, part: number, isLast, term, versions }
  }
  const seen = (...parts: SnapshotPart[]): number[] => {
    const tracker = new SnapshotTracker()
    return parts.map((one) => tracker.see(one))
  }
  assert.deepEqual(seen(part(7, 0, true)), [7])
  assert.deepEqual(seen(part(7, 0, false), part(7, 1, true)), [-1, 7])
  assert.deepEqual(seen(part(7, 0, false), part(7, 2, true)), [-1, -1], 'one is missing')
  assert.deepEqual(seen(part(7, 1, true)), [-1], 'the first is missing')
  assert.deepEqual(seen(part(7, 0, false), part(8, 1, true)), [-1, -1], 'of another snapshot')
  assert.deepEqual(seen(part(7, 0, false), part(7, 1, true, 2)), [-1, -1], 'of another leader')
  assert.deepEqual(
    seen(part(7, 0, false), part(9, 0, false, 2), part(7, 1, true), part(9, 1, true, 2)),
    [-1, -1, -1, -1],
    'a part of a deposed leader that comes in between',
  )
})

test('a part that is no part is refused with the reason', () => {
  const good = { kind: 'snapshot', position: 1, part: 0, isLast: true, term: 1, versions: {} }
  assert.equal(decodeStateRecord(JSON.stringify(good)).kind, 'snapshot')
  const wrong: [object, RegExp][] = [
    [{ position: -1 }, /position, part and term/],
    [{ versions: 3 }, /versions/],
    [{ topics: 3 }, /topics: no list/],
    [{ topics: [{}] }, /topics: a topic has a name/],
    [{ offsets: [['A', 'g', 1]] }, /offsets: a row is/],
    [{ queues: [['A', 1, -2]] }, /queues: a row is/],
    [{ delay: [[1, 2, 3]] }, /delay: a row is/],
  ]
  for (const [change, reason] of wrong) {
    const text = JSON.stringify({ ...good, ...change })
    assert.throws(() => decodeStateRecord(text), { code: 'CORRUPT', message: reason }, text)
  }
})

function emptyVersions(): SnapshotPart['versions'] {
  const version = { stateVersion: 0, counter: 0, timestamp: 0 }
  return { topics: version, groups: version, offsets: version, delay: version }
}
