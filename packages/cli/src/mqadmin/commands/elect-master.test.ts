import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FakeCluster } from '../cluster-fake.ts'

const ELECT = 1002

async function started(t: TestContext): Promise<FakeCluster> {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  return cluster
}

test('electMaster asks the leader that the name server knows, or the one that is given', async (t) => {
  const cluster = await started(t)
  const elected = { code: 0, ext: { masterBrokerId: '2', masterEpoch: '7' } }
  const broker = await cluster.addBroker('b', 0, [], [[ELECT, () => elected]])
  await cluster.register('b', 2, '127.0.0.1:1', [])
  const { code, out } = await cluster.run('electMaster', '-b', '2')
  assert.deepEqual([code, out], [0, 'broker 2 leads now, in term 7\n'])
  const argv = ['-a', broker.address, '-b', '2', '-bn', 'b', '-c', 'RaftCluster']
  assert.deepEqual(await cluster.json('electMaster', ...argv), { brokerId: 2, term: 7 })
  const [first, second] = broker.asked(ELECT)
  assert.deepEqual(first, { brokerId: '2', designateElect: 'true' })
  assert.deepEqual([second?.brokerName, second?.clusterName], ['b', 'RaftCluster'])
})

test('electMaster says why leadership stayed, and which groups there are', async (t) => {
  const cluster = await started(t)
  const remark = 'leadership was not handed over: n1 is not connected'
  await cluster.addBroker('b', 0, [], [[ELECT, () => ({ code: 2012, remark })]])
  assert.match((await cluster.run('electMaster', '-b', '2')).err, /n1 is not connected/)
  await cluster.register('c', 1, '127.0.0.1:1', [])
  assert.match((await cluster.run('electMaster', '-b', '2')).err, /several groups\n.*b, c/)
  const none = await cluster.run('electMaster', '-b', '2', '--brokerName', 'c')
  assert.match(none.err, /the group c has no leader now/)
  const unknown = await cluster.run('electMaster', '-b', '2', '--brokerName', 'd')
  assert.match(unknown.err, /knows no group d\n.*b, c/)
})
