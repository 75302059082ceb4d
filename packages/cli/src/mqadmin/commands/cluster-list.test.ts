import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { captured, FakeCluster, runAdmin } from '../cluster-fake.ts'

async function started(t: TestContext): Promise<FakeCluster> {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  return cluster
}

test('clusterList shows leaders, followers and those that do not answer', async (t) => {
  const cluster = await started(t)
  const leader = await cluster.addBroker(
    'RaftNode00',
    0,
    ['A'],
    [[28, () => captured('runtimeInfo')]],
  )
  const silent = await cluster.addBroker('RaftNode00', 2, [])
  const { code, out } = await cluster.run('clusterList')
  assert.equal(code, 0)
  const [head, first, second] = out.trimEnd().split('\n')
  assert.match(
    head ?? '',
    /^Cluster +Broker +Id +Address +Version +In\/s +Out\/s +Queued +Hours +Disk +Active$/,
  )
  assert.match(
    first ?? '',
    new RegExp(
      `^RaftCluster +RaftNode00 +0 +${leader.address} +V5_4_0 +0\\.10 +0\\.10 +0 +\\S+ +\\d+ % +true$`,
    ),
  )
  assert.match(
    second ?? '',
    new RegExp(`^RaftCluster +RaftNode00 +2 +${silent.address} .*no answer$`),
  )
})

test('clusterList --json has every figure of every broker', async (t) => {
  const cluster = await started(t)
  const { address } = await cluster.addBroker('b', 0, ['A'], [[28, () => captured('runtimeInfo')]])
  await cluster.register('b', 1, '127.0.0.1:1', [])
  const brokers = (await cluster.json('clusterList', '-c', 'RaftCluster')) as Record<
    string,
    unknown
  >[]
  assert.deepEqual(
    brokers.map(({ runtime, ...facts }) => facts),
    [
      { cluster: 'RaftCluster', broker: 'b', id: 0, address, answers: true },
      { cluster: 'RaftCluster', broker: 'b', id: 1, address: '127.0.0.1:1', answers: false },
    ],
  )
  const runtime = brokers[0]?.runtime as Record<string, string> | undefined
  assert.equal(runtime?.brokerActive, 'true')
})

test('clusterList -m shows messages by day', async (t) => {
  const cluster = await started(t)
  await cluster.addBroker('b', 0, ['A'], [[28, () => captured('runtimeInfo')]])
  const { out } = await cluster.run('clusterList', '-m')
  assert.match(out, /^Cluster +Broker +Id +In yesterday +In today +Out yesterday +Out today\n/)
  assert.match(out, /\nRaftCluster +b +0 +0 +34 +0 +47\n$/)
})

test('a cluster that is not there is said with those that are', async (t) => {
  const cluster = await started(t)
  const none = await cluster.run('clusterList', '-c', 'Other')
  assert.deepEqual([none.code, none.out], [1, ''])
  assert.match(none.err, /knows no cluster Other\n {2}no broker has registered/)
  await cluster.addBroker('b', 0, ['A'])
  const other = await cluster.run('clusterList', '-c', 'Other')
  assert.match(other.err, /known clusters: RaftCluster/)
})

test('brokerStatus and getBrokerConfig list names and values', async (t) => {
  const cluster = await started(t)
  const handlers = [
    [28, () => captured('runtimeInfo')],
    [26, () => captured('brokerConfig')],
  ] as const
  const { address } = await cluster.addBroker('b', 0, ['A'], handlers)
  const status = await cluster.run('brokerStatus', '-b', address)
  assert.match(status.out, new RegExp(`^${address}:\n`))
  assert.match(status.out, /\nbrokerVersionDesc +V5_4_0\n/)
  const config = (await cluster.json('getBrokerConfig', '-c', 'RaftCluster')) as Record<
    string,
    Record<string, string>
  >
  assert.equal(config[address]?.brokerName, 'broker-a')
})

test('a broker that does not answer is said with its address', async () => {
  const { code, err } = await runAdmin(['brokerStatus', '-b', '127.0.0.1:1'])
  assert.equal(code, 1)
  assert.match(
    err,
    /^mqadmin: the broker at 127\.0\.0\.1:1 does not answer: nobody listens there\n/,
  )
})

test('a refusal is said with its reason and code', async (t) => {
  const cluster = await started(t)
  const { address } = await cluster.addBroker('b', 0, ['A'])
  const { code, err } = await cluster.run('brokerStatus', '-b', address)
  assert.equal(code, 1)
  assert.match(
    err,
    /refused request 28: request type 28 not supported \(REQUEST_CODE_NOT_SUPPORTED, code 3\)/,
  )
})
