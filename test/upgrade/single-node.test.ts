/**
 * A store of a real plain broker opened in DLedger mode by one node: all of it is served, new
 * messages go behind it, and neither a restart nor kill -9 changes anything of that.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { useCluster } from '../harness/cluster.ts'
import { SampleNode } from './sample-node.ts'
import { type SampleStore, sampleStore, unpackStore } from './sample-stores.ts'

const ENTRY_HEADER_BYTES = 48

for (const name of ['plain-4.9.4', 'kill9-5.4.0'] as const) {
  describe(`one node on ${name}`, () => {
    const sample = sampleStore(name)
    const cluster = useCluster({
      nodes: 1,
      settings: sample.settings,
      prepare: (_id, store) => unpackStore(name, store),
    })
    const node = new SampleNode({ cluster, topic: 'FixTopicB', body: 'new'.repeat(100) })
    const { sent } = node

    const assertAll = (): Promise<void> =>
      node.use(async (reader) => {
        await reader.assertHolds(sample)
        for (const message of sent) {
          const queue = await reader.queue(message.topic, message.queueId)
          const found = queue.find(({ queueOffset }) => queueOffset === message.queueOffset)
          assert.equal(found?.physicalOffset, message.physicalOffset)
        }
      })

    test('serves every old message by queue offset, offset id, key and time', assertAll)

    test('puts new messages behind the old log, with the next queue offsets', async () => {
      await node.send(40)
      const dividedPosition = dividedPositionOf(sample)
      const queueEnd = sample.messages.filter(({ topic }) => topic === 'FixTopicB').length
      assert.deepEqual(
        sent.map(({ queueOffset }) => queueOffset),
        sent.map((_, at) => queueEnd + at),
      )
      assert.ok(sent.every(({ physicalOffset }) => physicalOffset > dividedPosition))
      const [first] = readdirSync(join(cluster().storeOf('n0'), 'dledger-n0/data'))
      assert.equal(Number(first), dividedPosition)
      assert.ok(sent[0]!.physicalOffset - dividedPosition >= ENTRY_HEADER_BYTES)
    })

    test('serves old and new messages after an orderly stop', () =>
      node.goesOnAfter('SIGTERM', assertAll))

    test('serves old and new messages after kill -9', () => node.goesOnAfter('SIGKILL', assertAll))
  })
}

function dividedPositionOf({ messages, segmentBytes }: SampleStore): number {
  return (Math.floor(messages.at(-1)!.physicalOffset / segmentBytes) + 1) * segmentBytes
}
