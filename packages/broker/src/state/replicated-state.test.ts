/** State records and tables: codec, limits, snapshots, and that applying again changes nothing. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { checkMessage, decodeMessage, MessageSysFlag, parseLenientJson } from '@ringledger/protocol'
import fc from 'fast-check'
import { defaultGroupConfig, defaultTopicConfig } from './configs.ts'
import {
  decodeStateRecord,
  encodeStateMessage,
  MAX_OFFSETS_PER_RECORD,
  STATE_TOPIC,
  type StateRecord,
} from './records.ts'
import { ReplicatedState } from './replicated-state.ts'
import { StateFiles } from './state-files.ts'

const HOST = Buffer.from([127, 0, 0, 1, 0, 0, 42, 159])

const name = fc.constantFrom('A', 'B', '%RETRY%g', '__proto__', 'constructor')
const count = fc.nat(1_000_000)
const queueId = fc.nat(3)
const record: fc.Arbitrary<StateRecord> = fc.oneof(
  fc.record({ kind: fc.constant('barrier' as const), term: count, nodeId: name }),
  fc.record({
    kind: fc.constant('topic' as const),
    config: fc.tuple(name, fc.nat(16)).map(([topic, queues]) => ({
      ...defaultTopicConfig(topic, queues),
      attributes: { 'message.type': 'FIFO' },
    })),
  }),
  fc.record({ kind: fc.constant('deleteTopic' as const), topic: name }),
  fc.record({
    kind: fc.constant('group' as const),
    config: fc
      .tuple(name, count)
      .map(([group, retryMaxTimes]) => ({ ...defaultGroupConfig(group), retryMaxTimes })),
  }),
  fc.record({
    kind: fc.constant('deleteGroup' as const),
    group: name,
    cleanOffset: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('offsets' as const),
    entries: fc.array(fc.tuple(name, name, queueId, count), { maxLength: 9 }),
  }),
  fc.record({
    kind: fc.constant('delay' as const),
    entries: fc.array(fc.tuple(fc.integer({ min: 1, max: 18 }), count), { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant('resetOffset' as const),
    topic: name,
    group: name,
    entries: fc.array(fc.tuple(queueId, count), { maxLength: 4 }),
  }),
)

function applyAll(state: ReplicatedState, records: readonly StateRecord[], from = 0): void {
  for (const [at, one] of records.entries()) {
    if (at >= from) state.apply(one, at * 100, at * 100 + 100)
  }
}

function describeState(state: ReplicatedState): object {
  const { topics, groups, offsets, delayOffsets, ...rest } = state.content()
  const withoutTime = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [
      key,
      typeof value === 'object' ? { ...value, timestamp: 0 } : value,
    ]),
  )
  const sorted = (items: Iterable<unknown>): string[] =>
    Array.from(items, (item) => JSON.stringify(item)).sort()
  return {
    ...withoutTime,
    topics: sorted(topics),
    groups: sorted(groups),
    offsets: sorted(offsets),
    delayOffsets: sorted(delayOffsets),
  }
}

/** What is in the tables; their versions count on when records are applied again. */
function tablesOf(state: ReplicatedState): unknown {
  const versions = /Version$/
  return Object.fromEntries(
    Object.entries(describeState(state)).filter(([name]) => !versions.test(name)),
  )
}

function inDirectory(use: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-state-'))
  try {
    use(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

describe('state records', () => {
  test('travel as sound messages that no queue shows', () => {
    fc.assert(
      fc.property(record, (one) => {
        const bytes = encodeStateMessage(one, HOST, 1234)
        assert.equal(checkMessage(bytes, 0, bytes.length, { verifyBodyCrc: true }), 'ok')
        const message = decodeMessage(bytes, 0)
        assert.equal(message.topic, STATE_TOPIC)
        assert.equal(message.sysFlag, MessageSysFlag.TRANSACTION_ROLLBACK_TYPE)
        assert.deepEqual(message.storeHost, HOST)
        assert.deepEqual(decodeStateRecord(message.body.toString()), { ...one })
      }),
    )
  })

  test('of any other form are refused', () => {
    const offset = ['T', 'g', 0, 1]
    for (const wrong of [
      'x',
      '[]',
      'null',
      '{"kind":"nothing"}',
      '{"kind":"topic","config":{"topicName":"T","readQueueNums":"4"}}',
      '{"kind":"topic","config":{"topicName":"T","readQueueNums":-1}}',
      '{"kind":"topic","config":{"topicName":"T","attributes":{"a":1}}}',
      '{"kind":"topic","config":{"topicName":""}}',
      '{"kind":"deleteTopic"}',
      '{"kind":"offsets","entries":[["T","g",0,-1]]}',
      '{"kind":"offsets","entries":[["T@x","g",0,1]]}',
      '{"kind":"delay","entries":[[1e9,1]]}',
      '{"kind":"resetOffset","topic":"T","entries":[]}',
      JSON.stringify({
        kind: 'offsets',
        entries: new Array(MAX_OFFSETS_PER_RECORD + 1).fill(offset),
      }),
    ]) {
      assert.throws(() => decodeStateRecord(wrong), { code: 'CORRUPT' }, wrong)
    }
  })
})

describe('the replicated state', () => {
  test('is the same after records were applied again from a snapshot on', () => {
    const records = fc.array(record, { maxLength: 40 })
    fc.assert(
      fc.property(records, fc.nat(40), fc.nat(40), (list, first, second) => {
        inDirectory((directory) => {
          const whole = new ReplicatedState()
          applyAll(whole, list)
          const early = new ReplicatedState()
          applyAll(early, list.slice(0, first))
          const files = new StateFiles(directory)
          files.save(early)
          // A crash between the tables and the file that says what they hold: the tables are newer.
          const late = new ReplicatedState(files.load())
          applyAll(late, list.slice(0, Math.max(first, second)), first)
          const stateText = readFileSync(join(directory, 'ringledger-state.json'))
          files.save(late)
          writeFileSync(join(directory, 'ringledger-state.json'), stateText)
          const again = new ReplicatedState(new StateFiles(directory).load())
          assert.equal(again.appliedPosition, early.appliedPosition)
          applyAll(again, list)
          assert.deepEqual(describeState(again), describeState(whole))
        })
      }),
      { numRuns: 40 },
    )
  })

  test('is the same after the first save of all came to an end between two tables', () => {
    const records = fc.array(record, { maxLength: 40 })
    fc.assert(
      fc.property(records, (list) => {
        inDirectory((directory) => {
          const whole = new ReplicatedState()
          applyAll(whole, list)
          const files = new StateFiles(directory)
          const first = new ReplicatedState(files.load())
          applyAll(first, list)
          const inTheWay = join(directory, 'delayOffset.json.tmp')
          mkdirSync(inTheWay)
          if (list.length > 0) assert.throws(() => files.save(first), { code: 'DISK_FAILED' })
          rmdirSync(inTheWay)
          const again = new ReplicatedState(new StateFiles(directory).load())
          applyAll(again, list)
          assert.deepEqual(describeState(again), describeState(whole))
        })
      }),
      { numRuns: 40 },
    )
  })

  test('one flipped bit in any of its files is noticed, and made good from the log', () => {
    const records = fc.array(record, { minLength: 5, maxLength: 20 })
    fc.assert(
      fc.property(records, fc.nat(), fc.nat(), (list, fileAt, bitAt) => {
        inDirectory((directory) => {
          const whole = new ReplicatedState()
          const writer = new StateFiles(directory)
          writer.save(whole)
          applyAll(whole, list)
          writer.save(whole)
          const names = readdirSync(directory).filter((name) => !name.endsWith('.bak'))
          const path = join(directory, names[fileAt % names.length] ?? '')
          const bytes = readFileSync(path)
          const bit = bitAt % (bytes.length * 8)
          bytes[bit >> 3]! ^= 1 << (bit & 7)
          writeFileSync(path, bytes)
          const lines: string[] = []
          const again = new ReplicatedState(
            new StateFiles(directory, (line) => lines.push(line)).load(),
          )
          // A flip in the name of the checksum's own field takes only the checksum away.
          const from = again.appliedPosition === whole.appliedPosition ? list.length : 0
          applyAll(again, list, from)
          assert.deepEqual(tablesOf(again), tablesOf(whole))
        })
      }),
      { numRuns: 60 },
    )
  })

  test('a table that other hands changed is not used, and the log says what to do', () => {
    inDirectory((directory) => {
      const writer = new StateFiles(directory)
      const state = new ReplicatedState()
      writer.save(state)
      applyAll(state, [{ kind: 'offsets', entries: [['T', 'g', 0, 5]] }])
      writer.save(state)
      const path = join(directory, 'consumerOffset.json')
      writeFileSync(path, readFileSync(path, 'utf8').replace('"0":5', '"0":6'))
      const lines: string[] = []
      const { appliedPosition } = new StateFiles(directory, (line) => lines.push(line)).load()
      assert.equal(appliedPosition, 0)
      assert.match(lines.join('\n'), /consumerOffset\.json is not used: .*ringledgerChecksum/)
      const text = readFileSync(path, 'utf8').replace(/,"ringledgerChecksum":"[0-9a-f]+"/, '')
      writeFileSync(path, text)
      assert.deepEqual(new StateFiles(directory).load().offsets, [['T', 'g', 0, 6]])
    })
  })

  test('answers from its tables', () => {
    const state = new ReplicatedState(undefined, undefined, () => 99)
    applyAll(state, [
      { kind: 'barrier', term: 7, nodeId: 'n1' },
      {
        kind: 'offsets',
        entries: [
          ['A', 'g', 0, 5],
          ['A', 'g', 2, 6],
          ['B', 'h', 0, 1],
        ],
      },
      { kind: 'delay', entries: [[3, 11]] },
    ])
    assert.equal(state.offset('A', 'g', 2), 6)
    assert.equal(state.offset('A', 'g', 1), -1)
    assert.equal(state.delayOffset(3), 11)
    assert.equal(state.delayOffset(4), 0)
    const seen: unknown[] = []
    state.forEachOffset('A', 'g', (...entry) => seen.push(entry))
    state.forEachTopicOfGroup('g', (topic) => seen.push(topic))
    state.forEachGroupOfTopic('B', (group) => seen.push(group))
    assert.deepEqual(seen, [[0, 5], [2, 6], 'A', 'h'])
    assert.deepEqual(state.offsetsVersion, { stateVersion: 7, counter: 1, timestamp: 99 })
    applyAll(state, [], 0)
    state.apply({ kind: 'deleteTopic', topic: 'A' }, 300, 400)
    assert.equal(state.offset('A', 'g', 2), -1)
    assert.equal(state.offset('B', 'h', 0), 1)
    assert.equal(state.apply({ kind: 'deleteTopic', topic: 'B' }, 300, 400), false)
    assert.equal(state.offset('B', 'h', 0), 1)
  })

  test('refuses what would break a limit or cannot be a name', () => {
    const state = new ReplicatedState(undefined, { topics: 1, groups: 1, offsets: 2 })
    const topic = (topicName: string): StateRecord => ({
      kind: 'topic',
      config: defaultTopicConfig(topicName),
    })
    state.check(topic('A'))
    state.apply(topic('A'), 0, 1)
    state.check(topic('A'))
    const refused = (one: StateRecord, message: RegExp): void =>
      assert.throws(() => state.check(one), { code: 'BAD_REQUEST', message })
    refused(topic('B'), /there are 1 topics already/)
    refused({ kind: 'topic', config: { ...defaultTopicConfig('A'), writeQueueNums: 1e6 } }, /queue/)
    refused({ kind: 'group', config: defaultGroupConfig('bad name') }, /may hold only/)
    state.apply(
      {
        kind: 'offsets',
        entries: [
          ['A', 'g', 0, 1],
          ['A', 'g', 1, 1],
        ],
      },
      1,
      2,
    )
    state.check({ kind: 'offsets', entries: [['A', 'g', 1, 9]] })
    refused({ kind: 'offsets', entries: [['A', 'g', 2, 9]] }, /consumer offsets already/)
  })
})

describe('config files', () => {
  test('are written so that strict and fastjson readers understand them', () => {
    inDirectory((directory) => {
      const state = new ReplicatedState()
      applyAll(state, [
        { kind: 'topic', config: defaultTopicConfig('A') },
        { kind: 'group', config: defaultGroupConfig('g') },
        {
          kind: 'offsets',
          entries: [
            ['A', 'g', 0, 5],
            ['A', 'g', 11, 6],
          ],
        },
        { kind: 'delay', entries: [[2, 7]] },
      ])
      const files = new StateFiles(directory)
      assert.equal(files.save(state), true)
      assert.equal(files.save(state), false)
      assert.equal(files.savedPosition, 400)
      const read = (file: string): unknown =>
        parseLenientJson(readFileSync(join(directory, file), 'utf8'))
      assert.deepEqual((read('consumerOffset.json') as { offsetTable: unknown }).offsetTable, {
        'A@g': { '0': 5, '11': 6 },
      })
      assert.deepEqual((read('delayOffset.json') as { offsetTable: unknown }).offsetTable, {
        '2': 7,
      })
      assert.ok('A' in (read('topics.json') as { topicConfigTable: object }).topicConfigTable)
      const groups = read('subscriptionGroup.json') as { subscriptionGroupTable: object }
      assert.deepEqual(groups.subscriptionGroupTable, { g: defaultGroupConfig('g') })
    })
  })

  test('an unreadable file is replaced by its .bak, and the log is asked again', () => {
    inDirectory((directory) => {
      const state = new ReplicatedState()
      const files = new StateFiles(directory)
      state.apply({ kind: 'topic', config: defaultTopicConfig('A') }, 0, 100)
      files.save(state)
      state.apply({ kind: 'topic', config: defaultTopicConfig('B') }, 100, 200)
      files.save(state)
      writeFileSync(join(directory, 'topics.json'), '')
      const content = new StateFiles(directory).load()
      assert.deepEqual(
        Array.from(content.topics, (topic) => topic.topicName),
        ['A'],
      )
      assert.equal(content.appliedPosition, 0)
      writeFileSync(join(directory, 'topics.json.bak'), '{"topicConfigTable":')
      assert.throws(() => new StateFiles(directory).load(), { code: 'CORRUPT' })
    })
  })

  test('only what changed is written', () => {
    inDirectory((directory) => {
      const state = new ReplicatedState()
      const files = new StateFiles(directory)
      files.save(state)
      for (const file of ['topics.json', 'consumerOffset.json']) rmSync(join(directory, file))
      state.apply({ kind: 'offsets', entries: [['A', 'g', 0, 5]] }, 0, 100)
      files.save(state)
      assert.equal(existsSync(join(directory, 'topics.json')), false)
      assert.equal(existsSync(join(directory, 'consumerOffset.json')), true)
    })
  })
})
