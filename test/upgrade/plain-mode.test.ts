/**
 * A plain store of a real Master served as it is, without Raft: what it holds, what is written to
 * it, orderly stops, kill -9 and torn ends.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { useCluster } from '../harness/cluster.ts'
import { SampleNode } from './sample-node.ts'
import { sampleStore, unpackStore } from './sample-stores.ts'

const PLAIN = { enableDLegerCommitLog: 'false' }
const TOPIC = 'FixTopicB'

for (const name of ['plain-4.9.4', 'kill9-5.4.0'] as const) {
  describe(`plain mode on ${name}`, () => {
    const sample = sampleStore(name)
    const cluster = useCluster({
      nodes: 1,
      settings: { ...sample.settings, ...PLAIN },
      prepare: (_id, store) => unpackStore(name, store),
    })
    const node = new SampleNode({ cluster, topic: TOPIC, body: 'new'.repeat(1000) })
    const { sent } = node

    const assertAll = (): Promise<void> =>
      node.use(async (reader) => {
        await reader.assertHolds(sample)
        const queue = await reader.queue(TOPIC, 0)
        const ends = queue.slice(-sent.length || queue.length)
        assert.deepEqual(
          sent.map(({ queueOffset, physicalOffset }) => [queueOffset, physicalOffset]),
          sent.length === 0 ? [] : ends.map((one) => [one.queueOffset, one.physicalOffset]),
        )
      })

    /** No entry headers: in a file one message ends where the next one begins. */
    async function assertBackToBack(fileBytes: number): Promise<void> {
      const added = (await node.use((reader) => reader.queue(TOPIC, 0))).slice(-sent.length)
      const fileOf = (position: number): number => Math.floor(position / fileBytes)
      let pairs = 0
      for (const [at, { physicalOffset, totalSize }] of added.entries()) {
        const next = added[at + 1]?.physicalOffset ?? 0
        if (fileOf(next) !== fileOf(physicalOffset)) continue
        assert.equal(next, physicalOffset + totalSize)
        pairs++
      }
      assert.ok(pairs > 0 && pairs < added.length - 1, 'within files, and over the end of one')
    }

    test('serves every old message by queue offset, offset id, key and time', assertAll)

    test('writes new messages right behind them, over the ends of files', async () => {
      await node.send(200)
      await assertAll()
      const store = cluster().storeOf('n0')
      assert.ok(!readdirSync(store).some((name) => name.startsWith('dledger-')))
      const last = sample.messages.at(-1)!
      assert.ok(sent[0]!.physicalOffset >= last.physicalOffset + last.storeSize)
      await assertBackToBack(sample.segmentBytes)
    })

    test('serves old and new messages after an orderly stop', () =>
      node.goesOnAfter('SIGTERM', assertAll))

    test('serves old and new messages after kill -9', () => node.goesOnAfter('SIGKILL', assertAll))

    test('joins a group with all of it', async () => {
      const { directory } = cluster()
      const config = join(directory, 'n0.conf')
      await cluster().kill('n0', 'SIGTERM')
      const text = readFileSync(config, 'utf8')
      writeFileSync(config, text.replace(/^enableDLegerCommitLog=false$/m, ''))
      await cluster().restart('n0')
      await assertAll()
      await node.send(10)
      await assertAll()
      assert.ok(readdirSync(cluster().storeOf('n0')).includes('dledger-n0'))
    })
  })
}
