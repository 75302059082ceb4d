/**
 * kill -9 of rollback and adopt at random moments: the same command comes to the same end, and
 * until then neither is anything half at its place nor does a broker start. KILLS: how often each
 * is killed.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { randomBetween, seededRandom } from '@ringledger/base'
import {
  closedPlain,
  type FakeEntry,
  layOutMember,
  writeMember,
} from '../../packages/upgrade/src/rollback/raft-store-fake.ts'
import { layOut, someMessages, writeStore } from '../../packages/upgrade/src/store-maker-fake.ts'
import { OwnProcess } from '../harness/line-process.ts'

const RUNNER = join(import.meta.dirname, 'step-run.ts')
const KILLS = Number(process.env.KILLS ?? 6)
const SEED = Number(process.env.SEED ?? Date.now())
const SEGMENT_BYTES = 128 * 1024
const ENTRIES = 1200

/** Runs to its end, or until it is killed at a step; returns how many steps there were. */
async function run(args: readonly string[], directory: string, killAt: number): Promise<number> {
  let steps = 0
  const logPath = join(directory, 'runs.log')
  const child = new OwnProcess(
    { command: process.execPath, args: [RUNNER, ...args], logPath },
    () => {
      steps++
      if (steps === killAt) child.signal('SIGKILL')
    },
  )
  await child.closed()
  if (child.exitCode !== 0 && steps < killAt) throw new Error(readFileSync(logPath, 'utf8'))
  return steps
}

function entryOf(index: number): FakeEntry {
  if (index % 50 === 7) {
    const entries = [['T', 'G', 0, index]]
    return { topic: 'T', record: { kind: 'offsets', entries } }
  }
  return {
    topic: `T${index % 5}`,
    body: Buffer.alloc((index * 7919) % 1500, index),
    queueOffset: Math.floor(index / 5),
    properties: new Map([['KEYS', `k${index}`]]),
    storeTimestampMs: 1_700_000_000_000 + index,
  }
}

/** Every file below, without what says when it was made. */
function contentOf(root: string): string[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()
  const files = names.filter((name) => statSync(join(root, name)).isFile())
  return files
    .filter((name) => !/ringledger-rollback|^checkpoint$|\.bak$/.test(name))
    .map((name) => {
      const bytes = readFileSync(join(root, name), 'latin1')
      const text = name.startsWith('config')
        ? bytes.replace(/"(timestamp|ringledgerChecksum)":"?\w+"?/g, '')
        : bytes
      return `${name.replace(/^index\/.*/, 'index')} ${createHash('sha256').update(text).digest('hex')}`
    })
}

test('a rollback that is killed again and again comes to the same end', async (t) => {
  t.diagnostic(`SEED=${SEED}`)
  const random = seededRandom(SEED)
  const directory = mkdtempSync(join(tmpdir(), 'killed-rollback-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const store = join(directory, 'store')
  const plain = closedPlain(someMessages(300), SEGMENT_BYTES)
  const entries = Array.from({ length: ENTRIES }, (_, index) => entryOf(index))
  writeMember(store, layOutMember(entries, { segmentBytes: SEGMENT_BYTES, plain }))
  const source = contentOf(store)
  const whole = join(directory, 'whole')
  const steps = await run(['rollback', store, whole], directory, Number.POSITIVE_INFINITY)
  const target = join(directory, 'target')
  for (let kill = 0; kill < KILLS && !existsSync(target); kill++) {
    await run(['rollback', store, target], directory, randomBetween(random, 1, steps))
  }
  if (!existsSync(target))
    await run(['rollback', store, target], directory, Number.POSITIVE_INFINITY)
  assert.deepEqual(contentOf(target), contentOf(whole))
  assert.deepEqual(contentOf(store), source)
  assert.ok(!existsSync(`${target}.part`))
})

test('an adoption that is killed again and again is whole in the end, and marked until then', async (t) => {
  t.diagnostic(`SEED=${SEED}`)
  const random = seededRandom(SEED + 1)
  const directory = mkdtempSync(join(tmpdir(), 'killed-adopt-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const [from, store] = [join(directory, 'from'), join(directory, 'store')]
  writeStore(from, layOut(someMessages(2000), SEGMENT_BYTES))
  writeStore(store, layOut(someMessages(1500, 2), SEGMENT_BYTES))
  const before = contentOf(join(store, 'commitlog'))
  const trial = join(directory, 'trial')
  cpSync(store, trial, { recursive: true })
  const steps = await run(['adopt', from, trial], directory, Number.POSITIVE_INFINITY)
  const marker = join(store, 'upgrade-adopt.json')
  const isDone = (): boolean =>
    readdirSync(store).some((name) => name.startsWith('commitlog.replaced'))
  for (let kill = 0; kill < KILLS && !(isDone() && !existsSync(marker)); kill++) {
    await run(['adopt', from, store], directory, randomBetween(random, 1, steps))
    const isOld = !isDone()
    if (isOld) assert.deepEqual(contentOf(join(store, 'commitlog')), before)
    else if (!existsSync(join(store, 'commitlog'))) assert.ok(existsSync(marker))
  }
  if (existsSync(marker) || !isDone()) {
    await run(['adopt', from, store], directory, Number.POSITIVE_INFINITY)
  }
  assert.deepEqual(contentOf(join(store, 'commitlog')), contentOf(join(from, 'commitlog')))
  const aside = readdirSync(store).find((name) => name.startsWith('commitlog.replaced'))
  assert.deepEqual(contentOf(join(store, aside!)), before)
  assert.ok(!existsSync(marker))
})
