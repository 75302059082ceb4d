import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RemotingCommand } from '@ringledger/protocol'
import { TestBroker } from '../broker-agent-fake.ts'
import { defaultGroupConfig, defaultTopicConfig } from '../state/configs.ts'
import { messagesIn } from './recorded-frames-fake.ts'

const TOPIC = 'T'

function brokerWith(t: { after(callback: () => void): void }, settings: object = {}): TestBroker {
  const broker = new TestBroker(settings).lead()
  t.after(() => broker.close())
  broker.agent.context.topics.create(defaultTopicConfig(TOPIC, 2), () => {})
  broker.run()
  return broker
}

function send(broker: TestBroker, tag: string, body = 'x', queueId = 0): void {
  const ext = { a: 'P', b: TOPIC, c: 'TBW102', d: '4', e: String(queueId), f: '0', g: '1', h: '0' }
  const answer = broker.request({
    code: 310,
    ext: { ...ext, i: `UNIQ_KEY\u0001k\u0002TAGS\u0001${tag}\u0002` },
    body,
  })
  assert.equal(answer?.code, 0)
}

function pullExt(ext: Record<string, string> = {}): Record<string, string> {
  return {
    consumerGroup: 'G',
    topic: TOPIC,
    queueId: '0',
    queueOffset: '0',
    maxMsgNums: '32',
    sysFlag: '6',
    commitOffset: '0',
    suspendTimeoutMillis: '15000',
    subVersion: '0',
    subscription: '*',
    ...ext,
  }
}

function pull(broker: TestBroker, ext: Record<string, string> = {}): RemotingCommand | undefined {
  return broker.request({ code: 11, ext: pullExt(ext) })
}

function outcome(answer: RemotingCommand | undefined): unknown[] {
  return [answer?.code, answer?.remark, Number(answer?.ext.nextBeginOffset)]
}

test('the result table', (t) => {
  const broker = brokerWith(t)
  const now = { suspendTimeoutMillis: '0' }
  assert.deepEqual(outcome(pull(broker, now)), [19, 'NO_MATCHED_LOGIC_QUEUE', 0])
  assert.deepEqual(outcome(pull(broker, { ...now, queueOffset: '5' })), [
    21,
    'NO_MATCHED_LOGIC_QUEUE',
    0,
  ])
  for (const tag of ['A', 'B', 'A']) send(broker, tag)
  assert.deepEqual(outcome(pull(broker, now)), [0, 'FOUND', 3])
  assert.deepEqual(outcome(pull(broker, { ...now, queueOffset: '3' })), [
    19,
    'OFFSET_OVERFLOW_ONE',
    3,
  ])
  assert.deepEqual(outcome(pull(broker, { ...now, queueOffset: '9' })), [
    21,
    'OFFSET_OVERFLOW_BADLY',
    3,
  ])
  assert.deepEqual(outcome(pull(broker, { ...now, queueOffset: '-1' })), [
    21,
    'OFFSET_TOO_SMALL',
    0,
  ])
  assert.deepEqual(outcome(pull(broker, { ...now, subscription: 'C || D' })), [
    20,
    'NO_MATCHED_MESSAGE',
    3,
  ])
  const filtered = pull(broker, { ...now, subscription: 'B' })
  assert.deepEqual(outcome(filtered), [0, 'FOUND', 3])
  assert.equal(messagesIn(filtered?.body ?? Buffer.alloc(0)).length, 1)
})

test('count and byte limits; one message is always returned', (t) => {
  const broker = brokerWith(t, { maxTransferBytesOnMessageInMemory: 2_000 })
  for (let count = 0; count < 40; count++) send(broker, 'A', 'x'.repeat(100))
  assert.deepEqual(outcome(pull(broker, { maxMsgNums: '5' })), [0, 'FOUND', 5])
  const limited = pull(broker)
  const found = messagesIn(limited?.body ?? Buffer.alloc(0)).length
  assert.ok((limited?.body.length ?? 0) <= 2_000)
  assert.equal(Number(limited?.ext.nextBeginOffset), found)
  send(broker, 'A', 'y'.repeat(10_000), 1)
  assert.deepEqual(outcome(pull(broker, { queueId: '1', maxMsgBytes: '10' })), [0, 'FOUND', 1])
})

test('a held pull wakes at a message with its tag, not at another', (t) => {
  const broker = brokerWith(t)
  send(broker, 'A')
  const held = broker.post({ code: 11, ext: pullExt({ queueOffset: '1', subscription: 'B' }) })
  broker.run()
  assert.equal(broker.agent.context.held.size, 1)
  send(broker, 'A')
  assert.equal(broker.answerTo(held), undefined)
  send(broker, 'B')
  assert.deepEqual(outcome(broker.answerTo(held)), [0, 'FOUND', 3])
  assert.equal(broker.agent.context.held.size, 0)
  assert.equal(broker.store.queues.find(TOPIC, 0)?.waiters, 0)
})

test('a pull is not held without leave, and forgotten when its connection closes', (t) => {
  const broker = brokerWith(t)
  assert.equal(pull(broker, { sysFlag: '4' })?.code, 19)
  broker.post({ code: 11, ext: pullExt() })
  broker.run()
  assert.equal(broker.agent.context.held.size, 1)
  broker.disconnect(1)
  assert.equal(broker.agent.context.held.size, 0)
  broker.advance(15_000)
  assert.deepEqual(broker.frames(), [])
})

test('without long polling a pull is held for the short time only', (t) => {
  const broker = brokerWith(t, { longPollingEnable: false, shortPollingTimeMills: 1000 })
  const held = broker.post({ code: 11, ext: pullExt() })
  broker.run()
  broker.advance(999)
  assert.equal(broker.answerTo(held), undefined)
  broker.advance(1)
  assert.equal(broker.answerTo(held)?.code, 19)
})

test('a held pull of a topic that is deleted is told so', (t) => {
  const broker = brokerWith(t)
  const held = broker.post({ code: 11, ext: pullExt() })
  broker.run()
  broker.agent.context.changes.propose({ kind: 'deleteTopic', topic: TOPIC }, () => {})
  broker.run()
  assert.equal(broker.answerTo(held)?.code, 17)
})

test('subscriptions: stored ones are used without the flag, newer ones are asked for', (t) => {
  const broker = brokerWith(t)
  send(broker, 'A')
  const stored = { sysFlag: '2', suspendTimeoutMillis: '0', subVersion: '10' }
  assert.equal(pull(broker, stored)?.code, 24)
  const consumer = {
    groupName: 'G',
    messageModel: 'BROADCASTING',
    subscriptionDataSet: [{ topic: TOPIC, subString: 'B', subVersion: 9, codeSet: [1, 2] }],
  }
  broker.request({ code: 34, body: JSON.stringify({ clientID: 'c', consumerDataSet: [consumer] }) })
  assert.equal(pull(broker, stored)?.code, 25)
  assert.equal(pull(broker, { ...stored, subVersion: '9' })?.code, 20)
  assert.equal(pull(broker, { ...stored, topic: 'TBW102', subVersion: '9' })?.code, 24)
  const config = { ...defaultGroupConfig('G'), consumeBroadcastEnable: false }
  broker.agent.context.changes.propose({ kind: 'group', config }, () => {})
  broker.run()
  const forbidden = pull(broker, { ...stored, subVersion: '9' })
  assert.deepEqual([forbidden?.code, forbidden?.ext.forbiddenType], [16, '4'])
})

test('permissions', (t) => {
  const broker = brokerWith(t)
  const propose = broker.agent.context.changes
  const topic = { ...defaultTopicConfig(TOPIC, 2), perm: 2 }
  propose.propose({ kind: 'topic', config: topic }, () => {})
  broker.run()
  assert.equal(pull(broker)?.ext.forbiddenType, '3')
  const group = { ...defaultGroupConfig('G'), consumeEnable: false }
  propose.propose({ kind: 'group', config: group }, () => {})
  broker.run()
  assert.equal(pull(broker)?.ext.forbiddenType, '2')
  assert.equal(pull(broker, { expressionType: 'SQL92', consumerGroup: 'H' })?.code, 16)
  const writeOnly = brokerWith(t, { brokerPermission: 2 })
  assert.equal(pull(writeOnly)?.ext.forbiddenType, '1')
  const closed = brokerWith(t, { autoCreateSubscriptionGroup: false })
  assert.equal(pull(closed)?.code, 26)
  assert.equal(pull(brokerWith(t), { expressionType: 'SQL92' })?.code, 1)
})

test('a follower serves reads, and sends consumers with a strange offset to the leader', (t) => {
  const broker = brokerWith(t)
  send(broker, 'A')
  broker.follow(2)
  assert.deepEqual(outcome(pull(broker)), [0, 'FOUND', 1])
  const ahead = pull(broker, { queueOffset: '7', suspendTimeoutMillis: '0' })
  assert.deepEqual(outcome(ahead), [20, 'OFFSET_OVERFLOW_BADLY', 7])
  assert.equal(ahead?.ext.suggestWhichBrokerId, '0')
})

test('the offset in a pull is committed once', (t) => {
  const broker = brokerWith(t)
  send(broker, 'A')
  pull(broker, { sysFlag: '7', commitOffset: '1' })
  assert.equal(broker.agent.context.offsets.query(TOPIC, 'G', 0), 1)
})

test('after a reset the next pull of the queue is told, once', (t) => {
  const broker = brokerWith(t)
  for (let count = 0; count < 3; count++) send(broker, 'A')
  const { offsets, subscriptionGroups } = broker.agent.context
  subscriptionGroups.findOrCreate('G')
  broker.run()
  const held = broker.post({ code: 11, ext: pullExt({ queueOffset: '3' }) })
  broker.run()
  assert.equal(
    offsets.reset(TOPIC, 'G', [[0, 1]], () => {}),
    undefined,
  )
  const update = { consumerGroup: 'G', topic: TOPIC, queueId: '0', commitOffset: '3' }
  assert.match(broker.request({ code: 15, ext: update })?.remark ?? '', /reset/)
  assert.deepEqual(outcome(broker.answerTo(held)), [21, 'OFFSET_RESET', 1])
  assert.equal(offsets.query(TOPIC, 'G', 0), 1)
  assert.deepEqual(outcome(pull(broker, { queueOffset: '1' })), [0, 'FOUND', 3])
})

test('messages that vanish while they are read shorten the answer', (t) => {
  const broker = brokerWith(t)
  for (let count = 0; count < 3; count++) send(broker, 'A')
  const { reader } = broker.store
  const read = reader.read.bind(reader)
  let reads = 0
  reader.read = (...args) => ++reads < 3 && read(...args)
  const short = pull(broker)
  assert.deepEqual(outcome(short), [0, 'FOUND', 2])
  assert.equal(messagesIn(short?.body ?? Buffer.alloc(0)).length, 2)
  reader.read = () => {
    throw new Error('the disk is gone')
  }
  const unreadable = pull(broker)
  assert.equal(unreadable?.code, 1)
  assert.match(unreadable?.remark ?? '', /offset 0 cannot be read on this node/)
  assert.match(broker.logLines.join('\n'), /the disk is gone/)
})

test('a node that stops answers what it holds, and holds nothing any more', (t) => {
  const broker = brokerWith(t)
  const opaque = broker.post({ code: 11, ext: pullExt() })
  broker.run()
  assert.equal(broker.answerTo(opaque), undefined, 'held')
  broker.agent.stopHolding()
  broker.run()
  const held = broker.answerTo(opaque)
  assert.deepEqual([held?.code, held?.remark], [14, 'this node stops, ask the leader'])
  assert.equal(pull(broker)?.code, 14)
  assert.equal(pull(broker, { suspendTimeoutMillis: '0' })?.code, 19)
  send(broker, 'A')
  assert.equal(pull(broker)?.code, 0, 'what is there is still given')
})

test('a damaged unit is repaired from the log, and its message is not passed over', (t) => {
  const broker = brokerWith(t)
  for (const body of ['a', 'b', 'c', 'd']) send(broker, 'A', body)
  const queue = broker.store.queues.find(TOPIC, 0)
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  const sound = [0, 1, 2, 3].map((at) => {
    assert.ok(queue?.unitAt(at, unit))
    return { ...unit }
  })
  const { physicalOffset, sizeBytes, tagsCode } = sound[1]!
  const other = sound[2]!
  for (const [offset, size] of [
    [physicalOffset ^ 0x10, sizeBytes],
    [2 ** 52, sizeBytes],
    [physicalOffset, sizeBytes ^ 1],
    [physicalOffset, sizeBytes ^ (1 << 30)],
    [physicalOffset, -sizeBytes],
    [other.physicalOffset, other.sizeBytes],
  ] as const) {
    queue?.rewriteUnit(1, offset, size, tagsCode)
    assert.deepEqual(outcome(pull(broker)), [0, 'FOUND', 1])
    assert.deepEqual(outcome(pull(broker, { queueOffset: '1' })), [20, 'UNIT_REPAIRED', 1])
    const answer = pull(broker, { queueOffset: '1' })
    const bodies = messagesIn(answer?.body ?? Buffer.alloc(0)).map(
      (message) => (message as { body: unknown }).body,
    )
    assert.deepEqual(bodies, ['62', '63', '64'])
  }
})
