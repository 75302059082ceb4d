import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ClientDriver, Program } from '../harness/client-driver.ts'
import { newDriver, newName, produce, QUEUES } from '../harness/client-test.ts'
import { useCluster } from '../harness/cluster.ts'
import { ConsumerGroup } from '../harness/group.ts'
import {
  assertExactlyOnce,
  assertNoneLost,
  assertOrdered,
  byKey,
  type Delivery,
} from '../harness/messages.ts'
import { aliOnsClient, goClient, javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'

interface Client {
  readonly name: string
  readonly skip: string | false
  program(home: string): Program
}

const noJava = missingTools('java', 'mvn')
const java: Client = {
  name: 'Java 5.4.0',
  skip: noJava,
  program: (home) => javaClient('5.4.0', home),
}
const clients: readonly Client[] = [
  java,
  { name: 'Java 4.9.4', skip: noJava, program: (home) => javaClient('4.9.4', home) },
  { name: 'Go', skip: missingTools('go'), program: goClient },
  { name: 'ali-ons', skip: false, program: aliOnsClient },
]
/** A message that was failed comes back at level 3, 10 s by default. */
const DELAYS = '1s 5s 1s 2s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h'
const cluster = useCluster({ nodes: 3, settings: { messageDelayLevel: DELAYS } })

async function newTopic(): Promise<string> {
  const topic = newName('Feature')
  await cluster().createTopic(topic, QUEUES)
  return topic
}

function newGroup(
  driver: ClientDriver,
  topic: string,
  join: ConstructorParameters<typeof ConsumerGroup>[2]['join'] = {},
): ConsumerGroup {
  const group = newName('feature-group')
  return new ConsumerGroup(cluster(), driver, { topic, group, queues: QUEUES, join })
}

function driverOf(context: TestContext, client: Client): ClientDriver {
  return newDriver(context, cluster(), client.program)
}

/** The deliveries of each of these keys are what is expected of one. */
function assertEach(
  deliveries: readonly Delivery[],
  keys: readonly string[],
  check: (times: readonly Delivery[]) => void,
): void {
  const all = byKey(deliveries)
  assert.deepEqual([...all.keys()].sort(), [...keys].sort())
  for (const times of all.values()) check(times)
}

for (const client of clients) {
  const { name, skip } = client

  test(`${name}: a subscription to tags gets these tags only`, { skip }, async (context) => {
    const driver = driverOf(context, client)
    const topic = await newTopic()
    const sent = await produce(driver, { topic, tags: 'A,B,C', count: 90 })
    const group = newGroup(driver, topic, { tags: 'A||C' })
    await group.join('m1')
    const wanted = sent.filter(({ key }) => Number(key.split('-').at(-1)) % 3 !== 1)
    await group.got(wanted)
    await group.leaveAll()
    assertExactlyOnce(group.deliveries, wanted)
    assert.deepEqual(new Set(group.deliveries.map(({ tag }) => tag)), new Set(['A', 'C']))
  })

  test(`${name}: a message that was failed comes back counted`, { skip }, async (context) => {
    const driver = driverOf(context, client)
    const topic = await newTopic()
    const group = newGroup(driver, topic, { failures: 1 })
    // The others learn of the retry topic that their first heartbeat makes; it asks in 30 s again.
    if (name === 'Go') await cluster().createTopic(`%RETRY%${group.options.group}`, 1)
    await group.join('m1')
    const sent = await produce(driver, { topic, count: 5 })
    await group.gotCount(10)
    await group.leaveAll()
    assertEach(
      group.deliveries,
      sent.map(({ key }) => key),
      (times) =>
        assert.deepEqual(
          [0, 1],
          times.map((delivery) => delivery.times),
        ),
    )
  })

  test(`${name}: every member of a broadcast group gets everything`, { skip }, async (context) => {
    const driver = driverOf(context, client)
    const topic = await newTopic()
    const group = newGroup(driver, topic, { broadcast: true })
    await group.join('m1', 'm2')
    const sent = await produce(driver, { topic, count: 50 })
    await group.gotCount(100)
    await group.leaveAll()
    for (const member of ['m1', 'm2']) {
      const own = group.deliveries.filter((delivery) => delivery.member.endsWith(member))
      assertExactlyOnce(own, sent)
    }
  })
}

test('a message that fails too often goes to the dead letters', {
  skip: java.skip,
}, async (context) => {
  const driver = driverOf(context, java)
  const topic = await newTopic()
  const group = newGroup(driver, topic, { failures: 9, maxReconsumeTimes: 0 })
  await group.join('m1')
  const sent = await produce(driver, { topic, count: 3 })
  await group.got(sent)
  const dead = newGroup(driver, `%DLQ%${group.options.group}`)
  await dead.join('m1')
  await dead.gotCount(3)
  assertEach(
    dead.deliveries,
    sent.map(({ key }) => key),
    (times) => assert.equal(times.length, 1),
  )
  await group.leaveAll()
  assertExactlyOnce(group.deliveries, sent)
})

test('a delayed message comes after its delay, to its own queue', {
  skip: java.skip,
}, async (context) => {
  const driver = driverOf(context, java)
  const topic = await newTopic()
  const group = newGroup(driver, topic)
  await group.join('m1')
  const keys: string[] = []
  for (const [delay, ms] of [
    [1, 1_000],
    [2, 5_000],
  ] as const) {
    const sent = await produce(driver, { topic, count: 4, delay })
    await group.got(sent)
    const own = group.deliveries.filter(({ key }) => sent.some((one) => one.key === key))
    assert.equal(own.length, 4)
    for (const { bornMs, storedMs, key } of own) {
      assert.ok(storedMs - bornMs >= ms, `${key} after ${storedMs - bornMs} ms`)
      keys.push(key)
    }
  }
  await group.leaveAll()
  assertEach(group.deliveries, keys, (times) => assert.equal(times.length, 1))
})

test('a message is found by message id, unique key and key', {
  skip: java.skip,
}, async (context) => {
  const driver = driverOf(context, java)
  const topic = await newTopic()
  const [sent] = await produce(driver, { topic, count: 1 })
  assert.ok(sent)
  const place = { key: sent.key, queue: sent.queue, offset: sent.offset }
  for (const messageId of [sent.offsetMessageId, sent.messageId]) {
    const { key, queue, offset } = await driver.call('view', { topic, messageId })
    assert.deepEqual({ key, queue, offset }, place)
  }
  const { found, key, queue, offset } = await driver.call('query', { topic, key: sent.key })
  assert.deepEqual({ found, key, queue, offset }, { found: 1, ...place })
})

test('pull and lite pull consumers get everything, or what came since a time', {
  skip: java.skip,
}, async (context) => {
  const driver = driverOf(context, java)
  const topic = await newTopic()
  const early = await produce(driver, { topic, count: 100, mode: 'ordered' })
  await driver.call('pull', { topic, group: newName('puller') })
  const pulled = driver.deliveries.filter(({ member }) => member === 'pull')
  assertExactlyOnce(pulled, early)
  const sinceMs = Math.max(...pulled.map(({ storedMs }) => storedMs)) + 1
  const late = await produce(driver, { topic, count: 100, mode: 'ordered' })
  const lite = () => driver.deliveries.filter(({ member }) => member === 'lite')
  await driver.call('lite', { topic, group: newName('lite'), count: 200 })
  assertExactlyOnce(lite(), [...early, ...late])
  await driver.call('lite', { topic, group: newName('lite'), count: 100, sinceMs })
  assertExactlyOnce(lite().slice(200), late)
})

test('a message that fails in order holds its queue until it succeeds', {
  skip: java.skip,
}, async (context) => {
  const driver = driverOf(context, java)
  const topic = await newTopic()
  const group = newGroup(driver, topic, { orderly: true, failures: 2 })
  await group.join('m1', 'm2')
  await group.settled()
  const sent = await produce(driver, { topic, count: 40, mode: 'ordered' })
  await group.gotCount(120)
  await group.leaveAll()
  assertNoneLost(group.deliveries, sent)
  assertOrdered(group.allDeliveries)
  assertEach(
    group.deliveries,
    sent.map(({ key }) => key),
    (times) =>
      assert.deepEqual(
        [0, 1, 2],
        times.map((delivery) => delivery.times),
      ),
  )
})
