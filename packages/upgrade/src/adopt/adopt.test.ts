import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileNameOfOffset } from '@ringledger/protocol'
import { closedPlain, layOutMember, writeMember } from '../rollback/raft-store-fake.ts'
import { layOut, someMessages, writeStore } from '../store-maker-fake.ts'
import { type AdoptOptions, adoptLog, cancelAdoption } from './adopt.ts'
import { ADOPT_MARKER } from './marker.ts'

const directory = mkdtempSync(join(tmpdir(), 'adopt-'))
after(() => rmSync(directory, { recursive: true }))
const SEGMENT_BYTES = 2048
const now = (): Date => new Date('2026-11-23T01:02:03Z')
const REPLACED = '.replaced-20261123010203'
let count = 0

/** Two copies of a log that differ: the second one is to get the first one's. */
function pair(): { root: string; from: string } {
  const [from, root] = [
    join(directory, `from-${++count}`),
    join(directory, `root-${count}`),
  ] as const
  writeStore(from, layOut(someMessages(40), SEGMENT_BYTES))
  writeStore(root, layOut(someMessages(30, 2), SEGMENT_BYTES))
  writeFileSync(join(from, 'config', 'consumerOffset.json'), '{"offsetTable":{"T@G":{0:5}}}')
  mkdirSync(join(root, 'consumequeue', 'T', '0'), { recursive: true })
  writeFileSync(join(root, 'checkpoint'), 'x')
  return { root, from }
}

function filesOf(path: string): string[] {
  return readdirSync(path).map((name) => `${name} ${readFileSync(join(path, name), 'hex')}`)
}

test('a differing old log is replaced, whole and proved, and stays aside', async () => {
  const paths = pair()
  const before = filesOf(join(paths.root, 'commitlog'))
  const report = await adoptLog({ ...paths, now })
  assert.ok(report.tables)
  assert.deepEqual(filesOf(join(paths.root, 'commitlog')), filesOf(join(paths.from, 'commitlog')))
  assert.deepEqual(filesOf(join(paths.root, `commitlog${REPLACED}`)), before)
  const kept = ['commitlog', 'config', 'consumequeue', 'checkpoint']
  assert.deepEqual(
    report.keptAside,
    kept.map((name) => join(paths.root, name + REPLACED)),
  )
  assert.match(readFileSync(join(paths.root, 'config', 'consumerOffset.json'), 'utf8'), /0:5/)
  assert.ok(!existsSync(join(paths.root, 'consumequeue')))
  assert.ok(!existsSync(join(paths.root, ADOPT_MARKER)))
  const [name] = readdirSync(join(paths.from, 'commitlog'))
  const times = [paths.from, paths.root].map(
    (root) => statSync(join(root, 'commitlog', name!)).mtimeMs,
  )
  assert.ok(Math.abs(times[0]! - times[1]!) < 1)
})

test('a run that stopped while it copied is taken up, or undone', async () => {
  const paths = pair()
  const before = filesOf(join(paths.root, 'commitlog'))
  let told = 0
  const stopping: AdoptOptions = {
    ...paths,
    now,
    onProgress: (done, total) => {
      told = done
      if (total > 20_000 && done > total / 2) throw new Error('stopped')
    },
  }
  await assert.rejects(adoptLog(stopping), /stopped/)
  assert.ok(told > 0)
  assert.ok(existsSync(join(paths.root, ADOPT_MARKER)))
  assert.deepEqual(filesOf(join(paths.root, 'commitlog')), before)
  await assert.rejects(adoptLog({ root: paths.root, from: pair().from }), {
    name: 'AdoptRefused',
    message: /is being replaced from/,
  })
  cancelAdoption(paths)
  assert.deepEqual(readdirSync(paths.root).sort(), [
    'checkpoint',
    'commitlog',
    'config',
    'consumequeue',
  ])
  await assert.rejects(adoptLog(stopping), /stopped/)
  const notes: string[] = []
  await adoptLog({ ...paths, onNote: (note) => notes.push(note) })
  assert.match(notes[0]!, /taken up: [1-9]\d* files are done/)
  assert.deepEqual(filesOf(join(paths.root, 'commitlog')), filesOf(join(paths.from, 'commitlog')))
})

test('a run that stopped between any two names is finished, and cannot be undone', async () => {
  const paths = pair()
  const whole = pair()
  await adoptLog({ ...whole, now })
  const steps: ((root: string) => void)[] = ['commitlog', 'config'].flatMap((name) => [
    (root) => renameSync(join(root, name), join(root, name + REPLACED)),
    (root) => renameSync(join(root, `${name}.adopting`), join(root, name)),
  ])
  steps.push((root) =>
    renameSync(join(root, 'consumequeue'), join(root, `consumequeue${REPLACED}`)),
  )
  for (let done = 0; done <= steps.length; done++) {
    const root = `${paths.root}-${done}`
    cpSync(paths.root, root, { recursive: true })
    cpSync(join(paths.from, 'commitlog'), join(root, 'commitlog.adopting'), { recursive: true })
    cpSync(join(paths.from, 'config'), join(root, 'config.adopting'), { recursive: true })
    const from = join(paths.from, 'commitlog')
    const marker = { version: 1, from, stamp: '20261123010203', state: 'swapping', files: [] }
    writeFileSync(join(root, ADOPT_MARKER), JSON.stringify(marker))
    for (const step of steps.slice(0, done)) step(root)
    assert.throws(() => cancelAdoption({ root }), {
      name: 'AdoptRefused',
      message: /takes its place/,
    })
    await adoptLog({ root, from: paths.from })
    assert.deepEqual(readdirSync(root).sort(), readdirSync(whole.root).sort())
    assert.deepEqual(filesOf(join(root, 'commitlog')), filesOf(from))
  }
})

test('what runs, is damaged, empty or of another group is not adopted', async () => {
  const refuses = async (paths: { root: string; from: string }, message: RegExp): Promise<void> => {
    const before = readdirSync(paths.root)
    await assert.rejects(adoptLog(paths), { name: 'AdoptRefused', message })
    assert.deepEqual(readdirSync(paths.root), before)
  }
  const running = pair()
  writeFileSync(join(running.root, 'abort'), '')
  await refuses(running, /the broker still runs/)
  const killed = pair()
  writeFileSync(join(killed.from, 'abort'), '')
  await refuses(killed, /"abort" is there/)
  const damaged = pair()
  const path = join(damaged.from, 'commitlog', fileNameOfOffset(0))
  const bytes = readFileSync(path)
  bytes[100]! ^= 1
  writeFileSync(path, bytes)
  await refuses(damaged, /are no message/)
  const empty = pair()
  rmSync(join(empty.from, 'commitlog'), { recursive: true })
  mkdirSync(join(empty.from, 'commitlog'))
  await refuses(empty, /holds no message/)
  const member = pair()
  rmSync(member.root, { recursive: true })
  const plain = closedPlain(someMessages(5), SEGMENT_BYTES)
  writeMember(member.root, layOutMember([{ topic: 'T' }], { segmentBytes: SEGMENT_BYTES, plain }))
  await refuses(member, /the Raft log in .* begins at 2048, what is to be adopted ends at/)
  const within = pair()
  await assert.rejects(adoptLog({ ...within, from: within.root }), { code: 'BAD_REQUEST' })
})

test('a member keeps its tables: its Raft log holds what they say', async () => {
  const { root } = pair()
  rmSync(root, { recursive: true })
  const member = layOutMember([{ topic: 'T' }], {
    segmentBytes: SEGMENT_BYTES,
    plain: closedPlain(someMessages(9), SEGMENT_BYTES),
  })
  const other = join(directory, `other-${++count}`)
  for (const path of [root, other]) writeMember(path, member)
  mkdirSync(join(other, 'config'), { recursive: true })
  const log = join(root, 'commitlog', fileNameOfOffset(0))
  const bytes = readFileSync(log)
  bytes[200]! ^= 1
  writeFileSync(log, bytes)
  const report = await adoptLog({ root, from: other })
  assert.ok(!report.tables)
  assert.ok(!report.keptAside.some((path) => path.includes('config')))
  assert.deepEqual(filesOf(join(root, 'commitlog')), filesOf(join(other, 'commitlog')))
})
