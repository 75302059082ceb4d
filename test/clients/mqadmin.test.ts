import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { ClientDriver } from '../harness/client-driver.ts'
import { newDriver, produce } from '../harness/client-test.ts'
import { BROKER_NAME, CLUSTER_NAME, useCluster } from '../harness/cluster.ts'
import { ConsumerGroup } from '../harness/group.ts'
import type { Sent } from '../harness/messages.ts'
import { javaAdmin, javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'
import { ROOT, runCommand } from '../support/run-command.ts'

const skip = missingTools('java', 'mvn')
const TOPIC = 'AdminTopic'
const GROUP = 'admin-group'
const PRODUCERS = 'admin-producers'
const QUEUES = 4
const COUNT = 40
const cluster = useCluster({ nodes: 3 }, prepare)

/** Drivers end with the file, not with a test. */
const ends: (() => Promise<void>)[] = []
const file = { after: (end: () => Promise<void>) => ends.push(end) }
let admin: ClientDriver
let sent: Sent[] = []

/** What the real mqadmin prints. */
async function real(...words: string[]): Promise<string> {
  const { output } = await admin.say('admin', [...words, '-n', cluster().nameServer])
  return String(output)
}

/** What our own mqadmin answers. */
async function own<T>(...words: string[]): Promise<T> {
  const { code, stdout, stderr } = await runCommand(process.execPath, [
    join(ROOT, 'packages/cli/bin/mqadmin.mjs'),
    ...words,
    '--json',
    '-n',
    cluster().nameServer,
  ])
  assert.equal(code, 0, `${words.join(' ')}: ${stderr}`)
  return JSON.parse(stdout) as T
}

function rows(output: string, pattern: RegExp): string[][] {
  return [...output.matchAll(pattern)].map((match) => match.slice(1))
}

function one(): Sent {
  const first = sent[0]
  assert.ok(first)
  return first
}

async function leaderAddress(): Promise<string> {
  return cluster().addressOf(await cluster().leader())
}

async function prepare(): Promise<void> {
  if (skip !== false) return
  admin = newDriver(file, cluster(), javaAdmin)
  const driver = newDriver(file, cluster(), (home) => javaClient('5.4.0', home))
  const made = await real('updateTopic', '-c', CLUSTER_NAME, '-t', TOPIC, '-r', '4', '-w', '4')
  assert.match(made, /create topic to [\d.:]+ success/)
  const group = await real('updateSubGroup', '-c', CLUSTER_NAME, '-g', GROUP, '-r', '3')
  assert.match(group, /create subscription group to [\d.:]+ success/)
  const members = new ConsumerGroup(cluster(), driver, {
    topic: TOPIC,
    group: GROUP,
    queues: QUEUES,
  })
  await members.join('m1', 'm2')
  sent = await produce(driver, { topic: TOPIC, count: COUNT, mode: 'ordered', group: PRODUCERS })
  await members.got(sent)
  await members.committed()
}

after(async () => {
  for (const end of ends) await end()
})

async function tables(nodes: number): Promise<void> {
  const brokers = rows(
    await real('clusterList'),
    /^TestCluster +TestGroup +(\d+) +([\d.:]+) +(V\S+)/gm,
  )
  assert.equal(brokers.length, nodes)
  assert.deepEqual(
    brokers.filter(([id]) => id === '0').map(([, address]) => address),
    [await leaderAddress()],
  )
  const route = await real('topicRoute', '-t', TOPIC)
  assert.match(route, new RegExp(`0:"${await leaderAddress()}"`))
  assert.match(route, /"perm":6,\s+"readQueueNums":4,/)
  const queues = rows(await real('topicStatus', '-t', TOPIC), /^TestGroup +(\d) +0 +(\d+) /gm)
  assert.deepEqual(
    queues,
    ['0', '1', '2', '3'].map((queue) => [queue, '10']),
  )
  const progress = await real('consumerProgress', '-g', GROUP)
  assert.match(progress, /Consume Diff Total: 0/)
  const offsets = rows(progress, /^AdminTopic +TestGroup +(\d) +(\d+) +(\d+) +(\d+) /gm)
  assert.deepEqual(
    offsets,
    ['0', '1', '2', '3'].map((queue) => [queue, '10', '10', '0']),
  )
}

test('clusterList, topicRoute, topicStatus, consumerProgress', { skip }, async () => {
  await tables(3)
})

test('brokerStatus and getBrokerConfig', { skip }, async () => {
  const status = await real('brokerStatus', '-b', await leaderAddress())
  assert.match(status, /^brokerVersionDesc +: V5_4_0$/m)
  assert.match(status, /^msgPutTotalTodayNow +: [1-9]\d*$/m)
  const config = await real('getBrokerConfig', '-b', await leaderAddress())
  assert.match(config, new RegExp(`^brokerName += +${BROKER_NAME}$`, 'm'))
  assert.match(config, /^flushDiskType += +SYNC_FLUSH$/m)
})

test('topicList, also with the groups', { skip }, async () => {
  const names = (await real('topicList')).split('\n')
  for (const name of [TOPIC, `%RETRY%${GROUP}`, CLUSTER_NAME, 'TBW102', 'SCHEDULE_TOPIC_XXXX']) {
    assert.ok(names.includes(name), `${name} in ${names}`)
  }
  assert.match(await real('topicList', '-c'), /^TestCluster +AdminTopic +admin-group *$/m)
})

test('consumerConnection and producerConnection', { skip }, async () => {
  const consumers = await real('consumerConnection', '-g', GROUP)
  assert.equal(rows(consumers, /^\S+@(admin-group-m[12]) +([\d.:]+) +JAVA +V5_4_0/gm).length, 2)
  assert.match(consumers, /^AdminTopic +\*/m)
  assert.match(consumers, /^ConsumeType: CONSUME_PASSIVELY$/m)
  const producers = await real('producerConnection', '-g', PRODUCERS, '-t', TOPIC)
  assert.match(producers, /producer-admin-producers +[\d.:]+ +JAVA +V5_4_0/)
})

test('queries by id, key, unique key and offset find the same message', { skip }, async () => {
  const { key, messageId, offsetMessageId, queue, offset } = one()
  const place = ['-b', BROKER_NAME, '-i', String(queue), '-o', String(offset)]
  for (const words of [
    ['queryMsgById', '-t', TOPIC, '-i', offsetMessageId],
    ['queryMsgByUniqueKey', '-t', TOPIC, '-i', messageId],
    ['queryMsgByOffset', '-t', TOPIC, ...place],
  ]) {
    const output = await real(...words)
    assert.match(output, new RegExp(`^Keys: +\\[${key}\\]$`, 'm'), words.join(' '))
    assert.match(output, new RegExp(`^Queue ID: +${queue}$`, 'm'))
    assert.match(output, new RegExp(`^Queue Offset: +${offset}$`, 'm'))
    assert.match(output, /consumerGroup=admin-group, trackType=CONSUMED/)
  }
  const byKey = await real('queryMsgByKey', '-t', TOPIC, '-k', key)
  assert.match(byKey, new RegExp(`^${messageId} +${queue} +${offset} `, 'm'))
})

test('our own mqadmin shows the same', { skip }, async () => {
  const brokers = await own<{ id: number; address: string }[]>('clusterList')
  assert.equal(brokers.length, 3)
  assert.equal(brokers.find(({ id }) => id === 0)?.address, await leaderAddress())
  const status = await own<Record<string, Record<string, string>>>(
    'brokerStatus',
    '-c',
    CLUSTER_NAME,
  )
  assert.equal(status[await leaderAddress()]?.brokerVersionDesc, 'V5_4_0')
  assert.ok((await own<string[]>('topicList')).includes(TOPIC))
  const route = await own<{ queueDatas: { readQueueNums: number }[] }>('topicRoute', '-t', TOPIC)
  assert.equal(route.queueDatas[0]?.readQueueNums, QUEUES)
  const topic = await own<{ queues: { maxOffset: number }[] }>('topicStatus', '-t', TOPIC)
  assert.deepEqual(
    topic.queues.map(({ maxOffset }) => maxOffset),
    [10, 10, 10, 10],
  )
  const progress = await own<{ diffTotal: number; queues: unknown[] }>(
    'consumerProgress',
    '-g',
    GROUP,
    '-t',
    TOPIC,
  )
  assert.equal(progress.diffTotal, 0)
  const { key, offsetMessageId, queue, offset } = one()
  type Message = { keys: string; queueId: number; queueOffset: number }
  const byId = await own<Message>('queryMsgById', '-t', TOPIC, '-i', offsetMessageId)
  assert.deepEqual([byId.keys, byId.queueId, byId.queueOffset], [key, queue, offset])
  const byKey = await own<Message[]>('queryMsgByKey', '-t', TOPIC, '-k', key)
  assert.deepEqual(
    byKey.map(({ queueOffset }) => queueOffset),
    [offset],
  )
})

test('a topic is made, written, read and deleted', { skip }, async () => {
  const topic = 'AdminShort'
  await real('updateTopic', '-c', CLUSTER_NAME, '-t', topic, '-r', '2', '-w', '2')
  const send = ['sendMessage', '-t', topic, '-b', BROKER_NAME, '-i', '1', '-k', 'short-key']
  assert.match(
    await real(...send, '-p', 'from-the-real-one'),
    /^TestGroup +1 +SEND_OK +[0-9A-F]{32}/m,
  )
  const messages = await real(
    'consumeMessage',
    '-t',
    topic,
    '-b',
    BROKER_NAME,
    '-i',
    '1',
    '-c',
    '1',
  )
  assert.match(messages, /KEYS=short-key/)
  assert.match(messages, /queueId=1, .*queueOffset=0/)
  await own('sendMessage', '-t', topic, '-p', 'from our own')
  const read = await own<{ body: string }[]>('consumeMessage', '-t', topic)
  assert.deepEqual(read.map(({ body }) => body).sort(), ['from our own', 'from-the-real-one'])
  await own('updateTopic', '-c', CLUSTER_NAME, '-t', topic, '-r', '6', '-w', '6')
  assert.match(await real('topicRoute', '-t', topic), /"readQueueNums":6,/)
  const gone = await real('deleteTopic', '-c', CLUSTER_NAME, '-t', topic)
  assert.match(gone, /delete topic \[AdminShort\] from cluster \[TestCluster\] success/)
  assert.match(gone, /delete topic \[AdminShort\] from NameServer success/)
  assert.ok(!(await real('topicList')).split('\n').includes(topic))
  await own('updateTopic', '-c', CLUSTER_NAME, '-t', topic)
  await own('deleteTopic', '-c', CLUSTER_NAME, '-t', topic)
  assert.ok(!(await own<string[]>('topicList')).includes(topic))
})

test('the next leader says the same', { skip }, async () => {
  const leader = await cluster().leader()
  await cluster().kill(leader, 'SIGKILL')
  await cluster().whole()
  await tables(2)
  await cluster().restart(leader)
  await tables(3)
})

test('resetOffsetByTime moves a group back and forth', { skip }, async () => {
  const driver = newDriver(file, cluster(), (home) => javaClient('5.4.0', home))
  const group = 'admin-reset'
  const members = new ConsumerGroup(cluster(), driver, { topic: TOPIC, group, queues: QUEUES })
  await members.join('m1')
  await members.got(sent)
  await members.committed()
  await members.leaveAll()
  const reset = await real('resetOffsetByTime', '-g', group, '-t', TOPIC, '-s', '0')
  assert.deepEqual(
    rows(reset, /^TestGroup +(\d) +(\d+) *$/gm).sort(),
    ['0', '1', '2', '3'].map((queue) => [queue, '0']),
  )
  assert.match(await real('consumerProgress', '-g', group), /Consume Diff Total: 40/)
  await members.join('m2')
  await members.gotCount(2 * COUNT)
  await members.committed()
  await members.leaveAll()
  assert.equal(members.deliveries.length, 2 * COUNT)
  await own('resetOffsetByTime', '-g', group, '-t', TOPIC, '-s', '0')
  assert.match(await real('consumerProgress', '-g', group), /Consume Diff Total: 40/)
  await real('resetOffsetByTime', '-g', group, '-t', TOPIC, '-s', 'now')
  assert.match(await real('consumerProgress', '-g', group), /Consume Diff Total: 0/)
})
