import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, encodeBatch, type StoredMessage } from '@ringledger/protocol'
import { TestBroker, type TestRequest } from '../broker-agent-fake.ts'
import { defaultGroupConfig } from '../state/configs.ts'

interface Send {
  topic: string
  queueId?: number
  properties?: string
  body?: string | Buffer
  defaultTopic?: string
  reconsumeTimes?: number
  maxReconsumeTimes?: number
  batch?: boolean
  sysFlag?: number
}

function sendRequest(send: Send): TestRequest {
  const ext: Record<string, string> = {
    a: 'P',
    b: send.topic,
    c: send.defaultTopic ?? 'TBW102',
    d: '4',
    e: String(send.queueId ?? 0),
    f: String(send.sysFlag ?? 0),
    g: '1795407239331',
    h: '0',
    i: send.properties ?? 'UNIQ_KEY\u0001KEY1\u0002TAGS\u0001A\u0002',
    j: String(send.reconsumeTimes ?? 0),
    m: String(send.batch ?? false),
  }
  if (send.maxReconsumeTimes !== undefined) ext.l = String(send.maxReconsumeTimes)
  return { code: send.batch ? 320 : 310, ext, body: send.body ?? 'hello' }
}

function messageAt(broker: TestBroker, topic: string, queueId: number, offset = 0): StoredMessage {
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  const queue = broker.store.queues.find(topic, queueId)
  assert.ok(queue?.unitAt(offset, unit), `there is a message in ${topic} ${queueId} ${offset}`)
  const bytes = Buffer.alloc(unit.sizeBytes)
  assert.ok(broker.store.reader.read(unit.physicalOffset, unit.sizeBytes, bytes, 0))
  return decodeMessage(bytes, 0)
}

function leader(t: { after(callback: () => void): void }, ...settings: object[]): TestBroker {
  const broker = new TestBroker(Object.assign({}, ...settings)).lead()
  t.after(() => broker.close())
  return broker
}

test('a send to an unknown topic makes it from the default topic and is then stored', (t) => {
  const broker = leader(t)
  const answer = broker.request(sendRequest({ topic: 'New', queueId: 3 }))
  assert.equal(answer?.code, 0)
  assert.equal(answer?.ext.transactionId, 'KEY1')
  const config = broker.agent.context.topics.get('New')
  assert.deepEqual([config?.readQueueNums, config?.writeQueueNums, config?.perm], [4, 4, 6])
  const published = broker.port.published.get('New')
  assert.equal(published?.fast, true)
  const stored = messageAt(broker, 'New', 3)
  assert.equal(stored.body.toString(), 'hello')
  assert.equal(stored.properties.get('MSG_REGION'), 'DefaultRegion')
  assert.equal(stored.properties.get('CLUSTER'), 'DefaultCluster')
})

test('sends that wait for the same new topic make one record and all are stored', (t) => {
  const broker = leader(t)
  broker.port.autoCommit = false
  const opaques = [0, 1, 2].map((queueId) => broker.post(sendRequest({ topic: 'New', queueId })))
  broker.run()
  assert.deepEqual(
    opaques.map((opaque) => broker.answerTo(opaque)),
    [undefined, undefined, undefined],
  )
  broker.port.commit()
  broker.run()
  broker.port.commit()
  broker.run()
  assert.deepEqual(
    opaques.map((opaque) => broker.answerTo(opaque)?.code),
    [0, 0, 0],
  )
})

test('a send fails with its topic when the leadership goes meanwhile', (t) => {
  const broker = leader(t)
  broker.port.autoCommit = false
  const opaque = broker.post(sendRequest({ topic: 'New' }))
  broker.run()
  broker.port.abort('LEADERSHIP_LOST')
  broker.follow(2)
  const answer = broker.answerTo(opaque)
  assert.equal(answer?.code, 14)
  assert.equal(answer?.ext.MSG_REGION, 'DefaultRegion')
})

test('without auto-creation an unknown topic is refused', (t) => {
  const broker = leader(t, { autoCreateTopicEnable: false })
  const answer = broker.request(sendRequest({ topic: 'New' }))
  assert.equal(answer?.code, 17)
  assert.match(answer?.remark ?? '', /topic\[New\] not exist, apply first please/)
})

test('a follower takes no sends', (t) => {
  const broker = leader(t)
  broker.follow(2)
  assert.equal(broker.request(sendRequest({ topic: 'New' }))?.code, 14)
})

test('a busy core is answered with RocketMQ flow control', (t) => {
  const broker = leader(t)
  broker.request(sendRequest({ topic: 'New' }))
  broker.port.refuses = true
  const busy = broker.request(sendRequest({ topic: 'New' }))
  assert.equal(busy?.code, 2)
  assert.match(busy?.remark ?? '', /broker busy/)
  assert.equal(broker.request(sendRequest({ topic: 'Another' }))?.code, 2)
  broker.port.refuses = false
  broker.port.failWith = () => 'DISK_FULL'
  assert.equal(broker.request(sendRequest({ topic: 'New' }))?.code, 14)
})

test('a delayed message goes to the schedule topic and keeps where it belongs', (t) => {
  const broker = leader(t)
  broker.request(sendRequest({ topic: 'New' }))
  const answer = broker.request(
    sendRequest({ topic: 'New', queueId: 2, properties: 'DELAY\u000199\u0002' }),
  )
  assert.deepEqual([answer?.code, answer?.ext.queueId], [0, '2'])
  const stored = messageAt(broker, 'SCHEDULE_TOPIC_XXXX', 17)
  assert.equal(stored.properties.get('DELAY'), '18')
  assert.equal(stored.properties.get('REAL_TOPIC'), 'New')
  assert.equal(stored.properties.get('REAL_QID'), '2')
})

test('transactions and timers are refused as RocketMQ refuses them when they are off', (t) => {
  const broker = leader(t)
  const half = sendRequest({ topic: 'New', properties: 'TRAN_MSG\u0001true\u0002', sysFlag: 4 })
  assert.equal(broker.request(half)?.code, 16)
  const timer = sendRequest({ topic: 'New', properties: 'TIMER_DELAY_SEC\u00015\u0002' })
  assert.equal(broker.request(timer)?.code, 1)
})

test('a message above a limit is illegal', (t) => {
  const broker = leader(t, { maxMessageSize: 1000 })
  broker.request(sendRequest({ topic: 'New' }))
  assert.equal(broker.request(sendRequest({ topic: 'New', body: Buffer.alloc(1001) }))?.code, 13)
  const properties = `a\u0001${'x'.repeat(33_000)}\u0002`
  assert.equal(broker.request(sendRequest({ topic: 'New', properties }))?.code, 13)
})

test('a batch becomes consecutive messages; a malformed one stores nothing', (t) => {
  const broker = leader(t)
  const elements = ['one', 'two', 'three'].map((text) => ({
    flag: 7,
    body: Buffer.from(text),
    properties: Buffer.from(`TAGS\u0001${text}\u0002`),
  }))
  const body = encodeBatch(elements)
  const answer = broker.request(sendRequest({ topic: 'New', batch: true, body, queueId: 1 }))
  assert.deepEqual([answer?.code, answer?.ext.queueOffset], [0, '0'])
  assert.equal(answer?.ext.msgId?.split(',').length, 3)
  for (const [offset, { body: expected }] of elements.entries()) {
    const stored = messageAt(broker, 'New', 1, offset)
    assert.deepEqual([stored.body.toString(), stored.flag], [expected.toString(), 7])
    assert.equal(stored.properties.size, 1)
  }
  const torn = broker.request(
    sendRequest({ topic: 'New', batch: true, body: body.subarray(0, -1), queueId: 1 }),
  )
  assert.equal(torn?.code, 13)
  assert.equal(broker.store.queues.maxOffset('New', 1), 3)
})

test('a retry send beyond its limit, or of an ordered group, goes to the DLQ', (t) => {
  const broker = leader(t)
  const retry = { topic: '%RETRY%G', properties: 'DELAY\u00013\u0002RETRY_TOPIC\u0001New\u0002' }
  assert.equal(broker.request(sendRequest({ ...retry, reconsumeTimes: 16 }))?.code, 0)
  assert.equal(broker.store.queues.maxOffset('SCHEDULE_TOPIC_XXXX', 2), 1)
  assert.equal(broker.request(sendRequest({ ...retry, reconsumeTimes: 17 }))?.code, 0)
  assert.equal(broker.store.queues.maxOffset('%DLQ%G', 0), 1)
  assert.equal(
    broker.request(sendRequest({ ...retry, reconsumeTimes: 3, maxReconsumeTimes: 2 }))?.code,
    0,
  )
  assert.equal(broker.store.queues.maxOffset('%DLQ%G', 0), 2)
  broker.agent.context.locks.lock(
    'G',
    'c',
    [{ topic: 'New', brokerName: 'broker-a', queueId: 0 }],
    broker.clock.monotonicMs(),
  )
  assert.equal(broker.request(sendRequest({ ...retry, reconsumeTimes: 1 }))?.code, 0)
  assert.equal(broker.store.queues.maxOffset('%DLQ%G', 0), 3)
})

test('giving back: levels grow, then the DLQ; nothing without retry queues', (t) => {
  const broker = leader(t)
  broker.request(sendRequest({ topic: 'New' }))
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  broker.store.queues.find('New', 0)?.unitAt(0, unit)
  const back = (ext: Record<string, string>): number | undefined =>
    broker.request({
      code: 36,
      ext: { offset: String(unit.physicalOffset), group: 'G', delayLevel: '0', ...ext },
    })?.code
  assert.equal(back({}), 0)
  assert.equal(messageAt(broker, 'SCHEDULE_TOPIC_XXXX', 2).reconsumeTimes, 1)
  assert.equal(back({ delayLevel: '7' }), 0)
  assert.equal(broker.store.queues.maxOffset('SCHEDULE_TOPIC_XXXX', 6), 1)
  assert.equal(back({ delayLevel: '-1' }), 0)
  assert.equal(messageAt(broker, '%DLQ%G', 0).properties.get('DLQ_ORIGIN_TOPIC'), 'New')
  assert.equal(back({ maxReconsumeTimes: '0' }), 0)
  assert.equal(broker.store.queues.maxOffset('%DLQ%G', 0), 2)
  assert.equal(back({ offset: '12345' }), 1)
  const config = { ...defaultGroupConfig('Quiet'), retryQueueNums: 0 }
  broker.agent.context.changes.propose({ kind: 'group', config }, () => {})
  broker.run()
  assert.equal(back({ group: 'Quiet' }), 0)
  assert.equal(broker.agent.context.topics.get('%RETRY%Quiet'), undefined)
})

test('a topic that grows keeps its offsets', (t) => {
  const broker = leader(t)
  for (let count = 0; count < 3; count++) broker.request(sendRequest({ topic: 'New', queueId: 1 }))
  const config = broker.agent.context.topics.get('New')
  assert.ok(config)
  const grown = { ...config, readQueueNums: 9, writeQueueNums: 9 }
  broker.agent.context.changes.propose({ kind: 'topic', config: grown }, () => {})
  broker.run()
  assert.equal(broker.request(sendRequest({ topic: 'New', queueId: 1 }))?.ext.queueOffset, '3')
  assert.equal(broker.request(sendRequest({ topic: 'New', queueId: 8 }))?.ext.queueOffset, '0')
  broker.agent.context.changes.propose({ kind: 'deleteTopic', topic: 'New' }, () => {})
  broker.run()
  assert.equal(broker.port.published.has('New'), false)
  assert.equal(broker.request(sendRequest({ topic: 'New', queueId: 1 }))?.ext.queueOffset, '0')
})
