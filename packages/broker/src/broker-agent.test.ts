import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestCode, ResponseCode } from '@ringledger/protocol'
import { TestBroker } from './broker-agent-fake.ts'

test('a leader serves when it has applied its barrier, and makes the system topics', (t) => {
  const broker = new TestBroker()
  t.after(() => broker.close())
  broker.writeBarrier(3)
  broker.port.role('leader', 3)
  broker.run()
  assert.equal(broker.port.servingTerm, -1)
  assert.equal(broker.agent.context.role.serving, false)
  broker.port.commit()
  broker.run()
  assert.equal(broker.port.servingTerm, 3)
  assert.equal(broker.agent.context.role.serving, true)
  for (const topic of ['TBW102', 'DefaultCluster', 'broker-a', 'SCHEDULE_TOPIC_XXXX']) {
    assert.ok(broker.port.published.has(topic), topic)
  }
  assert.ok(broker.topicReports > 0)
})

test('an unknown code is answered as RocketMQ does', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  const answer = broker.request({ code: 99_999 })
  assert.equal(answer?.code, ResponseCode.REQUEST_CODE_NOT_SUPPORTED)
  assert.equal(answer?.remark, ' request type 99999 not supported')
})

test('a one-way request is never answered, not even with an error', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  broker.request({ code: 99_999, oneWay: true })
  broker.request({ code: RequestCode.PULL_MESSAGE, oneWay: true })
  broker.request({ code: RequestCode.HEART_BEAT, oneWay: true, body: '{"clientID":"c"}' })
  assert.deepEqual(broker.frames(), [])
})

const SEND = { a: 'P', b: 'T', c: 'TBW102', d: '4', e: '0', f: '0', g: '1', h: '0', i: '' }

test('a new leader hands core the offsets of every queue as the log has them', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  for (let count = 0; count < 3; count++) {
    assert.equal(broker.request({ code: 310, ext: SEND })?.ext.queueOffset, String(count))
  }
  broker.follow(2)
  assert.equal(broker.request({ code: 310, ext: SEND })?.code, ResponseCode.SERVICE_NOT_AVAILABLE)
  broker.restart(false)
  broker.lead(3)
  assert.equal(broker.port.servingTerm, 3)
  assert.equal(broker.request({ code: 310, ext: SEND })?.ext.queueOffset, '3')
})

test('a leader of a new term serves only when that term’s barrier is applied', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  broker.port.autoCommit = false
  broker.writeBarrier(2)
  broker.port.role('leader', 2)
  broker.run()
  assert.equal(broker.agent.context.role.serving, false)
  assert.equal(broker.request({ code: 310, ext: SEND })?.code, ResponseCode.SERVICE_NOT_AVAILABLE)
  broker.port.commit()
  broker.run()
  assert.equal(broker.agent.context.role.serving, true)
})

test('a follower keeps members but makes no topics, and refuses commits of offsets', (t) => {
  const broker = new TestBroker()
  t.after(() => broker.close())
  broker.port.role('follower', 1, 0)
  broker.connect(1)
  const consumer = { groupName: 'G', subscriptionDataSet: [] }
  const body = JSON.stringify({ clientID: 'c', consumerDataSet: [consumer] })
  assert.equal(broker.request({ code: RequestCode.HEART_BEAT, body })?.code, 0)
  assert.deepEqual(broker.agent.context.groups.clientIds('G'), ['c'])
  assert.equal(broker.port.endPosition, 0)
  const ext = { consumerGroup: 'G', topic: 'T', queueId: '0', commitOffset: '1' }
  const commit = broker.request({ code: RequestCode.UPDATE_CONSUMER_OFFSET, ext })
  assert.equal(commit?.code, ResponseCode.SERVICE_NOT_AVAILABLE)
})

test('an idle agent sleeps until its next timer and flushes what it wrote', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  const waitMs = broker.agent.waitMs()
  assert.ok(waitMs > 0 && waitMs <= 500)
  const flushes = broker.port.flushes
  broker.agent.duty()
  assert.equal(broker.port.flushes, flushes + 1)
  broker.request({ code: 310, ext: SEND })
  const group = { groupName: 'G', subscriptionDataSet: [] }
  const body = JSON.stringify({ clientID: 'c', consumerDataSet: [group] })
  broker.request({ code: RequestCode.HEART_BEAT, body })
  const ext = { consumerGroup: 'G', topic: 'T', queueId: '0', commitOffset: '1' }
  broker.request({ code: RequestCode.UPDATE_CONSUMER_OFFSET, ext, oneWay: true })
  assert.ok(broker.agent.waitMs() <= 200)
})

test('what has committed is applied before a request is answered', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  broker.request({ code: 310, ext: SEND })
  broker.port.autoCommit = false
  broker.request({ code: 310, ext: SEND })
  const ext = { topic: 'T', queueId: '0' }
  assert.equal(broker.request({ code: RequestCode.GET_MAX_OFFSET, ext })?.ext.offset, '1')
  broker.port.commit()
  assert.equal(broker.request({ code: RequestCode.GET_MAX_OFFSET, ext })?.ext.offset, '2')
})

test('it naps only while nobody waits for what commits', (t) => {
  const broker = new TestBroker()
  t.after(() => broker.close())
  broker.writeBarrier(3)
  broker.port.role('leader', 3)
  broker.run()
  assert.equal(broker.agent.mayNap, false)
  broker.lead(4)
  assert.equal(broker.agent.mayNap, true)
  broker.request({ code: 310, ext: SEND })
  broker.port.autoCommit = false
  const config = { topic: 'New', readQueueNums: '1', writeQueueNums: '1', perm: '6' }
  const create = {
    ...config,
    defaultTopic: 'TBW102',
    topicFilterType: 'SINGLE_TAG',
    order: 'false',
  }
  broker.request({ code: RequestCode.UPDATE_AND_CREATE_TOPIC, ext: create })
  assert.equal(broker.agent.mayNap, false)
  broker.port.commit()
  broker.run()
  assert.equal(broker.agent.mayNap, true)
  const pull = { consumerGroup: 'G', topic: 'T', queueId: '0', queueOffset: '1', maxMsgNums: '1' }
  const held = { sysFlag: '6', commitOffset: '0', suspendTimeoutMillis: '15000', subscription: '*' }
  const subscribed = { subVersion: '0', expressionType: 'TAG' }
  broker.request({ code: RequestCode.PULL_MESSAGE, ext: { ...pull, ...held, ...subscribed } })
  assert.equal(broker.agent.context.held.size, 1)
  assert.equal(broker.agent.mayNap, false)
})

test('an answer larger than a frame becomes an error', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  const ticket = { connectionId: 1, opaque: 5, oneWay: false, code: 1 }
  broker.agent.context.answer(ticket, { code: 0, body: Buffer.alloc(17 * 1024 * 1024) })
  assert.equal(broker.answerTo(5)?.code, ResponseCode.SYSTEM_ERROR)
})

test('times: offsets by store time and the first message’s time', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  const times: number[] = []
  for (let count = 0; count < 4; count++) {
    times.push(broker.clock.wallMs())
    broker.request({ code: 310, ext: SEND })
    broker.advance(1_000)
  }
  const search = (timestamp: number, boundaryType = 'lower'): string | undefined =>
    broker.request({
      code: RequestCode.SEARCH_OFFSET_BY_TIMESTAMP,
      ext: { topic: 'T', queueId: '0', timestamp: String(timestamp), boundaryType },
    })?.ext.offset
  assert.equal(search(times[2] ?? 0), '2')
  assert.equal(search((times[2] ?? 0) + 1), '3')
  assert.equal(search((times[2] ?? 0) + 1, 'upper'), '2')
  assert.equal(search(times.at(-1) ?? 0), '3')
  assert.equal(search(1), '0')
  const where = { topic: 'T', queueId: '0' }
  const earliest = RequestCode.GET_EARLIEST_MSG_STORETIME
  assert.equal(broker.request({ code: earliest, ext: where })?.ext.timestamp, String(times[0]))
  const none = broker.request({ code: earliest, ext: { ...where, queueId: '3' } })
  assert.equal(none?.ext.timestamp, '-1')
})
