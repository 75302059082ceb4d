import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCommand, decodeMessage } from '@ringledger/protocol'
import { TestBroker } from '../broker-agent-fake.ts'
import { defaultTopicConfig } from '../state/configs.ts'
import { recorded, replay, replayAndCompare } from './recorded-frames-fake.ts'

const TOPICS = ['Cap54Normal', 'Cap54Delay', 'Cap54Order', 'CapGoNormal', 'CapOns', 'Cap49Normal']

function brokerWithTopics(): TestBroker {
  const broker = new TestBroker({ traceTopicEnable: true, defaultTopicQueueNums: 8 }).lead()
  for (const topic of [...TOPICS, 'CapExt', 'PxFifo', 'DefaultHeartBeatSyncerTopic']) {
    broker.agent.context.topics.create(defaultTopicConfig(topic, 4), () => {})
  }
  broker.run()
  return broker
}

/** A heartbeat that subscribes a group to topics with versions newer than any recorded pull. */
function subscribe(broker: TestBroker, group: string, topics: Record<string, string>): void {
  const subscriptionDataSet = Object.entries(topics).map(([topic, subString]) => ({
    topic,
    subString,
    subVersion: 1_895_407_240_794,
    expressionType: 'TAG',
  }))
  const consumer = { groupName: group, messageModel: 'CLUSTERING', subscriptionDataSet }
  const body = JSON.stringify({ clientID: '192.0.2.2@capc', consumerDataSet: [consumer] })
  assert.equal(broker.request({ code: 34, body })?.code, 0)
}

const MESSAGE_ID = { anyValue: ['msgId'] }

test('sends are answered as recorded', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  for (const name of [
    'br-310-send-v2-normal',
    'br-320-send-batch',
    'br-310-send-compressed-zlib-default',
    'br-310-send-delay-level-1',
    'br-310-send-acl-signed',
    'br-310-send-compressed-lz4',
    'br-310-send-compressed-zstd',
    'br-310-send-compressed-zlib',
    'br-310-trace-message-RMQ_SYS_TRACE_TOPIC',
    'br-310-proxy-send-fifo',
    'br-10-send-v1-go',
    'br-320-send-batch-go',
    'br-320-send-batch-binary-4.9.4',
  ]) {
    const answer = replayAndCompare(broker, name, { anyValue: ['msgId', 'queueOffset', 'queueId'] })
    const ids = (answer.ext.msgId ?? '').split(',')
    assert.equal(ids.length, (recorded(name).response?.ext.msgId ?? '').split(',').length, name)
    for (const id of ids) assert.match(id, /^7F000001000051AF[0-9A-F]{16}$/, name)
  }
})

test('a one-way send is stored and not answered', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  const { ext } = decodeCommand(recorded('br-310-send-v2-oneway').request)
  assert.equal(replay(broker, 'br-310-send-v2-oneway'), undefined)
  assert.equal(broker.store.queues.maxOffset(ext.b ?? '', Number(ext.e)), 1)
})

test('pulls find what was sent, byte for byte but for places and times', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  subscribe(broker, 'GID_C_54', { Cap54Normal: 'TagA || TagB || TagC', Cap54Delay: '*' })
  subscribe(broker, 'GID_C_GO', { CapGoNormal: '*' })
  replayAndCompare(broker, 'br-310-send-v2-normal', MESSAGE_ID)
  replayAndCompare(broker, 'br-320-send-batch', MESSAGE_ID)
  replayAndCompare(broker, 'br-11-pull-found', { remark: true })
  replayAndCompare(broker, 'br-11-pull-found-batch-messages', { remark: true })
  replayAndCompare(broker, 'br-361-lite-pull', { remark: true })
  replayAndCompare(broker, 'br-10-send-v1-go', MESSAGE_ID)
  replayAndCompare(broker, 'br-11-pull-go', { remark: true })
  // ali-ons sends no unique key: the broker makes one, which no two brokers make alike.
  replayAndCompare(broker, 'ons-310', { anyValue: ['msgId', 'transactionId'] })
  replayAndCompare(broker, 'ons-34')
  const pull = decodeCommand(recorded('ons-11').request)
  const pulled = broker.request({ code: pull.code, ext: { ...pull.ext, queueId: '1' } })
  assert.deepEqual(pulled?.ext, recorded('ons-11').response?.ext)
  assert.match(
    decodeMessage(pulled?.body ?? Buffer.alloc(0), 0).properties.get('UNIQ_KEY') ?? '',
    /^[0-9A-F]{32}$/,
  )
})

test('a pull without messages is held for its time and then answered', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  subscribe(broker, 'GID_C_54', { Cap54Delay: '*' })
  assert.equal(replay(broker, 'br-11-pull-not-found-after-suspend'), undefined)
  broker.advance(14_999)
  const opaque = decodeCommand(recorded('br-11-pull-not-found-after-suspend').request).opaque
  assert.equal(broker.answerTo(opaque), undefined)
  broker.advance(1)
  const answer = broker.answerTo(opaque)
  assert.equal(answer?.code, 19)
  assert.deepEqual(answer?.ext, recorded('br-11-pull-not-found-after-suspend').response?.ext)
})

test('a message given back returns through the retry topic as recorded', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  subscribe(broker, 'GID_C_54', { Cap54Normal: '*', '%RETRY%GID_C_54': '*' })
  assert.equal(replay(broker, 'br-310-send-v2-oneway'), undefined)
  const { ext } = decodeCommand(recorded('br-310-send-v2-oneway').request)
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  broker.store.queues.find(ext.b ?? '', Number(ext.e))?.unitAt(0, unit)
  const back = decodeCommand(recorded('br-36-consumer-send-back').request)
  const answer = broker.request({
    code: back.code,
    ext: { ...back.ext, offset: String(unit.physicalOffset) },
  })
  assert.equal(answer?.code, 0)
  assert.deepEqual(answer?.ext, {})
  broker.advance(10_000)
  replayAndCompare(broker, 'br-11-pull-redelivered-from-retry-topic', { remark: true })
})

test('heartbeats of every client are answered as recorded', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  for (const name of [
    'br-34-heartbeat-producer',
    'br-34-heartbeat-consumer',
    'br-34-heartbeat-binary-4.9.4',
    'br-34-heartbeat-v2-with-sub',
    'br-34-heartbeat-v2-without-sub',
    'br-34-heartbeat-go',
    'br-34-heartbeat-sql92',
    'br-34-proxy-syncer-heartbeat',
    'ons-34',
  ]) {
    replayAndCompare(broker, name)
  }
  assert.equal(replay(broker, 'br-34-proxy-producer-tx-heartbeat'), undefined)
  for (const group of ['GID_C_54', 'GID_C_GO', 'GID_C_ONS']) {
    assert.ok(broker.agent.context.topics.get(`%RETRY%${group}`), group)
    assert.ok(broker.agent.context.subscriptionGroups.get(group), group)
  }
  replayAndCompare(broker, 'br-38-get-consumer-list')
  replayAndCompare(broker, 'ons-38')
  replayAndCompare(broker, 'br-35-unregister-client')
  replayAndCompare(broker, 'ons-35')
  assert.equal(broker.agent.context.groups.get('GID_C_ONS'), undefined)
})

test('offsets are stored and asked for as recorded', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  subscribe(broker, 'GID_C_54', { Cap54Normal: '*' })
  subscribe(broker, 'GID_L_54', { Cap54Normal: '*' })
  subscribe(broker, 'GID_C_ONS', { CapOns: '*' })
  replayAndCompare(broker, 'br-14-query-offset-not-found')
  replayAndCompare(broker, 'br-310-send-v2-normal', MESSAGE_ID)
  replayAndCompare(broker, 'br-14-query-offset-zero')
  replayAndCompare(broker, 'br-30-max-offset')
  replayAndCompare(broker, 'br-31-min-offset')
  replayAndCompare(broker, 'raw-30-max-offset-unknown-topic')
  replayAndCompare(broker, 'br-15-update-offset-sync-group-not-exist', { remark: true })
  assert.equal(replay(broker, 'br-15-update-offset-oneway'), undefined)
  assert.equal(broker.agent.context.offsets.query('Cap54Normal', 'GID_L_54', 0), 1)
  broker.advance(200)
  assert.equal(broker.store.state.offset('Cap54Normal', 'GID_L_54', 0), 1)
  assert.equal(replay(broker, 'ons-15'), undefined, 'a synchronous commit waits for its record')
  broker.advance(200)
  assert.equal(broker.answerTo(decodeCommand(recorded('ons-15').request).opaque)?.code, 0)
  const ons = replay(broker, 'ons-14')
  assert.equal(ons?.ext.offset, decodeCommand(recorded('ons-15').request).ext.commitOffset)
})

test('locks and assignments are answered as recorded', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  replayAndCompare(broker, 'br-41-lock-batch-mq')
  replayAndCompare(broker, 'br-42-unlock-batch-mq')
  assert.equal(broker.agent.context.locks.size, 0)
  const consumer = { groupName: 'GID_POP', messageModel: 'CLUSTERING', subscriptionDataSet: [] }
  broker.request({
    code: 34,
    body: JSON.stringify({ clientID: '192.0.2.2@pop', consumerDataSet: [consumer] }),
  })
  replayAndCompare(broker, 'br-400-query-assignment-retry-pull')
})

test('messages are found by offset, key and unique key as recorded', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  const sent = replay(broker, 'br-310-send-v2-normal')
  const offset = Number.parseInt(sent?.ext.msgId?.slice(16) ?? '', 16)
  const view = broker.request({ code: 33, ext: { topic: 'Cap54Normal', offset: String(offset) } })
  const found = recorded('br-33-view-message-by-id').response
  assert.equal(view?.code, found?.code)
  assert.equal(view?.body.length, found?.body.length)
  const index = { anyValue: ['indexLastUpdatePhyoffset', 'indexLastUpdateTimestamp'] }
  replayAndCompare(broker, 'br-12-query-message-by-key', index)
  replayAndCompare(broker, 'br-12-query-message-by-unique-key', index)
  replayAndCompare(broker, 'raw-12-not-found', index)
  replayAndCompare(broker, 'raw-33-not-found', { remark: true })
})

test('wrong requests get the recorded codes', (t) => {
  const broker = brokerWithTopics()
  t.after(() => broker.close())
  for (const name of [
    'raw-11-pull-sub-not-exist',
    'raw-11-pull-topic-not-exist',
    'raw-11-pull-bad-queue',
    'raw-310-invalid-topic-name',
    'raw-310-queue-id-illegal',
    'raw-310-system-topic-forbidden',
    'raw-310-topic-not-exist',
    'raw-38-no-consumer',
    'raw-99999-unknown-code',
  ]) {
    replayAndCompare(broker, name)
  }
})
