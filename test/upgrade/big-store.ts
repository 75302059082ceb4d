/**
 * How long a big killed store takes until it is served, by hand: `node test/upgrade/big-store.ts`
 * with `--gb 10`, `--without queues` (consumequeue/ and index/ deleted), `--cold` (page cache
 * dropped, needs root), `--check` (time of `mqadmin upgrade check` too). Makes the store, starts
 * one node on it in DLedger mode, and says when the first old and the first new message came. With
 * `--complete` it starts three, of which two have the store and one gets it from them.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Cluster } from '../harness/cluster.ts'
import { ROOT } from '../support/run-command.ts'
import {
  BIG_QUEUES,
  BIG_SEGMENT_BYTES,
  BIG_TOPICS,
  bigTopic,
  makeBigStore,
} from './big-plain-store.ts'
import { BrokerReader } from './broker-reader.ts'

const GB = 1_000_000_000
/** Of a check that says: this broker was killed. */
const KILLED_STATUS = 3
const { values } = parseArgs({
  options: {
    gb: { type: 'string', default: '10' },
    without: { type: 'string', default: '' },
    cold: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    complete: { type: 'boolean', default: false },
  },
})

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function timed<Result>(what: string, work: () => Result | Promise<Result>): Promise<Result> {
  const startedMs = performance.now()
  const result = await work()
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  say(`${what}: ${seconds} s (load average ${loadavg()[0]!.toFixed(1)})`)
  return result
}

function dropPageCache(): void {
  execFileSync('sync')
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}

function check(store: string): void {
  const command = join(ROOT, 'packages/cli/bin/mqadmin.mjs')
  const { status } = spawnSync(process.execPath, [command, 'upgrade', 'check', store], {
    stdio: 'inherit',
  })
  assert.equal(status, KILLED_STATUS)
}

const directory = mkdtempSync(join(tmpdir(), 'big-store-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(1))
const made = join(directory, 'store')
const bytes = Number(values.gb) * GB
const store = await timed('store made', () => makeBigStore(made, bytes))
say(`${store.messages} messages, ${store.endOffset} bytes`)
execFileSync('sync')
if (values.check) await timed('mqadmin upgrade check', () => check(made))
if (values.without === 'queues') {
  for (const name of ['consumequeue', 'index', 'checkpoint']) {
    rmSync(join(made, name), { recursive: true })
  }
}
const copy = `${made}-copy`
if (values.complete) cpSync(made, copy, { recursive: true })
if (values.cold) dropPageCache()
const startedMs = performance.now()
const sinceStart = (): string => ((performance.now() - startedMs) / 1000).toFixed(1)
const cluster = await Cluster.start({
  nodes: values.complete ? 3 : 1,
  settings: { mappedFileSizeCommitLog: String(BIG_SEGMENT_BYTES) },
  prepare: (id, place) => {
    if (id === 'n0') renameSync(values.complete ? copy : made, place)
    else if (id === 'n1') renameSync(made, place)
  },
})
try {
  say(`leads and is registered after ${sinceStart()} s (load average ${loadavg()[0]!.toFixed(1)})`)
  const reader = await BrokerReader.connect(cluster.addressOf(await cluster.leader()))
  for (let topic = 0; topic < BIG_TOPICS; topic++) {
    for (let queueId = 0; queueId < BIG_QUEUES; queueId++) {
      for (const at of [0, Math.floor(store.lastQueueOffset / 2), store.lastQueueOffset]) {
        const found = await reader.messageAt(bigTopic(topic), queueId, at)
        assert.equal(found.queueOffset, at, `${bigTopic(topic)}/${queueId} ${at}`)
        const key = found.properties.get('UNIQ_KEY') ?? ''
        const offsets = await reader.offsetsOfUniqueKey(bigTopic(topic), key)
        assert.deepEqual(offsets, [found.physicalOffset], key)
      }
    }
  }
  say(
    `old messages of every queue, first, middle and last, are served, by key too, after ${sinceStart()} s`,
  )
  const sent = await reader.send(bigTopic(1), 1, 'new', 'new')
  assert.ok(sent.queueOffset > store.lastQueueOffset)
  say(`a new message is stored after ${sinceStart()} s`)
  reader.close()
} finally {
  for (const id of cluster.ids) say(cluster.logOf(id).trimEnd())
  await cluster.stop()
  assert.ok(!existsSync(cluster.directory))
}
