/**
 * Two more stores that real code of Apache's wrote: a DLedger one of 5.4.0, and one with what
 * brokers seldom have (topics too long for the first message format, IPv6 hosts, light message
 * queues, inner batches, transactions). RMQLOAD: a program that verifies them independently.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { useCluster } from '../harness/cluster.ts'
import { runCommand } from '../support/run-command.ts'
import type { BrokerReader } from './broker-reader.ts'
import { useNode } from './sample-node.ts'
import { manifestPath, type SampleName, sampleStore, unpackStore } from './sample-stores.ts'

const LIGHT_QUEUES = ['%LMQ%alpha', '%LMQ%beta']
const PARENT = 'LmqParent'
const BATCHED = 'BcqTopic'

/** The library wrote none: what an operator's broker would have. */
function writeTopics(store: string, topics: Iterable<string>): void {
  const table = Object.fromEntries(
    [...topics].map((topicName) => [
      topicName,
      { topicName, readQueueNums: 2, writeQueueNums: 2, perm: 6, topicFilterType: 'SINGLE_TAG' },
    ]),
  )
  mkdirSync(join(store, 'config'), { recursive: true })
  writeFileSync(
    join(store, 'config', 'topics.json'),
    JSON.stringify({ dataVersion: { counter: 1, timestamp: 1 }, topicConfigTable: table }),
  )
}

/**
 * The library's only file is shorter than a broker may have them; it holds zeros behind the end.
 */
const LENGTHENED_BYTES = 262_144

function settingsOf(name: SampleName): Readonly<Record<string, string>> {
  const { settings } = sampleStore(name)
  if (name !== 'lib-5.4.0') return settings
  return { ...settings, mappedFileSizeCommitLog: String(LENGTHENED_BYTES) }
}

function prepared(name: SampleName): (id: string, store: string) => void {
  return (_id, store) => {
    unpackStore(name, store)
    if (name !== 'lib-5.4.0') return
    const files = readdirSync(join(store, 'commitlog'))
    assert.equal(files.length, 1)
    truncateSync(join(store, 'commitlog', files[0]!), LENGTHENED_BYTES)
    writeTopics(store, new Set(sampleStore(name).messages.map(({ topic }) => topic)))
  }
}

for (const [name, mode] of [
  ['dledger-5.4.0', 'true'],
  ['lib-5.4.0', 'true'],
  ['lib-5.4.0', 'false'],
] as const) {
  describe(`${name}, enableDLegerCommitLog=${mode}`, () => {
    const sample = sampleStore(name)
    const cluster = useCluster({
      nodes: 1,
      settings: { ...settingsOf(name), enableDLegerCommitLog: mode },
      prepare: prepared(name),
    })

    const use = <T>(ask: (reader: BrokerReader) => Promise<T>): Promise<T> =>
      useNode(cluster(), ask)

    test('every message is served by queue offset, offset id, key and time, after a kill -9 too', async (context) => {
      await use((reader) => reader.assertHolds(sample))
      const program = process.env.RMQLOAD
      // It reads what a client read when the sample was made; the library had none.
      if (program !== undefined && name !== 'lib-5.4.0') {
        const words = ['-broker', cluster().addressOf('n0'), '-manifest', manifestPath(name)]
        const { code, stdout, stderr } = await runCommand(program, ['verify', ...words])
        context.diagnostic(stdout.trim())
        assert.equal(code, 0, stderr)
      }
      await cluster().kill('n0', 'SIGKILL')
      await cluster().restart('n0')
      await use((reader) => reader.assertHolds(sample))
    })

    if (name !== 'lib-5.4.0') return

    test('light queues lead to the messages of their parent, in order', async () => {
      for (const light of LIGHT_QUEUES) {
        const expected = sample.messages.filter(({ properties }) =>
          properties.INNER_MULTI_DISPATCH?.split(',').includes(light),
        )
        const found = await use((reader) => reader.queue(light, 0))
        assert.deepEqual(
          found.map(({ topic, physicalOffset }) => [topic, physicalOffset]),
          expected.map(({ physicalOffset }) => [PARENT, physicalOffset]),
        )
        assert.ok(found.length > 1)
      }
    })

    test('every offset of an inner batch leads to it, and the queue ends behind the last one', async () => {
      const batches = sample.messages.filter(({ topic }) => topic === BATCHED)
      let offset = 0
      for (const { queueOffset, properties, physicalOffset } of batches) {
        assert.equal(queueOffset, offset)
        for (const end = offset + Number(properties.INNER_NUM); offset < end; offset++) {
          const found = await use((reader) => reader.messageAt(BATCHED, 0, offset))
          assert.equal(found.physicalOffset, physicalOffset)
        }
      }
      assert.equal(batches.length, 3)
      assert.equal(await use((reader) => reader.maxOffset(BATCHED, 0)), offset)
    })
  })
}
