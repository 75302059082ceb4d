import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCommand, type RemotingCommand } from '@ringledger/protocol'
import { TestBroker } from '../broker-agent-fake.ts'
import { defaultTopicConfig } from '../state/configs.ts'
import {
  jsonIn,
  recorded,
  replay,
  replayAndCompare,
  replayAndCompareShape,
} from './recorded-frames-fake.ts'

const GROUP = 'GID_C_54'
const TOPIC = 'Cap54Normal'
const CLIENT = '192.0.2.2@livec'

/** Topics of the recording, one message in `TOPIC`, a member of `GROUP` that has consumed it. */
function brokerInUse(): TestBroker {
  const broker = new TestBroker({ configuration: { flushDiskType: 'SYNC_FLUSH' } }).lead()
  for (const topic of [TOPIC, 'Cap54Order', 'Cap54Req']) {
    broker.agent.context.topics.create(defaultTopicConfig(topic, 4), () => {})
  }
  const consumer = {
    groupName: GROUP,
    consumeType: 'CONSUME_PASSIVELY',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
    subscriptionDataSet: [{ topic: TOPIC, subString: '*', subVersion: 5, expressionType: 'TAG' }],
  }
  const body = JSON.stringify({
    clientID: CLIENT,
    consumerDataSet: [consumer],
    producerDataSet: [{ groupName: 'GID_P_54' }],
  })
  assert.equal(broker.request({ code: 34, body })?.code, 0)
  assert.equal(replay(broker, 'br-310-send-v2-normal')?.code, 0)
  const ext = { consumerGroup: GROUP, topic: TOPIC, queueId: '0', commitOffset: '1' }
  broker.request({ code: 15, ext, oneWay: true })
  broker.advance(200)
  return broker
}

function bodyOf(answer: RemotingCommand | undefined): Record<string, unknown> {
  assert.ok(answer)
  assert.equal(answer.code, 0, answer.remark ?? '')
  return jsonIn(answer.body) as Record<string, unknown>
}

test('topics are created, shown and deleted as recorded', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  replayAndCompare(broker, 'br-17-create-topic')
  replayAndCompare(broker, 'br-18-create-topic-list')
  assert.equal(broker.agent.context.topics.get('AdmTopic')?.writeQueueNums, 4)
  assert.equal(broker.agent.context.topics.get('AdmL1')?.readQueueNums, 3)
  const fifo = {
    topic: 'PxFifo',
    readQueueNums: '2',
    writeQueueNums: '2',
    perm: '6',
    attributes: '+message.type=FIFO',
  }
  assert.equal(broker.request({ code: 17, ext: fifo })?.code, 0)
  replayAndCompare(broker, 'br-351-get-topic-config')
  replayAndCompare(broker, 'raw-351-not-exist', { remark: true })
  const version = broker.store.state.topicsVersion.counter
  assert.equal(broker.request({ code: 17, ext: fifo })?.code, 0, 'the same once more')
  assert.equal(broker.store.state.topicsVersion.counter, version, 'writes nothing')
  replayAndCompareShape(broker, 'br-202-topic-stats')
  replayAndCompareShape(broker, 'br-21-all-topic-config')
  replayAndCompare(broker, 'br-215-delete-topic')
  assert.equal(broker.request({ code: 215, ext: { topic: 'PxFifo' } })?.code, 0)
  assert.equal(broker.agent.context.topics.get('PxFifo'), undefined)
  replayAndCompare(broker, 'br-306-clean-expired-cq')
  replayAndCompare(broker, 'br-316-clean-unused-topic')
})

test('wrong topics are refused with the code for wrong parameters', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const ext = { readQueueNums: '4', writeQueueNums: '4', perm: '6' }
  const wrong: Record<string, string>[] = [
    { topic: 'TBW102' },
    { topic: broker.settings.brokerName },
    { topic: 'a b' },
    { topic: 'T', perm: '99' },
    { topic: 'T', writeQueueNums: '1000000' },
    { topic: 'T', topicFilterType: 'NO_TAG' },
    { topic: 'T', attributes: '+nothing.like=this' },
    { topic: 'T', attributes: '-message.type' },
    { topic: 'T', attributes: 'message.type=FIFO' },
    { topic: 'T', attributes: '+queue.type=BatchCQ' },
    { topic: 'T', attributes: '+message.type=MIXED' },
    { topic: TOPIC, attributes: '+cleanup.policy=DELETE' },
  ]
  for (const change of wrong) {
    const answer = broker.request({ code: 17, ext: { ...ext, ...change } })
    assert.equal(answer?.code, 29, JSON.stringify(change))
  }
  assert.equal(broker.request({ code: 215, ext: { topic: 'TBW102' } })?.code, 29)
  assert.equal(broker.request({ code: 202, ext: { topic: 'Nobody' } })?.code, 17)
})

test('groups are created, shown and deleted as recorded', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  replayAndCompare(broker, 'br-200-update-sub-group')
  replayAndCompare(broker, 'br-225-update-sub-group-list')
  assert.equal(
    broker.agent.context.subscriptionGroups.get('GID_ADM')?.consumeBroadcastEnable,
    false,
  )
  replayAndCompare(broker, 'br-352-get-subscription-group-config')
  replayAndCompareShape(broker, 'br-201-all-subscription-group')
  replayAndCompare(broker, 'br-207-delete-sub-group')
  assert.equal(broker.agent.context.subscriptionGroups.get('GID_ADM'), undefined)
  assert.equal(broker.request({ code: 200, body: '{"groupName":"a b"}' })?.code, 29)
})

test('pages of topics hold what was asked for, and start anew when the table changed', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const names = (ext: Record<string, string>): string[] => {
    const answer = broker.request({ code: 21, ext })
    assert.equal(answer?.ext.totalTopicNum, String(broker.agent.context.topics.size))
    return Object.keys(bodyOf(answer).topicConfigTable as object)
  }
  const all = names({})
  assert.equal(all.length, broker.agent.context.topics.size)
  const dataVersion = JSON.stringify(broker.store.state.topicsVersion)
  assert.deepEqual(names({ topicSeq: '0', maxTopicNum: '5', dataVersion: '' }), all.slice(0, 5))
  assert.deepEqual(names({ topicSeq: '5', maxTopicNum: '5', dataVersion }), all.slice(5, 10))
  const stale = '{"counter":1,"stateVersion":9,"timestamp":0}'
  assert.deepEqual(names({ topicSeq: '5', maxTopicNum: '5', dataVersion: stale }), all.slice(0, 5))
})

test('a follower shows everything and changes nothing', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  broker.follow(2)
  for (const name of [
    'br-17-create-topic',
    'br-18-create-topic-list',
    'br-200-update-sub-group',
    'br-225-update-sub-group-list',
    'br-207-delete-sub-group',
    'br-215-delete-topic',
    'raw-314-clone-group-offset',
  ]) {
    const answer = replay(broker, name)
    assert.equal(answer?.code, 16, name)
    assert.match(answer?.remark ?? '', /leader of the group, n0/, name)
  }
  assert.equal(replay(broker, 'br-222-reset-offset')?.code, 1)
  for (const name of ['br-202-topic-stats', 'br-208-consume-stats', 'br-28-runtime-info']) {
    assert.equal(replay(broker, name)?.code, 0, name)
  }
})

test('who is connected is shown as recorded', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  replayAndCompare(broker, 'br-203-consumer-connection-offline', { remark: true })
  const connection = bodyOf(replayAndCompareShape(broker, 'br-203-consumer-connection-online'))
  assert.deepEqual(connection.connectionSet, [
    { clientAddr: '127.0.0.1:40001', clientId: CLIENT, language: 'JAVA', version: 493 },
  ])
  replayAndCompareShape(broker, 'br-204-producer-connection')
  const producers = bodyOf(replayAndCompareShape(broker, 'br-328-all-producer-info'))
  const [producer] = (producers.data as Record<string, Record<string, unknown>[]>).GID_P_54 ?? []
  assert.equal(producer?.remoteIP, '/127.0.0.1:40001')
  assert.equal(producer?.lastUpdateTimestamp, broker.clock.wallMs() - 200)
  assert.equal(broker.request({ code: 204, ext: { producerGroup: 'NOBODY' } })?.code, 1)
  const who = bodyOf(broker.request({ code: 300, ext: { topic: TOPIC } }))
  assert.deepEqual(who.groupList, [GROUP])
  assert.deepEqual(bodyOf(replay(broker, 'raw-343-topics-by-consumer')), {
    brokerAddr: '127.0.0.1:20911',
    topicList: [TOPIC],
  })
  const subscribed = bodyOf(replay(broker, 'raw-345-subscription-by-consumer'))
  assert.equal((subscribed.subscriptionData as { subString: string }).subString, '*')
})

test('how far groups have consumed is shown as recorded', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const ordered = {
    consumerGroup: 'GID_O_54',
    topic: 'Cap54Order',
    queueId: '0',
    commitOffset: '0',
  }
  broker.agent.context.subscriptionGroups.findOrCreate('GID_O_54')
  broker.run()
  broker.request({ code: 15, ext: ordered, oneWay: true })
  broker.advance(200)
  replayAndCompareShape(broker, 'br-208-consume-stats')
  const ext = { consumerGroup: GROUP, topic: TOPIC }
  const stats = bodyOf(broker.request({ code: 208, ext })).offsetTable as Record<string, unknown>
  const queue = JSON.stringify({ brokerName: 'broker-a', queueId: 0, topic: TOPIC })
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  broker.store.queues.find(TOPIC, 0)?.unitAt(0, unit)
  const { reader } = broker.store
  const lastTimestamp = reader.storeTimestampAt(unit.physicalOffset, unit.sizeBytes)
  assert.deepEqual(stats[queue], {
    brokerOffset: 1,
    consumerOffset: 1,
    lastTimestamp,
    pullOffset: 1,
  })
  const all = bodyOf(replay(broker, 'br-317-broker-consume-stats'))
  assert.deepEqual(
    Object.keys(all).sort(),
    Object.keys(
      jsonIn(recorded('br-317-broker-consume-stats').response?.body as Buffer) as object,
    ).sort(),
  )
  assert.equal(all.totalDiff, 0)
  replayAndCompareShape(broker, 'raw-303-consume-time-span')
  replayAndCompareShape(broker, 'br-321-query-consume-queue')
})

test('a reset moves the group and is told to its next pull once', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const { request } = recorded('br-222-reset-offset')
  const ext = { ...decodeCommand(request).ext, timestamp: '0' }
  const reset = bodyOf(broker.request({ code: 222, ext }))
  assert.equal(Object.keys(reset.offsetTable as object).length, 4)
  assert.equal(broker.store.state.offset(TOPIC, GROUP, 0), 0)
  const pull = {
    consumerGroup: GROUP,
    topic: TOPIC,
    queueId: '0',
    queueOffset: '1',
    maxMsgNums: '32',
    sysFlag: '0',
    commitOffset: '0',
    suspendTimeoutMillis: '0',
    subVersion: '5',
  }
  const moved = broker.request({ code: 11, ext: pull })
  assert.deepEqual([moved?.code, moved?.ext.nextBeginOffset], [21, '0'])
  assert.equal(broker.request({ code: 11, ext: { ...pull, queueOffset: '0' } })?.code, 0)
  const one = { ...ext, queueId: '0', offset: '1' }
  assert.equal(broker.request({ code: 222, ext: one })?.code, 0)
  assert.equal(broker.store.state.offset(TOPIC, GROUP, 0), 1)
  assert.equal(broker.request({ code: 222, ext: { ...one, offset: '7' } })?.code, 1)
  assert.equal(broker.request({ code: 222, ext: { ...ext, group: 'NOBODY' } })?.code, 26)
  assert.equal(broker.request({ code: 222, ext: { ...ext, topic: 'Nothing' } })?.code, 17)
})

test('offsets are cloned and listed as recorded', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  assert.equal(replay(broker, 'raw-314-clone-group-offset'), undefined, 'it waits for its record')
  broker.advance(200)
  const { opaque } = decodeCommand(recorded('raw-314-clone-group-offset').request)
  assert.equal(broker.answerTo(opaque)?.code, 0)
  assert.equal(broker.store.state.offset(TOPIC, 'GID_ADM2', 0), 1)
  const all = bodyOf(replay(broker, 'raw-43-all-consumer-offset'))
  assert.deepEqual(all.offsetTable, {
    [`${TOPIC}@${GROUP}`]: { 0: 1 },
    [`${TOPIC}@GID_ADM2`]: { 0: 1 },
  })
  assert.deepEqual(bodyOf(replay(broker, 'raw-308-correction-offset')), {
    correctionOffsets: { 0: 1 },
  })
  assert.equal(replay(broker, 'br-310-send-delay-level-1')?.code, 0)
  broker.advance(1_500)
  broker.advance(1_500)
  assert.deepEqual(bodyOf(replay(broker, 'raw-45-all-delay-offset')).offsetTable, { 1: 1 })
})

test('a deleted group does not come back with offsets that were not written yet', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const ext = { consumerGroup: GROUP, topic: TOPIC, queueId: '1', commitOffset: '1' }
  broker.request({ code: 15, ext, oneWay: true })
  const deletion = { groupName: GROUP, cleanOffset: 'true' }
  assert.equal(broker.request({ code: 207, ext: deletion })?.code, 0)
  broker.advance(1_000)
  assert.equal(broker.agent.context.offsets.query(TOPIC, GROUP, 1), -1)
})

test('questions to a client are relayed, and so are its answers', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  broker.connect(2)
  const ext = { consumerGroup: GROUP, clientId: CLIENT, jstackEnable: 'false' }
  const asked = broker.post({ code: 307, ext, connectionId: 2 })
  broker.run()
  const call = broker.frames().find(({ command }) => command.code === 307)
  assert.equal(call?.connectionId, 1)
  assert.deepEqual(call?.command.ext, ext)
  broker.answerCall(1, call?.command.opaque ?? -1, Buffer.from('{{"a":1}:2}'))
  assert.equal(broker.answerTo(asked)?.body.toString(), '{{"a":1}:2}')
  const lost = broker.post({ code: 307, ext, connectionId: 2 })
  broker.run()
  broker.advance(10_000)
  assert.equal(broker.answerTo(lost)?.code, 207)
  assert.equal(broker.request({ code: 307, ext: { ...ext, clientId: 'nobody' } })?.code, 1)
})

test('a message is handed to a consumer at once, with the message and its broker', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const sent = replay(broker, 'br-310-send-v2-normal')
  const msgId = sent?.ext.msgId ?? ''
  const ext = { consumerGroup: GROUP, clientId: CLIENT, msgId, topic: TOPIC }
  const asked = broker.post({ code: 309, ext })
  broker.run()
  const call = broker.frames().find(({ command }) => command.code === 309)
  assert.deepEqual(call?.command.ext, {
    ...ext,
    brokerName: 'broker-a',
    groupSysFlag: '0',
    topicSysFlag: '0',
  })
  const offset = Number.parseInt(msgId.slice(16), 16)
  assert.equal(call?.command.body.length, broker.store.reader.sizeAt(offset))
  broker.answerCall(1, call?.command.opaque ?? -1, Buffer.from('{"consumeResult":"CR_SUCCESS"}'))
  assert.equal(broker.answerTo(asked)?.body.toString(), '{"consumeResult":"CR_SUCCESS"}')
  const gone = { ...ext, msgId: `${msgId.slice(0, 16)}00000000000FFFFF` }
  assert.equal(broker.request({ code: 309, ext: gone })?.code, 1)
})

test('the runtime figures that tools read are there and are right', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  broker.advance(10_000)
  const table = bodyOf(replay(broker, 'br-28-runtime-info')).table as Record<string, string>
  const theirs = jsonIn(recorded('br-28-runtime-info').response?.body as Buffer) as {
    table: Record<string, string>
  }
  for (const name of Object.keys(theirs.table)) {
    if (
      !/^(brokerVersionDesc|putTps|getTransferredTps|.*Today.*|.*Yesterday.*|timer.*)$/.test(name)
    ) {
      continue
    }
    assert.ok(name in table, name)
  }
  assert.equal(table.msgPutTotalTodayNow, '1')
  assert.equal(table.runtime, '[ 0 days, 0 hours, 0 minutes, 10 seconds ]')
  assert.equal(table.commitLogMaxOffset, String(broker.store.dispatchedPosition))
  assert.ok(Number(table.putTps?.split(' ')[0]) > 0)
  replay(broker, 'br-310-send-v2-normal')
  broker.advance(1_000)
  const key = { statsName: 'TOPIC_PUT_NUMS', statsKey: TOPIC }
  const stats = bodyOf(broker.request({ code: 315, ext: key }))
  assert.equal((stats.statsMinute as { sum: number }).sum, 2)
  const whole = { statsName: 'BROKER_PUT_NUMS', statsKey: broker.settings.brokerClusterName }
  assert.equal(broker.request({ code: 315, ext: whole })?.code, 0)
  assert.equal(broker.request({ code: 315, ext: { ...key, statsKey: 'Nobody' } })?.code, 1)
})

test('the configuration is shown, and changed where that is possible', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const shown = broker.request({ code: 26 })
  assert.match(shown?.body.toString() ?? '', /^flushDiskType=SYNC_FLUSH$/m)
  assert.equal(JSON.parse(shown?.ext.version ?? '').counter, 0)
  const change = (body: string): number | undefined => broker.request({ code: 25, body })?.code
  assert.equal(change('longPollingEnable=false\nmaxTransferCountOnMessageInMemory=7\n'), 0)
  assert.equal(broker.agent.context.settings.longPollingEnable, false)
  assert.equal(broker.agent.context.settings.maxTransferCountOnMessageInMemory, 7)
  assert.equal(change('flushDiskType=SYNC_FLUSH\n'), 0, 'as it is')
  assert.equal(change('longPollingEnable=true\nflushDiskType=ASYNC_FLUSH\n'), 16)
  assert.equal(broker.agent.context.settings.longPollingEnable, false, 'all or nothing')
  assert.equal(change('longPollingEnable=perhaps\n'), 16)
  assert.equal(JSON.parse(broker.request({ code: 26 })?.ext.version ?? '').counter, 1)
})

test('what this broker cannot do is said with the code for that', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  assert.equal(broker.request({ code: 907 })?.code, 3)
  const mode = { topic: TOPIC, consumerGroup: GROUP, mode: 'POP' }
  assert.equal(broker.request({ code: 401, body: JSON.stringify(mode) })?.code, 3)
  const pull = JSON.stringify({ ...mode, mode: 'PULL' })
  assert.equal(broker.request({ code: 401, body: pull })?.code, 0)
  const ext = { topic: 'Nobody', queueId: '0', index: '0', count: '1' }
  assert.equal(broker.request({ code: 321, ext })?.code, 1)
})

test('the figures of the broker say whether its disk is full', (t) => {
  const broker = brokerInUse()
  t.after(() => broker.close())
  const shown = (): string | undefined =>
    (bodyOf(broker.request({ code: 28 })).table as Record<string, string>).diskFull
  assert.equal(shown(), 'false')
  broker.diskFull = true
  assert.equal(shown(), 'true')
})
