import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { encodeBatch, fileNameOfOffset, MessageSysFlag } from '@ringledger/protocol'
import { type CopyVerdict, compareReports } from './compare.ts'
import { firstDifference } from './first-difference.ts'
import { reportsOfGroup } from './offsets-beyond.ts'
import type { ProblemCode, StoreReport } from './report.ts'
import {
  FAKE_SEGMENT_BYTES,
  type FakeStore,
  layOut,
  someMessages,
  writeStore,
} from './store-maker-fake.ts'
import { surveyStore } from './survey.ts'

const directory = mkdtempSync(join(tmpdir(), 'upgrade-'))
after(() => rmSync(directory, { recursive: true }))
let made = 0

/** A store on disk; `change` spoils it. */
function store(content: FakeStore, change: (root: string) => void = () => {}): string {
  const root = join(directory, `s${made++}`)
  writeStore(root, content)
  change(root)
  return root
}

const survey = (root: string, digestAt: readonly number[] = []): Promise<StoreReport> =>
  surveyStore({ root, digestAt, jobs: 1 })

async function verdictOf(
  copy: string,
  reference: string,
  digestAt: readonly number[] = [],
): Promise<CopyVerdict | undefined> {
  const reports = [await survey(reference, digestAt), await survey(copy, digestAt)]
  return compareReports(reports).copies[0]?.verdict
}

const codes = async (root: string): Promise<ProblemCode[]> =>
  (await survey(root)).problems.map(({ code }) => code)

const whole = layOut(someMessages(40))
const logPath = (root: string, offset: number): string =>
  join(root, 'commitlog', fileNameOfOffset(offset))

function flip(content: FakeStore, at: number): FakeStore {
  const files = content.files.map(({ offset, bytes }) => ({ offset, bytes: Buffer.from(bytes) }))
  const file = files.find(({ offset }) => at >= offset && at < offset + FAKE_SEGMENT_BYTES)
  assert.ok(file !== undefined)
  file.bytes[at - file.offset]! ^= 1
  return { ...content, files }
}

test('equal copies are the same, and nothing is wrong with them', async () => {
  assert.deepEqual(await verdictOf(store(whole), store(whole)), { kind: 'same' })
  assert.deepEqual(await codes(store(whole)), [])
})

test('1: a shorter tail is the beginning of the longer one', async () => {
  const short = layOut(someMessages(38))
  assert.deepEqual(await verdictOf(store(short), store(whole)), {
    kind: 'prefix',
    missingBytes: whole.endOffset - short.endOffset,
    missingMessages: 2,
  })
})

test('1a: a copy that ends a file earlier is undecided until a digest at its end is there', async () => {
  const count = whole.offsets.findIndex((offset) => offset >= 2 * FAKE_SEGMENT_BYTES) - 2
  const short = layOut(someMessages(count))
  const [copy, reference] = [store(short), store(whole)]
  const atOffset = short.endOffset
  assert.deepEqual(await verdictOf(copy, reference), { kind: 'undecided', atOffset })
  assert.equal((await verdictOf(copy, reference, [atOffset]))?.kind, 'prefix')
})

test('1b: a shorter tail with other messages is no beginning', async () => {
  const other = layOut([...someMessages(37), ...someMessages(1, 5)])
  const fromOffset = whole.offsets[37] ?? 0
  const verdict = await verdictOf(store(other), store(whole))
  assert.deepEqual(verdict?.kind === 'different' && verdict.fromOffset, fromOffset)
})

test('2: one file more', async () => {
  const fewer = { ...whole, files: whole.files.slice(0, -1) }
  const verdict = await verdictOf(store(fewer), store(whole))
  assert.equal(verdict?.kind, 'prefix')
})

for (const part of ['body', 'header', 'properties'] as const) {
  test(`3: one flipped bit in the ${part} is found, and the message named`, async () => {
    const start = whole.offsets[20] ?? 0
    const at = { header: start + 16, body: start + 95, properties: (whole.offsets[21] ?? 0) - 1 }
    const [reference, copy] = [store(whole), store(flip(whole, at[part]))]
    const verdict = await verdictOf(copy, reference)
    assert.equal(verdict?.kind, 'different')
    const file = Math.floor(at[part] / FAKE_SEGMENT_BYTES) * FAKE_SEGMENT_BYTES
    const files = [reference, copy].map((root) => {
      return { path: logPath(root, file), offset: file, sizeBytes: FAKE_SEGMENT_BYTES }
    })
    const found = firstDifference(files[0]!, files[1]!, file, file + FAKE_SEGMENT_BYTES)
    assert.equal(found?.offset, at[part])
    assert.equal(found.part, part)
    assert.equal(found.first?.offset, start)
    assert.equal(found.first?.queueOffset, 6)
  })
}

test('4: a missing first file is a missing file, a missing middle one too', async () => {
  for (const offset of [0, FAKE_SEGMENT_BYTES]) {
    const copy = store(whole, (root) => rmSync(logPath(root, offset)))
    assert.deepEqual(await verdictOf(copy, store(whole)), {
      kind: 'incomplete',
      missingFiles: [fileNameOfOffset(offset)],
    })
  }
  const holed = store(whole, (root) => rmSync(logPath(root, FAKE_SEGMENT_BYTES)))
  assert.ok((await codes(holed)).includes('FILE_MISSING'))
})

test('5: another segment size', async () => {
  const other = store(layOut(someMessages(40), 2 * FAKE_SEGMENT_BYTES))
  assert.deepEqual(await verdictOf(other, store(whole)), { kind: 'otherSegments' })
})

test('6: other topics.json', async () => {
  const copy = store(whole, (root) => {
    const table = '{"topicConfigTable":{"T":{"perm":6,"topicName":"T"},"U":{"perm":6}}}'
    writeFileSync(join(root, 'config', 'topics.json'), table)
  })
  const { copies } = compareReports([await survey(store(whole)), await survey(copy)])
  assert.deepEqual(copies[0]?.tables, [
    { name: 'topics.json', onlyHere: ['U={perm:6}'], onlyInReference: [] },
  ])
})

test('7: abort left behind', async () => {
  assert.deepEqual(await codes(store(whole, (root) => writeFileSync(join(root, 'abort'), ''))), [
    'ABORT',
  ])
})

test('8: a foreign file', async () => {
  const spoiled = store(whole, (root) => writeFileSync(join(root, 'commitlog', 'notes.txt'), 'x'))
  assert.deepEqual(await codes(spoiled), ['FOREIGN_FILE'])
})

test('9: messages that a 4.9 broker cannot read', async () => {
  const long = { topic: 'T'.repeat(200), body: 'x' }
  assert.deepEqual(await codes(store(layOut([...someMessages(9), long]))), ['V2_MESSAGES'])
})

test('9: batches of a batch queue', async () => {
  const element = { flag: 0, body: Buffer.from('x'), properties: Buffer.alloc(0) }
  const batch = {
    topic: 'B',
    body: encodeBatch([element, element, element]),
    sysFlag: MessageSysFlag.INNER_BATCH,
    properties: new Map([['INNER_NUM', '3']]),
  }
  const report = await survey(store(layOut([...someMessages(9), batch, batch])))
  assert.deepEqual(
    report.problems.map(({ code, blocks }) => [code, blocks]),
    [['BATCH_QUEUES', false]],
  )
  const queue = report.queues.find(({ topic }) => topic === 'B')
  assert.deepEqual([queue?.lastQueueOffset, queue?.messages, queue?.breaks], [5, 2, 0])
})

test('10: committed offsets ahead of the log', async () => {
  const spoiled = store(whole, (root) => {
    writeFileSync(join(root, 'config', 'consumerOffset.json'), '{"offsetTable":{"T@G":{0:2,1:99}}}')
  })
  assert.deepEqual(await codes(spoiled), ['OFFSETS_AHEAD'])
})

test('10: of a copy that lacks the end they may be, when the reference has those messages', async () => {
  const reference = await survey(store(whole))
  const short = layOut(someMessages(38))
  const { queues } = await survey(store(short))
  const queue = reference.queues.find(({ topic, queueId, lastQueueOffset }) =>
    queues.some((own) => {
      const isSame = own.topic === topic && own.queueId === queueId
      return isSame && own.lastQueueOffset < lastQueueOffset
    }),
  )
  assert.ok(queue !== undefined)
  const endOffset = queue.lastQueueOffset + 1
  for (const [offset, expected] of [
    [endOffset, ['OFFSETS_AHEAD', false]],
    [endOffset + 1, ['OFFSETS_AHEAD', true]],
  ] as const) {
    const offsets = { offsetTable: { [`${queue.topic}@G`]: { [queue.queueId]: offset } } }
    const copy = await survey(
      store(short, (root) => {
        writeFileSync(join(root, 'config', 'consumerOffset.json'), JSON.stringify(offsets))
      }),
    )
    const reports = [reference, copy]
    const [, judged] = reportsOfGroup(reports, compareReports(reports))
    const problems = judged?.problems.map(({ code, blocks }) => [code, blocks])
    assert.deepEqual(problems, [expected])
  }
})

test('11: a file that was not copied whole', async () => {
  const last = whole.files.at(-1)?.offset ?? 0
  const spoiled = store(whole, (root) => truncateSync(logPath(root, last), 1000))
  assert.ok((await codes(spoiled)).includes('FILE_SIZE'))
})

test('12: damage in the middle is told with the place where the log goes on', async () => {
  const [from = 0, to = 0] = [whole.offsets[5], whole.offsets[6]]
  const report = await survey(store(flip(whole, from + 95)))
  assert.deepEqual(report.files[0]?.damage, [{ offset: from, reason: 'bodyCrc', resumesAt: to }])
  const [problem] = report.problems
  assert.equal(problem?.code, 'DAMAGE')
  assert.equal(problem.blocks, true)
})

test('an empty server is empty, not different', async () => {
  const empty = join(directory, 'empty')
  mkdirSync(empty)
  assert.deepEqual(await verdictOf(empty, store(whole)), { kind: 'empty' })
})

test('config in fastjson dialect, and its backup', async () => {
  const copy = store(whole, (root) => {
    writeFileSync(join(root, 'config', 'consumerOffset.json'), '')
    writeFileSync(join(root, 'config', 'consumerOffset.json.bak'), '{"offsetTable":{"T@G":{0:1}}}')
  })
  const { config } = await survey(copy)
  assert.deepEqual(
    config.find(({ name }) => name === 'consumerOffset.json'),
    { name: 'consumerOffset.json', state: 'backup', entries: ['T@G={0:1}'] },
  )
})
