/**
 * A real plain store, served and written to in DLedger mode, then rolled back: the plain store that
 * comes out holds every message, old and new, and goes on where the group stopped. Here our own
 * broker reads it, as any plain store; with APACHE_STORE set to a directory it is left there too.
 */
import assert from 'node:assert/strict'
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
import { test } from 'node:test'
import { parseLenientJson, RequestCode, SystemTopic } from '@ringledger/protocol'
import { Cluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { ask } from '../harness/name-server.ts'
import { ROOT, runCommand } from '../support/run-command.ts'
import { BrokerReader, type Stored } from './broker-reader.ts'
import { sampleStore, unpackStore } from './sample-stores.ts'

const SAMPLE = 'plain-4.9.4'
const TOPIC = 'FixTopicB'
const DELAYED_QUEUE = 3
const NEW_TOPIC = 'MadeInTheGroup'
/** It comes with the old store. */
const OLD_GROUP = 'GID_fix_retry'
const DUE = 3
const WAITING = 4
const LAST_LEVEL = 18
const NEW_MESSAGES = 60

interface Group {
  readonly sent: Stored[]
  readonly committed: number
}

/** Messages of every kind that a group adds to an old store. */
async function writeInGroup(cluster: Cluster): Promise<Group> {
  const address = cluster.addressOf('n0')
  await cluster.createTopic(NEW_TOPIC, 4)
  const reader = await BrokerReader.connect(address)
  const sent: Stored[] = []
  try {
    for (let index = 0; index < NEW_MESSAGES; index++) {
      const topic = index % 2 === 0 ? TOPIC : NEW_TOPIC
      sent.push(await reader.send(topic, 0, `new ${index} `.repeat(40), `new-${index}`))
    }
    for (const level of [...Array(WAITING).fill(LAST_LEVEL), ...Array(DUE).fill(1)]) {
      const delay = `DELAY\u0001${level}\u0002`
      await reader.send(NEW_TOPIC, DELAYED_QUEUE, 'later', 'later', delay)
    }
    await eventually(
      async () => {
        const delivered = await reader.queue(NEW_TOPIC, DELAYED_QUEUE)
        return delivered.length === DUE ? true : undefined
      },
      { what: 'the delayed messages that are due' },
    )
  } finally {
    reader.close()
  }
  const committed = 7
  const ext = {
    consumerGroup: OLD_GROUP,
    topic: NEW_TOPIC,
    queueId: '0',
    commitOffset: String(committed),
  }
  await ask(address, { code: RequestCode.UPDATE_CONSUMER_OFFSET, ext })
  return { sent, committed }
}

async function assertServes(address: string, { sent, committed }: Group): Promise<void> {
  const reader = await BrokerReader.connect(address)
  try {
    await reader.assertHolds(sampleStore(SAMPLE))
    for (const [index, { topic, queueId, queueOffset }] of sent.entries()) {
      const found = (await reader.queue(topic, queueId)).find(
        (one) => one.queueOffset === queueOffset,
      )
      assert.equal(found?.body.toString(), `new ${index} `.repeat(40))
      assert.equal(found?.properties.get('KEYS'), `new-${index}`)
    }
    assert.equal((await reader.queue(NEW_TOPIC, DELAYED_QUEUE)).length, DUE)
    assert.equal(await reader.consumerOffset(NEW_TOPIC, OLD_GROUP, 0), committed)
    const next = await reader.send(NEW_TOPIC, 0, 'behind', 'behind')
    assert.equal(next.queueOffset, NEW_MESSAGES / 2)
  } finally {
    reader.close()
  }
}

async function mqadmin(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(process.execPath, [
    join(ROOT, 'packages/cli/bin/mqadmin.mjs'),
    'upgrade',
    ...args,
  ])
  assert.equal(code, 0, stderr)
  return stdout
}

function levelsOf(store: string): Record<string, number> {
  const text = readFileSync(join(store, 'config', 'delayOffset.json'), 'utf8')
  const { offsetTable } = parseLenientJson(text) as { offsetTable: Record<string, number> }
  return { ...offsetTable }
}

/** Delayed messages of the sample that its broker had not delivered. */
function pendingOf(store: string): number {
  const levels = levelsOf(store)
  return sampleStore(SAMPLE).messages.filter(({ topic, queueId, queueOffset }) => {
    return topic === SystemTopic.SCHEDULE && queueOffset >= (levels[queueId + 1] ?? 0)
  }).length
}

function namesAndTimes(store: string): string[] {
  const names = readdirSync(store, { recursive: true, encoding: 'utf8' })
  return names.map((name) => {
    const { size, mtimeMs } = statSync(join(store, name))
    return `${name} ${size} ${mtimeMs}`
  })
}

async function stopped(cluster: Cluster): Promise<string> {
  await cluster.kill('n0', 'SIGTERM')
  const store = cluster.storeOf('n0')
  assert.ok(!existsSync(join(store, 'abort')))
  return store
}

test('an upgraded store that is rolled back is served as a plain one, to the last message', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'rollback-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const { settings, messages } = sampleStore(SAMPLE)
  const config = join(directory, 'broker.conf')
  writeFileSync(
    config,
    Object.entries(settings)
      .map((pair) => `${pair.join('=')}\n`)
      .join(''),
  )
  const plain = join(directory, 'plain')
  let overdue = 0
  const group = await Cluster.start({
    nodes: 1,
    settings,
    prepare: (_id, store) => {
      unpackStore(SAMPLE, store)
      overdue = pendingOf(store)
    },
  })
  t.after(() => group.stop())
  const written = await writeInGroup(group)
  const store = await stopped(group)
  const before = namesAndTimes(store)
  const report = JSON.parse(
    await mqadmin('rollback', store, '--to', plain, '--config', config, '--json'),
  )
  assert.equal(report.unmovedMessages, messages.length)
  // What was delayed in the old store is due by now: the group delivered it.
  const added = NEW_MESSAGES + WAITING + 2 * DUE + overdue
  assert.equal(report.messages, messages.length + added)
  assert.deepEqual(report.built.shortQueues, [])
  assert.deepEqual(namesAndTimes(store), before)
  const checked = JSON.parse(await mqadmin('check', plain, '--json'))
  assert.equal(checked.messages, report.messages)
  assert.deepEqual(checked.problems, [])
  assert.ok(!readdirSync(join(plain, 'consumequeue')).includes(SystemTopic.STATE))
  assert.deepEqual(levelsOf(plain), levelsOf(store))
  if (process.env.APACHE_STORE !== undefined) {
    cpSync(plain, process.env.APACHE_STORE, { recursive: true, preserveTimestamps: true })
    writeFileSync(`${process.env.APACHE_STORE}.json`, JSON.stringify(written))
  }
  const again = await Cluster.start({
    nodes: 1,
    settings,
    prepare: (_id, root) => cpSync(plain, root, { recursive: true, preserveTimestamps: true }),
  })
  t.after(() => again.stop())
  await assertServes(again.addressOf('n0'), written)
})
