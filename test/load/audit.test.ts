import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useCluster } from '../harness/cluster.ts'
import { audit, NOTHING_WRONG } from './audit.ts'
import { flood } from './flood.ts'

const cluster = useCluster({ nodes: 1 })

test('an audit sees what is lost and moved', { timeout: 60_000 }, async () => {
  const { nameServer } = cluster()
  const record = await flood({ nameServer, topic: 'Audited', messages: 500 })
  assert.deepEqual(await audit(nameServer, record), NOTHING_WRONG)
  const { acknowledged } = record
  const [first, second] = acknowledged
  assert.ok(first && second)
  acknowledged[0] = { ...first, queueOffset: first.queueOffset + 1 }
  acknowledged[1] = { ...second, queueId: (second.queueId + 1) % 4 }
  record.add(record.nextSequence(), 0, 1_000_000)
  assert.deepEqual(await audit(nameServer, record), { ...NOTHING_WRONG, moved: 2, lost: 1 })
})
