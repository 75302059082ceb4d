import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  fileNameOfOffset,
  MessageSysFlag,
  msgPreparedTransactionOffset,
  PHYSICAL_OFFSET_AT,
  writeInt64,
} from '@ringledger/protocol'
import fc from 'fast-check'
import { layOut, someMessages } from '../store-maker-fake.ts'
import { surveyStore } from '../survey.ts'
import { type BuilderMemory, FakeBuilder, StoppedHere } from './builder-fake.ts'
import {
  closedPlain,
  type FakeEntry,
  type FakeMember,
  layOutMember,
  writeMember,
} from './raft-store-fake.ts'
import { rollbackStore } from './rollback.ts'
import type { RollbackOptions, RollbackReport } from './rollback-types.ts'

const directory = mkdtempSync(join(tmpdir(), 'rollback-'))
after(() => rmSync(directory, { recursive: true }))
const SEGMENT_BYTES = 2048
let count = 0

function place(member: FakeMember): { root: string; target: string } {
  const root = join(directory, `member-${++count}`)
  writeMember(root, member)
  return { root, target: `${root}-plain` }
}

interface Run {
  readonly report?: RollbackReport
  readonly memory: BuilderMemory
}

async function run(
  paths: { root: string; target: string },
  memory: BuilderMemory = { messages: [], records: [], marks: [] },
  options: Partial<RollbackOptions> & { stopAfterCalls?: number } = {},
): Promise<Run> {
  const { stopAfterCalls, ...given } = options
  try {
    const report = await rollbackStore({
      ...paths,
      openBuilder: (request) => new FakeBuilder(memory, request, stopAfterCalls),
      ...given,
    })
    return { report, memory }
  } catch (error) {
    if (error instanceof StoppedHere) return { memory }
    throw error
  }
}

function entry(bodyBytes: number, index: number): FakeEntry {
  return {
    topic: 'U',
    body: Buffer.alloc(bodyBytes, index),
    queueId: index % 3,
    queueOffset: Math.floor(index / 3),
    storeTimestampMs: 1_700_000_000_000 + index,
  }
}

/** Worked out anew: packed from where the plain part's data ends, 8 bytes left in every file. */
function expectedOffsets(member: FakeMember): number[] {
  let end = member.plain?.endOffset ?? member.divided
  return member.messages.map(({ length }) => {
    const left = SEGMENT_BYTES - (end % SEGMENT_BYTES)
    const offset = left < length + 8 ? end + left : end
    end = offset + length
    return offset
  })
}

function moved(bytes: Buffer, offset: number): Buffer {
  const copy = Buffer.from(bytes)
  writeInt64(copy, PHYSICAL_OFFSET_AT, offset)
  return copy
}

function targetBytes(target: string, offset: number, sizeBytes: number): Buffer {
  const start = offset - (offset % SEGMENT_BYTES)
  const file = readFileSync(join(target, 'commitlog', fileNameOfOffset(start)))
  return file.subarray(offset - start, offset - start + sizeBytes)
}

const entries = fc.array(fc.integer({ min: 0, max: 1500 }), { minLength: 1, maxLength: 40 })

test('every message comes to stand once, packed, and only its offset changes', async () => {
  await fc.assert(
    fc.asyncProperty(
      entries,
      fc.nat(30),
      fc.nat(4),
      fc.boolean(),
      async (sizes, plainCount, skipped, sealed) => {
        const plain =
          plainCount === 0 ? undefined : closedPlain(someMessages(plainCount), SEGMENT_BYTES)
        const member = layOutMember(sizes.map(entry), {
          segmentBytes: SEGMENT_BYTES,
          sealed,
          ...(plain === undefined ? { divided: skipped * SEGMENT_BYTES } : { plain }),
        })
        const paths = place(member)
        const { report, memory } = await run(paths)
        const offsets = expectedOffsets(member)
        const unmoved = memory.messages.splice(0, plainCount)
        assert.deepEqual(
          unmoved.map(({ offset }) => offset),
          plain?.offsets ?? [],
        )
        assert.ok(unmoved.every(({ wasPlain }) => wasPlain))
        assert.deepEqual(
          memory.messages.map(({ offset }) => offset),
          offsets,
        )
        for (const [index, bytes] of member.messages.entries()) {
          const expected = moved(bytes, offsets[index]!)
          assert.ok(memory.messages[index]!.bytes.equals(expected))
          assert.ok(targetBytes(paths.target, offsets[index]!, bytes.length).equals(expected))
        }
        assert.equal(report?.messages, plainCount + sizes.length)
        assert.equal(report?.unmovedMessages, plainCount)
        const survey = await surveyStore({ root: paths.target, jobs: 1 })
        assert.deepEqual([survey.messages, survey.endOffset], [report?.messages, report?.endOffset])
        assert.deepEqual(survey.problems, [])
        rmSync(paths.target, { recursive: true })
      },
    ),
    { numRuns: 25 },
  )
})

test('stopped anywhere, again and again, the run after it comes to the same end', async () => {
  const plain = closedPlain(someMessages(20), SEGMENT_BYTES)
  const member = layOutMember(
    Array.from({ length: 60 }, (_, index) =>
      index % 7 === 3
        ? { topic: 'T', record: { kind: 'x', index } }
        : entry((index * 131) % 900, index),
    ),
    { segmentBytes: SEGMENT_BYTES, plain },
  )
  const paths = place(member)
  const whole = await run(paths)
  const bytes = logBytes(paths.target)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(110), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1000, max: 8000 }),
      async (stops, saveEveryBytes) => {
        const target = `${paths.root}-stopped-${++count}`
        const memory: BuilderMemory = { messages: [], records: [], marks: [] }
        for (const stopAfterCalls of stops) {
          const { report } = await run({ ...paths, target }, memory, {
            stopAfterCalls,
            saveEveryBytes,
          })
          if (report !== undefined) return
          assert.ok(!existsSync(target), 'nothing stands at the name before it is complete')
        }
        const { report } = await run({ ...paths, target }, memory, { saveEveryBytes })
        assert.deepEqual({ ...report, target: '' }, { ...whole.report, target: '' })
        assert.deepEqual(memory, whole.memory)
        assert.deepEqual(logBytes(target), bytes)
        rmSync(target, { recursive: true })
      },
    ),
    { numRuns: 12 },
  )
})

function logBytes(target: string): string[] {
  const log = join(target, 'commitlog')
  return readdirSync(log).map((name) => `${name} ${readFileSync(join(log, name), 'hex')}`)
}

test('records are applied and left out, marks are taken out of their messages', async () => {
  const member = layOutMember(
    [
      { topic: 'T', record: { kind: 'barrier' } },
      { ...entry(10, 1), preparedTransactionOffset: 2 ** 44 + 5 },
      {
        ...entry(10, 2),
        sysFlag: MessageSysFlag.TRANSACTION_COMMIT_TYPE,
        preparedTransactionOffset: 48,
      },
      { ...entry(10, 3), sysFlag: MessageSysFlag.TRANSACTION_ROLLBACK_TYPE },
    ],
    { segmentBytes: SEGMENT_BYTES },
  )
  const { memory, report } = await run(place(member))
  assert.deepEqual(memory.records, ['{"kind":"barrier"}'])
  assert.deepEqual(memory.marks, [2 ** 44 + 5])
  assert.equal(memory.messages.length, 3)
  assert.ok(memory.messages.every(({ bytes }) => msgPreparedTransactionOffset(bytes, 0) === 0))
  assert.equal(report?.stateRecords, 1)
})

test('a file has the time of its last message, by which retention goes', async () => {
  const paths = place(layOutMember([entry(9, 1), entry(9, 2)], { segmentBytes: SEGMENT_BYTES }))
  await run(paths)
  const { mtimeMs } = statSync(join(paths.target, 'commitlog', fileNameOfOffset(0)))
  assert.equal(Math.round(mtimeMs), 1_700_000_000_002)
})

function refused(pattern: RegExp): object {
  return { name: 'RollbackRefused', message: pattern }
}

test('a store that runs, was killed, is plain or is not whole is refused', async () => {
  const plain = closedPlain(someMessages(30), SEGMENT_BYTES)
  const member = layOutMember(
    [1, 2, 3].map((size) => entry(size * 300, size)),
    {
      segmentBytes: SEGMENT_BYTES,
      plain,
    },
  )
  const refuses = async (pattern: RegExp, change: (root: string) => void): Promise<void> => {
    const paths = place(member)
    change(paths.root)
    await assert.rejects(run(paths), refused(pattern))
    assert.ok(!existsSync(paths.target))
  }
  await refuses(/the file "abort" is there/, (root) => writeFileSync(join(root, 'abort'), ''))
  await refuses(/ringledger-lock" is there/, (root) => {
    writeFileSync(join(root, 'dledger-n0', 'ringledger-lock'), '{}')
  })
  await refuses(/no dledger-<id>\/data/, (root) =>
    rmSync(join(root, 'dledger-n0'), { recursive: true }),
  )
  await refuses(/dledger-n0 and dledger-n1/, (root) => {
    mkdirSync(join(root, 'dledger-n1', 'data'), { recursive: true })
    writeFileSync(join(root, 'dledger-n1', 'data', fileNameOfOffset(0)), 'x')
  })
  await refuses(/between offset 2048 and 4096 no file/, (root) => {
    rmSync(join(root, 'commitlog', fileNameOfOffset(2048)))
  })
  await refuses(/has 2049 bytes, the first file/, (root) => {
    appendFileSync(join(root, 'commitlog', fileNameOfOffset(2048)), 'x')
  })
})

test('damage below the known end is never taken for the end', async () => {
  const plain = layOut(someMessages(10), SEGMENT_BYTES)
  const bodies = Array.from({ length: 12 }, (_, index) => entry(300, index))
  const member = layOutMember(bodies, { segmentBytes: SEGMENT_BYTES, plain })
  const flip = (path: string, at: number): void => {
    const bytes = readFileSync(path)
    bytes[at]! ^= 1
    writeFileSync(path, bytes)
  }
  const first = place(member)
  flip(join(first.root, 'commitlog', fileNameOfOffset(0)), 100)
  await assert.rejects(
    run(first),
    refused(/the log before DLedger mode is damaged at offset 0 \(bodyCrc/),
  )
  const second = place(member)
  flip(join(second.root, 'dledger-n0', 'data', fileNameOfOffset(member.divided)), 700)
  await assert.rejects(run(second), refused(/the Raft log is damaged at offset .*; entry 1\)/))
})

test('the last entry may be torn when the member never knew it to be there', async () => {
  const member = layOutMember([entry(300, 0), entry(300, 1)], { segmentBytes: SEGMENT_BYTES })
  const paths = place(member)
  const log = join(paths.root, 'dledger-n0', 'data', fileNameOfOffset(0))
  const bytes = readFileSync(log)
  bytes.fill(0, 700)
  writeFileSync(log, bytes)
  writeFileSync(join(paths.root, 'dledger-n0', 'checkpoint'), 'committedIndex=0\nendIndex=0\n')
  const { report } = await run(paths)
  assert.deepEqual([report?.messages, report?.lastEntry.index], [1, 0])
})

test('a target that is not empty, or lies within the store, is refused', async () => {
  const paths = place(layOutMember([entry(9, 1)], { segmentBytes: SEGMENT_BYTES }))
  const wrong = async (target: string, pattern: RegExp): Promise<void> => {
    await assert.rejects(run({ ...paths, target }), { code: 'BAD_REQUEST', message: pattern })
  }
  mkdirSync(paths.target)
  writeFileSync(join(paths.target, 'x'), '')
  await wrong(paths.target, /is not empty/)
  await wrong(join(paths.root, 'plain'), /lie within each other/)
  await wrong(join(directory, 'none', 'plain'), /there is no directory/)
  rmSync(join(paths.target, 'x'))
  assert.equal((await run(paths)).report?.messages, 1)
})

test('progress of a source that was changed since is not used', async () => {
  const paths = place(
    layOutMember(
      [1, 2, 3, 4].map((size) => entry(size, size)),
      { segmentBytes: SEGMENT_BYTES },
    ),
  )
  const memory: BuilderMemory = { messages: [], records: [], marks: [] }
  await run(paths, memory, { stopAfterCalls: 5, saveEveryBytes: 1 })
  appendFileSync(join(paths.root, 'dledger-n0', 'data', fileNameOfOffset(0)), '')
  writeFileSync(
    join(paths.root, 'dledger-n0', 'data', fileNameOfOffset(0)),
    layOutMember([entry(7, 1)], { segmentBytes: SEGMENT_BYTES }).files[0]!.bytes,
  )
  writeFileSync(join(paths.root, 'dledger-n0', 'checkpoint'), '')
  const notes: string[] = []
  const { report } = await run(paths, memory, { onNote: (note) => notes.push(note) })
  assert.equal(report?.messages, 1)
  assert.match(notes[0]!, /is begun anew: the source was changed since/)
})
