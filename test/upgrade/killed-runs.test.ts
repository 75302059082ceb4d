/**
 * kill -9 of recovery, rollback, adopt and apply at random calls: the same command comes to the
 * same end, and until then neither is anything half at its place nor does a broker start. KILLS:
 * how often each is killed.
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
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { randomBetween, seededRandom } from '@ringledger/base'
import {
  closedPlain,
  type FakeEntry,
  layOutMember,
  writeMember,
} from '../../packages/upgrade/src/rollback/raft-store-fake.ts'
import { layOut, someMessages, writeStore } from '../../packages/upgrade/src/store-maker-fake.ts'
import { ROOT } from '../support/run-command.ts'
import { KilledRuns } from './killed-process.ts'
import { sampleStore, unpackStore } from './sample-stores.ts'

const RUNNER = join(import.meta.dirname, 'step-run.ts')
const KILLS = Number(process.env.KILLS ?? 4)
const SEED = Number(process.env.SEED ?? Date.now())
/** Of one run and its repetitions, before it may come to its end. */
const KILLS_IN_A_ROW = 4
const SEGMENT_BYTES = 128 * 1024
const ENTRIES = 1200

interface Subject {
  readonly args: readonly string[]
  /** The calls of an undisturbed run. */
  readonly steps: number
  /** Puts everything back to where no run was yet. */
  begin(): void
  /** The command would refuse to run once more. */
  isDone(): boolean
  /** After a run that was killed. */
  assertNothingHalf(): void
  /** After the last one. */
  assertWhole(): void
}

function scratch(t: TestContext): string {
  t.diagnostic(`SEED=${SEED}`)
  const directory = mkdtempSync(join(tmpdir(), 'killed-runs-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

/** Kills it KILLS times altogether, each time a few in a row, and lets it come to its end. */
async function killAgainAndAgain(
  t: TestContext,
  runs: KilledRuns,
  subject: Subject,
): Promise<void> {
  const { args, steps } = subject
  const random = seededRandom(SEED)
  let [kills, ends] = [0, 0]
  for (; kills < KILLS; ends++) {
    subject.begin()
    for (let row = randomBetween(random, 1, KILLS_IN_A_ROW); row > 0; row--) {
      if (subject.isDone()) break
      if (!(await runs.killedAt(randomBetween(random, 1, steps), args))) break
      kills++
      subject.assertNothingHalf()
    }
    if (!subject.isDone()) await runs.whole(args)
    subject.assertWhole()
  }
  t.diagnostic(`${kills} kills at one of ${steps} calls each, ${ends} ends`)
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
    .filter((name) => !/ringledger-|^checkpoint$|\.bak$/.test(name))
    .map((name) => {
      const bytes = readFileSync(join(root, name))
      if (name.startsWith('index/')) return `index ${digestOf(withoutMilliseconds(bytes))}`
      if (!name.startsWith('config')) return `${name} ${digestOf(bytes)}`
      const text = bytes.toString('utf8')
      return `${name} ${digestOf(text.replace(/"(timestamp|ringledgerChecksum)":"?\w+"?/g, ''))}`
    })
}

/** Of an index file that was cut, the time of the last entry is known to the second. */
function withoutMilliseconds(bytes: Buffer): Buffer {
  const [begin, end] = [bytes.readBigInt64BE(0), bytes.readBigInt64BE(8)]
  bytes.writeBigInt64BE((end - begin) / 1000n, 8)
  return bytes
}

function digestOf(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex')
}

for (const name of ['kill9-5.4.0', 'plain-4.9.4'] as const) {
  test(`a first start on ${name} that is killed again and again recovers the same store`, async (t) => {
    const directory = scratch(t)
    const { segmentBytes } = sampleStore(name)
    const [store, whole] = [join(directory, 'store'), join(directory, 'whole')]
    const argsOf = (root: string) => [RUNNER, 'recover', root, String(segmentBytes)]
    unpackStore(name, whole)
    const runs = new KilledRuns(directory)
    const steps = await runs.whole(argsOf(whole))
    const log = contentOf(join(whole, 'commitlog'))
    await killAgainAndAgain(t, runs, {
      args: argsOf(store),
      steps,
      begin: () => {
        rmSync(store, { recursive: true, force: true })
        unpackStore(name, store)
      },
      isDone: () => false,
      assertNothingHalf: () => {
        // But for its last file, which is closed, and one that was made ahead.
        const untouched = log.slice(0, -1)
        const found = contentOf(join(store, 'commitlog'))
        assert.deepEqual(found.slice(0, untouched.length), untouched)
      },
      assertWhole: () => assert.deepEqual(contentOf(store), contentOf(whole)),
    })
  })
}

test('a rollback that is killed again and again comes to the same end', async (t) => {
  const directory = scratch(t)
  const [store, whole, target] = ['store', 'whole', 'target'].map((name) => join(directory, name))
  const plain = closedPlain(someMessages(300), SEGMENT_BYTES)
  const entries = Array.from({ length: ENTRIES }, (_, index) => entryOf(index))
  writeMember(store!, layOutMember(entries, { segmentBytes: SEGMENT_BYTES, plain }))
  const source = contentOf(store!)
  const runs = new KilledRuns(directory)
  const steps = await runs.whole([RUNNER, 'rollback', store!, whole!])
  await killAgainAndAgain(t, runs, {
    args: [RUNNER, 'rollback', store!, target!],
    steps,
    begin: () => rmSync(target!, { recursive: true, force: true }),
    isDone: () => existsSync(target!),
    assertNothingHalf: () => {
      if (existsSync(target!)) assert.deepEqual(contentOf(target!), contentOf(whole!))
    },
    assertWhole: () => {
      assert.deepEqual(contentOf(target!), contentOf(whole!))
      assert.deepEqual(contentOf(store!), source)
      assert.ok(!existsSync(`${target}.part`))
    },
  })
})

test('an adoption that is killed again and again is whole in the end, and marked until then', async (t) => {
  const directory = scratch(t)
  const [from, store, trial] = ['from', 'store', 'trial'].map((name) => join(directory, name))
  writeStore(from!, layOut(someMessages(2000), SEGMENT_BYTES))
  writeStore(trial!, layOut(someMessages(1500, 2), SEGMENT_BYTES))
  const [log, otherLog] = [join(store!, 'commitlog'), join(from!, 'commitlog')]
  const before = contentOf(join(trial!, 'commitlog'))
  const original = join(directory, 'original')
  cpSync(trial!, original, { recursive: true })
  const runs = new KilledRuns(directory)
  const steps = await runs.whole([RUNNER, 'adopt', from!, trial!])
  const marker = join(store!, 'upgrade-adopt.json')
  const aside = (): string | undefined =>
    readdirSync(store!).find((name) => name.startsWith('commitlog.replaced'))
  await killAgainAndAgain(t, runs, {
    args: [RUNNER, 'adopt', from!, store!],
    steps,
    begin: () => {
      rmSync(store!, { recursive: true, force: true })
      cpSync(original, store!, { recursive: true })
    },
    isDone: () => aside() !== undefined && !existsSync(marker),
    assertNothingHalf: () => {
      if (aside() === undefined) assert.deepEqual(contentOf(log), before)
      else assert.ok(existsSync(marker) || existsSync(log))
    },
    assertWhole: () => {
      assert.deepEqual(contentOf(log), contentOf(otherLog))
      assert.deepEqual(contentOf(join(store!, aside()!)), before)
      assert.ok(!existsSync(marker))
    },
  })
})

test('an apply that is killed again and again keeps one whole configuration, and the old one', async (t) => {
  const directory = scratch(t)
  const conf = join(directory, 'broker.conf')
  const old = `brokerName=broker-a\nbrokerRole=SYNC_MASTER\n${'# a remark\n'.repeat(500)}`
  const argsOf = (path: string) => {
    const peers = 'n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-10.0.0.3:40911'
    const group = ['--group', 'broker-a', '--peers', peers, '--self', 'n0', '--write']
    return [join(ROOT, 'packages/cli/bin/mqadmin.mjs'), 'upgrade', 'apply', path, ...group]
  }
  const runs = new KilledRuns(directory)
  const trial = join(directory, 'trial.conf')
  writeFileSync(trial, old)
  const steps = await runs.whole(argsOf(trial))
  const written = readFileSync(trial, 'utf8')
  const backups = (): string[] =>
    readdirSync(directory).filter((name) => name.startsWith('broker.conf.bak-'))
  const textOf = (name: string): string => readFileSync(join(directory, name), 'utf8')
  await killAgainAndAgain(t, runs, {
    args: argsOf(conf),
    steps,
    begin: () => {
      for (const name of backups()) rmSync(join(directory, name))
      writeFileSync(conf, old)
    },
    isDone: () => false,
    assertNothingHalf: () => {
      assert.ok([old, written].includes(textOf('broker.conf')))
      for (const name of backups()) assert.equal(textOf(name), old)
      if (textOf('broker.conf') === written) assert.ok(backups().length > 0)
    },
    assertWhole: () => {
      assert.equal(textOf('broker.conf'), written)
      assert.ok(backups().length > 0)
      for (const name of backups()) assert.equal(textOf(name), old)
      assert.ok(!existsSync(`${conf}.tmp`))
    },
  })
})
