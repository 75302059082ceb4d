import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type BrokerHandler, captured, type FakeBroker, FakeCluster } from '../cluster-fake.ts'

const OFFLINE: readonly [number, BrokerHandler] = [203, () => captured('connectionsOffline')]
const ONLINE: readonly [number, BrokerHandler] = [203, () => captured('connectionsOnline')]
const STATS: readonly [number, BrokerHandler] = [208, () => captured('consumeStats')]

async function started(
  t: TestContext,
  ...handlers: (readonly [number, BrokerHandler])[]
): Promise<{ cluster: FakeCluster; broker: FakeBroker }> {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  const broker = await cluster.addBroker('broker-a', 0, ['Cap54Order', '%RETRY%GID_O_54'], handlers)
  return { cluster, broker }
}

test('consumerProgress -g shows what waits in each queue', async (t) => {
  const { cluster, broker } = await started(t, STATS)
  const { code, out } = await cluster.run('consumerProgress', '-g', 'GID_O_54')
  assert.equal(code, 0)
  assert.match(
    out,
    /^Topic +Broker +Queue +Broker offset +Consumer offset +Waiting +In flight +Last/,
  )
  assert.match(out, /\nCap54Order +broker-a +1 +2 +2 +0 +0 +\d{4}-/)
  assert.match(out, /\nCap54Order +broker-a +3 +0 +0 +0 +0 +-\n/)
  assert.match(out, /\nWaiting in all +0\n$/)
  assert.deepEqual(broker.asked(208), [{ consumerGroup: 'GID_O_54' }])
  await cluster.run('consumerProgress', '-g', 'GID_O_54', '-t', 'Cap54Order')
  assert.equal(broker.asked(208)[1]?.topic, 'Cap54Order')
})

test('consumerProgress counts what is pulled and what waits', async (t) => {
  const queue = '{"brokerName":"broker-a","queueId":0,"topic":"T"}'
  const offsets = '{"brokerOffset":9007199254740990,"consumerOffset":40,"pullOffset":72}'
  const body = Buffer.from(`{"consumeTps":1.5,"offsetTable":{${queue}:${offsets}}}`)
  const { cluster } = await started(t, [208, () => ({ code: 0, body })])
  const progress = await cluster.json('consumerProgress', '-g', 'GID_O_54')
  assert.deepEqual(progress, {
    group: 'GID_O_54',
    consumeTps: 1.5,
    diffTotal: 9007199254740950,
    queues: [
      {
        topic: 'T',
        broker: 'broker-a',
        queueId: 0,
        brokerOffset: 9007199254740990,
        consumerOffset: 40,
        pullOffset: 72,
        diff: 9007199254740950,
        inflight: 32,
        lastTimestamp: 0,
      },
    ],
  })
})

test('consumerProgress -s true names the member of each queue', async (t) => {
  const { cluster, broker } = await started(t, STATS, ONLINE, [307, () => captured('runningInfo')])
  const { code, out } = await cluster.run('consumerProgress', '-g', 'GID_O_54', '-s', 'true')
  assert.equal(code, 0)
  assert.match(out, /Consumer offset +Client +Waiting/)
  assert.equal(broker.asked(307)[0]?.clientId, '192.0.2.2@livec')
})

test('consumerProgress lists every group, online or not', async (t) => {
  const online = await started(t, STATS, ONLINE)
  const { out } = await online.cluster.run('consumerProgress')
  assert.match(out, /\nGID_O_54 +1 +V5_4_0 +CONSUME_PASSIVELY +CLUSTERING +0\.00 +0\n$/)
  const offline = await started(t, STATS, OFFLINE)
  assert.deepEqual(await offline.cluster.json('consumerProgress'), [
    { group: 'GID_O_54', members: 0, consumeTps: 0, diffTotal: 0 },
  ])
})

test('consumerConnection shows members once and their subscriptions', async (t) => {
  const { cluster } = await started(t, ONLINE)
  await cluster.addBroker('broker-b', 0, ['%RETRY%GID_O_54'], [ONLINE])
  const { out } = await cluster.run('consumerConnection', '-g', 'GID_O_54')
  assert.equal(out.match(/192\.0\.2\.2@livec/g)?.length, 1)
  assert.match(out, /\n192\.0\.2\.2@livec +127\.0\.0\.1:36094 +JAVA +V5_4_0\n/)
  assert.match(out, /\nCap54Normal +\* +TAG\n/)
  assert.match(out, /\nMessage model +CLUSTERING\n/)
})

test('consumerConnection says when nobody is online', async (t) => {
  const { cluster, broker } = await started(t, OFFLINE)
  const { code, out } = await cluster.run('consumerConnection', '-g', 'g', '-b', broker.address)
  assert.deepEqual([code, out], [0, 'no member of the group g is online\n'])
})

test('a group without a retry topic is looked for on every broker', async (t) => {
  const nothing = Buffer.from('{"consumeTps":0.0,"offsetTable":{}}')
  const { cluster, broker } = await started(t, OFFLINE, [208, () => ({ code: 0, body: nothing })])
  const connection = await cluster.run('consumerConnection', '-g', 'new')
  assert.deepEqual([connection.code, connection.out], [0, 'no member of the group new is online\n'])
  const progress = await cluster.run('consumerProgress', '-g', 'new')
  assert.equal(progress.code, 0)
  assert.match(progress.out, /^no broker knows an offset of the group new: it has consumed nothing/)
  assert.deepEqual(broker.asked(208), [{ consumerGroup: 'new' }])
})

test('updateSubGroup changes what is named and keeps the rest', async (t) => {
  const { cluster, broker } = await started(
    t,
    [352, () => ({ code: 0, body: Buffer.from('{"groupName":"g","retryQueueNums":3}') })],
    [200, () => captured('updateGroup')],
  )
  const argv = ['-c', 'RaftCluster', '-g', 'g', '-r', '5', '-o', 'true']
  const { code, out } = await cluster.run('updateSubGroup', ...argv)
  assert.equal(code, 0)
  assert.match(out, /\nretryMaxTimes +5\n/)
  const sent = JSON.parse(broker.requests.at(-1)?.body.toString() ?? '')
  assert.deepEqual(
    [sent.groupName, sent.retryMaxTimes, sent.retryQueueNums, sent.consumeMessageOrderly],
    ['g', 5, 3, true],
  )
})

test('updateSubGroup creates a group with the defaults of RocketMQ', async (t) => {
  const { cluster, broker } = await started(
    t,
    [352, () => ({ code: 26, remark: 'not exist' })],
    [200, () => captured('updateGroup')],
  )
  const policy = '{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000,5000]}}'
  await cluster.run('updateSubGroup', '-b', broker.address, '-g', 'new', '-p', policy)
  const sent = JSON.parse(broker.requests.at(-1)?.body.toString() ?? '')
  assert.equal(sent.retryMaxTimes, 16)
  assert.deepEqual(sent.groupRetryPolicy, JSON.parse(policy))
})

test('resetOffsetByTime moves every queue and shows where to', async (t) => {
  const { cluster, broker } = await started(t, [222, () => captured('resetOffset')])
  const argv = ['-g', 'GID_C_54', '-t', 'Cap54Order', '-s', '1795407443151']
  const { code, out } = await cluster.run('resetOffsetByTime', ...argv)
  assert.equal(code, 0)
  assert.match(out, /^Broker +Queue +New offset\nbroker-a +0 +2\n/)
  assert.deepEqual(broker.asked(222), [
    {
      group: 'GID_C_54',
      topic: 'Cap54Order',
      timestamp: '1795407443151',
      isForce: 'true',
      queueId: '-1',
      offset: '-1',
    },
  ])
  await cluster.run('resetOffsetByTime', ...argv.slice(0, 4), '-s', 'now', '-q', '2', '-o', '7')
  const { timestamp, queueId, offset } = broker.asked(222)[1] ?? {}
  assert.deepEqual([timestamp, queueId, offset], ['-1', '2', '7'])
})
