import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { captured, FakeCluster } from '../cluster-fake.ts'

async function started(t: TestContext): Promise<FakeCluster> {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  return cluster
}

test('topicList lists every topic in order', async (t) => {
  const cluster = await started(t)
  await cluster.addBroker('b', 0, ['T2', 'T1'])
  assert.equal((await cluster.run('topicList')).out, 'SELF_TEST_TOPIC\nT1\nT2\nTBW102\n')
  assert.deepEqual(await cluster.json('topicList'), ['SELF_TEST_TOPIC', 'T1', 'T2', 'TBW102'])
})

test('topicList -c shows the groups that read each topic', async (t) => {
  const cluster = await started(t)
  await cluster.addBroker(
    'b',
    0,
    ['Cap54Req'],
    [[300, ({ ext }) => (ext.topic === 'Cap54Req' ? captured('groupsOfTopic') : { code: 17 })]],
  )
  assert.deepEqual(await cluster.json('topicList', '-c'), [
    { cluster: 'RaftCluster', topic: 'Cap54Req', group: 'GID_R_54' },
    { cluster: 'RaftCluster', topic: 'SELF_TEST_TOPIC' },
    { cluster: 'RaftCluster', topic: 'TBW102' },
  ])
})

test('topicRoute shows every address that serves a topic', async (t) => {
  const cluster = await started(t)
  await cluster.register('b', 0, '10.0.0.1:30911', ['T'])
  await cluster.register('b', 2, '10.0.0.2:30911', [])
  const { out } = await cluster.run('topicRoute', '-t', 'T')
  const rows = out.trimEnd().split('\n').slice(1)
  assert.match(rows[0] ?? '', /^RaftCluster +b +0 +10\.0\.0\.1:30911 +4 +4 +RW$/)
  assert.match(rows[1] ?? '', /^RaftCluster +b +2 +10\.0\.0\.2:30911 +4 +4 +RW$/)
  const route = (await cluster.json('topicRoute', '-t', 'T')) as { queueDatas: object[] }
  assert.equal(route.queueDatas.length, 1)
})

test('a topic that nobody serves is an error with the way out', async (t) => {
  const cluster = await started(t)
  for (const command of ['topicRoute', 'topicStatus']) {
    const { code, err } = await cluster.run(command, '-t', 'T')
    assert.equal(code, 1)
    assert.match(err, /no broker serves the topic T\n {2}see the topics with: mqadmin topicList/)
  }
})

test('topicStatus shows the offsets of each queue', async (t) => {
  const cluster = await started(t)
  const broker = await cluster.addBroker(
    'broker-a',
    0,
    ['Cap54Normal'],
    [[202, () => captured('topicStats')]],
  )
  const status = (await cluster.json('topicStatus', '-t', 'Cap54Normal')) as { queues: object[] }
  assert.deepEqual(status.queues[2], {
    broker: 'broker-a',
    queueId: 2,
    minOffset: 0,
    maxOffset: 4,
    lastUpdateTimestamp: 1795407375835,
  })
  assert.deepEqual(broker.asked(202), [{ topic: 'Cap54Normal' }])
  const { out } = await cluster.run('topicStatus', '-t', 'Cap54Normal', '-c', 'RaftCluster')
  assert.match(out, /\nbroker-a +2 +0 +4 +\d{4}-\d{2}-\d{2} /)
})

test('updateTopic asks the leader of each broker name', async (t) => {
  const cluster = await started(t)
  const create = [[17, () => captured('createTopic')]] as const
  const leader = await cluster.addBroker('b', 0, ['A'], create)
  const follower = await cluster.addBroker('b', 1, [], create)
  const { code, out } = await cluster.run('updateTopic', '-c', 'RaftCluster', '-t', 'N', '-r', '3')
  assert.equal(code, 0)
  assert.match(out, new RegExp(`\nN +${leader.address} +3 +8 +6\n`))
  assert.deepEqual(leader.asked(17), [
    {
      topic: 'N',
      defaultTopic: 'TBW102',
      readQueueNums: '3',
      writeQueueNums: '8',
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
      attributes: '',
      force: 'false',
    },
  ])
  assert.deepEqual(follower.requests, [])
})

test('an ordered topic is listed at the name servers, and goes with its topic', async (t) => {
  const cluster = await started(t)
  const handlers = [
    [17, () => captured('createTopic')],
    [215, () => captured('deleteTopic')],
  ] as const
  const { address } = await cluster.addBroker('b', 0, ['A', 'N'], handlers)
  const broker = await cluster.run('updateTopic', '-b', address, '-t', 'N', '-w', '4', '-o', 'true')
  assert.equal(broker.code, 0)
  const settings = await cluster.askNameServer(101, { namespace: 'ORDER_TOPIC_CONFIG', key: 'N' })
  assert.equal(settings.ext.value, 'b:4')

  const deleted = await cluster.run('deleteTopic', '-c', 'RaftCluster', '-t', 'N')
  assert.equal(deleted.out, `deleted the topic N from RaftCluster (${address})\n`)
  const gone = await cluster.askNameServer(101, { namespace: 'ORDER_TOPIC_CONFIG', key: 'N' })
  assert.equal(gone.code, 22)
  assert.deepEqual(await cluster.json('topicList'), ['A', 'SELF_TEST_TOPIC', 'TBW102'])
})

test('without a leader nothing is changed', async (t) => {
  const cluster = await started(t)
  const follower = await cluster.addBroker('b', 1, [])
  for (const command of ['updateTopic', 'deleteTopic']) {
    const { code, err } = await cluster.run(command, '-c', 'RaftCluster', '-t', 'N')
    assert.equal(code, 1)
    assert.match(err, /the broker b has no leader now/)
  }
  assert.deepEqual(follower.requests, [])
})
