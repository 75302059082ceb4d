import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestBroker } from '../broker-agent-fake.ts'
import { defaultGroupConfig, defaultTopicConfig } from '../state/configs.ts'
import { share } from './rebalance.ts'

function leader(t: { after(callback: () => void): void }): TestBroker {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  broker.connect(2)
  broker.connect(3)
  return broker
}

interface Beat {
  clientId: string
  connectionId: number
  topics?: string[]
  model?: string
  fingerprint?: number
  withoutSub?: boolean
}

function beat(broker: TestBroker, given: Beat): string | undefined {
  const subscriptionDataSet = (given.topics ?? ['T']).map((topic) => ({
    topic,
    subString: '*',
    subVersion: 1,
  }))
  const body = JSON.stringify({
    clientID: given.clientId,
    heartbeatFingerprint: given.fingerprint ?? 0,
    withoutSub: given.withoutSub ?? false,
    producerDataSet: [{ groupName: 'P' }],
    consumerDataSet: [
      {
        groupName: 'G',
        messageModel: given.model ?? 'CLUSTERING',
        subscriptionDataSet: given.withoutSub ? [] : subscriptionDataSet,
      },
    ],
  })
  const answer = broker.request({ code: 34, body, connectionId: given.connectionId })
  assert.equal(answer?.code, 0)
  return answer?.ext.IS_SUB_CHANGE
}

/** Connections that were told to rebalance since the last call. */
function notified(broker: TestBroker): number[] {
  return broker
    .frames()
    .filter(({ command }) => command.code === 40)
    .map(({ connectionId, command }) => {
      assert.equal(command.flag, 2)
      assert.deepEqual(command.ext, { consumerGroup: 'G' })
      return connectionId
    })
}

function members(broker: TestBroker): string[] {
  const answer = broker.request({ code: 38, ext: { consumerGroup: 'G' } })
  return answer?.code === 0 ? JSON.parse(answer.body.toString()).consumerIdList : []
}

test('members are told when one comes, changes its topics or goes', (t) => {
  const broker = leader(t)
  beat(broker, { clientId: 'b', connectionId: 2 })
  assert.deepEqual(notified(broker), [2])
  beat(broker, { clientId: 'a', connectionId: 3 })
  assert.deepEqual(notified(broker), [2, 3])
  assert.deepEqual(members(broker), ['a', 'b'])
  beat(broker, { clientId: 'a', connectionId: 3 })
  assert.deepEqual(notified(broker), [])
  beat(broker, { clientId: 'a', connectionId: 3, topics: ['T', 'U'] })
  assert.deepEqual(notified(broker), [2, 3])
  broker.request({ code: 35, ext: { clientID: 'b', consumerGroup: 'G' }, connectionId: 2 })
  assert.deepEqual(notified(broker), [3])
  broker.disconnect(3)
  assert.deepEqual(members(broker), [])
})

test('broadcast groups and groups that do not want it are not told', (t) => {
  const broker = leader(t)
  beat(broker, { clientId: 'b', connectionId: 2, model: 'BROADCASTING' })
  assert.deepEqual(notified(broker), [])
  const config = { ...defaultGroupConfig('G'), notifyConsumerIdsChangedEnable: false }
  broker.agent.context.changes.propose({ kind: 'group', config }, () => {})
  broker.run()
  beat(broker, { clientId: 'c', connectionId: 3 })
  assert.deepEqual(notified(broker), [])
})

test('a client without heartbeat is dropped after the expiry time', (t) => {
  const broker = leader(t)
  beat(broker, { clientId: 'b', connectionId: 2 })
  for (let passedMs = 0; passedMs < 119_000; passedMs += 10_000) broker.advance(10_000)
  beat(broker, { clientId: 'a', connectionId: 3 })
  notified(broker)
  broker.advance(10_000)
  assert.deepEqual(broker.port.closed, [2])
  assert.deepEqual(members(broker), ['a'])
  assert.equal(broker.agent.context.producers.size, 1)
  assert.deepEqual(notified(broker), [3])
})

test('a V2 heartbeat without subscriptions is asked for them when nothing is stored', (t) => {
  const broker = leader(t)
  const v2 = { clientId: 'b', connectionId: 2, fingerprint: 77 }
  assert.equal(beat(broker, { ...v2, withoutSub: true }), 'true')
  assert.equal(beat(broker, v2), 'false')
  assert.equal(beat(broker, { ...v2, withoutSub: true }), 'false')
  assert.ok(broker.agent.context.groups.get('G')?.subscriptions.has('T'))
  assert.equal(beat(broker, { ...v2, fingerprint: 78, withoutSub: true }), 'true')
})

test('the retry topic exists before the first heartbeat is answered', (t) => {
  const broker = leader(t)
  broker.port.autoCommit = false
  const body = JSON.stringify({
    clientID: 'c',
    consumerDataSet: [{ groupName: 'G', subscriptionDataSet: [] }],
  })
  const opaque = broker.post({ code: 34, body })
  broker.run()
  assert.equal(broker.answerTo(opaque), undefined)
  broker.port.commit()
  broker.run()
  assert.equal(broker.answerTo(opaque)?.code, 0)
  assert.ok(broker.port.published.has('%RETRY%G'))
  assert.ok(broker.store.state.groups.has('G'))
})

test('locks are granted to one client, expire, and belong to the leader', (t) => {
  const broker = leader(t)
  broker.agent.context.topics.create(defaultTopicConfig('T', 2), () => {})
  broker.run()
  const mqSet = [0, 1].map((queueId) => ({ topic: 'T', brokerName: 'broker-a', queueId }))
  const lock = (clientId: string, queues = mqSet): number => {
    const body = JSON.stringify({ consumerGroup: 'G', clientId, mqSet: queues })
    const answer = broker.request({ code: 41, body })
    return JSON.parse(answer?.body.toString() ?? '').lockOKMQSet.length
  }
  assert.equal(lock('a', mqSet.slice(0, 1)), 1)
  assert.equal(lock('b'), 1)
  assert.equal(lock('a'), 1)
  broker.advance(60_001)
  assert.equal(lock('b'), 2)
  broker.follow(2)
  assert.equal(lock('b'), 0)
  assert.equal(broker.agent.context.locks.size, 0)
})

test('queues are shared out without gap or overlap', () => {
  for (const strategy of ['AVG', 'AVG_BY_CIRCLE']) {
    for (let clients = 1; clients < 6; clients++) {
      for (let queues = 0; queues < 12; queues++) {
        const ids = Array.from({ length: queues }, (_, id) => id)
        const names = Array.from({ length: clients }, (_, index) => `c${index}`)
        const parts = names.map((name) => share(ids, names, name, strategy))
        assert.deepEqual(
          parts.flat().sort((a, b) => a - b),
          ids,
        )
        const sizes = parts.map((part) => part.length)
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1)
      }
    }
  }
  assert.deepEqual(share([0, 1], ['a'], 'stranger', 'AVG'), [])
})

test('an unknown topic has no assignment', (t) => {
  const broker = leader(t)
  const body = JSON.stringify({ topic: 'None', consumerGroup: 'G', clientId: 'c' })
  assert.equal(broker.request({ code: 400, body })?.body.toString(), '{}')
})

test('a client config check refuses SQL, which is off, and takes tags', (t) => {
  const broker = leader(t)
  const check = (expressionType: string): number | undefined =>
    broker.request({
      code: 46,
      body: JSON.stringify({
        clientId: 'c',
        group: 'G',
        subscriptionData: { topic: 'T', subString: 'a', expressionType },
      }),
    })?.code
  assert.equal(check('TAG'), 0)
  assert.equal(check('SQL92'), 1)
})
