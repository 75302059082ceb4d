import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeCluster } from '../cluster-fake.ts'

const DELETE_EXPIRED = 329
const CLEAN_QUEUES = 306

test('the cleaning commands ask one broker, or every node of the cluster', async (t) => {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  const ok = () => ({ code: 0 })
  const handlers = [
    [DELETE_EXPIRED, ok],
    [CLEAN_QUEUES, ok],
  ] as const
  const leader = await cluster.addBroker('b', 0, [], [...handlers])
  const follower = await cluster.addBroker('b', 2, [], [...handlers])
  const all = await cluster.run('deleteExpiredCommitLog', '-c', 'RaftCluster')
  assert.deepEqual([all.code, all.err], [0, ''])
  assert.match(all.out, /^success: /)
  const one = await cluster.json('cleanExpiredCQ', '-b', follower.address)
  assert.deepEqual(one, { brokers: [follower.address] })
  assert.equal(leader.asked(DELETE_EXPIRED).length, 1)
  assert.equal(follower.asked(DELETE_EXPIRED).length, 1)
  assert.equal(leader.asked(CLEAN_QUEUES).length, 0)
  assert.equal(follower.asked(CLEAN_QUEUES).length, 1)
  assert.equal((await cluster.run('cleanExpiredCQ')).code, 64)
})
