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
