import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RequestCode } from '@ringledger/protocol'
import type { Arguments, ClientDriver, Program } from '../harness/client-driver.ts'
import { newDriver, newName, produce, QUEUES } from '../harness/client-test.ts'
import { type Cluster, useCluster } from '../harness/cluster.ts'
import { ConsumerGroup } from '../harness/group.ts'
import { assertExactlyOnce, assertNoneLost, assertOrdered, byKey } from '../harness/messages.ts'
import { ask } from '../harness/name-server.ts'
import { aliOnsClient, goClient, javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'

const noJava = missingTools('java', 'mvn')
const java = (home: string): Program => javaClient('5.4.0', home)
const cluster = useCluster({ nodes: 3 })

async function newMembers(
  driver: ClientDriver,
  topic: string,
  join: Arguments = {},
): Promise<ConsumerGroup> {
  const group = newName('change-group')
  const members = new ConsumerGroup(cluster(), driver, { topic, group, queues: QUEUES, join })
  await members.join('m1', 'm2', 'm3')
  await members.settled()
  return members
}

async function newTopic(): Promise<string> {
  const topic = newName('Change')
  await cluster().createTopic(topic, QUEUES)
  return topic
}

interface Run {
  readonly driver: ClientDriver
  readonly mode: string
  readonly count: number
  readonly groups: readonly Arguments[]
  /** Called when a third of the messages is acknowledged. */
  strike(cluster: Cluster, driver: ClientDriver): Promise<void>
}

/** Produces and consumes across whatever `strike` does. */
async function acrossStrike({ driver, mode, count, groups, strike }: Run): Promise<void> {
  const topic = await newTopic()
  const members: ConsumerGroup[] = []
  for (const join of groups) members.push(await newMembers(driver, topic, join))
  const before = driver.sent.length
  const producing = produce(driver, { topic, mode, count })
  await driver.acknowledged(before + count / 3)
  await strike(cluster(), driver)
  const sent = await producing
  assert.equal(sent.length, count)
  for (const group of members) {
    await group.got(sent)
    await group.committed()
    await group.leaveAll()
    assertNoneLost(group.deliveries, sent)
    if (group.options.join?.orderly === true) assertOrdered(group.allDeliveries)
  }
  await cluster().whole()
}

async function killLeader(of: Cluster, driver: ClientDriver): Promise<void> {
  const leader = await of.leader()
  await of.kill(leader, 'SIGKILL')
  await driver.acknowledged(driver.sent.length + 1)
  assert.notEqual(await of.leader(), leader)
  await of.restart(leader)
}

/** The leader stands still until another one has acknowledged a thousand messages. */
async function stopLeader(of: Cluster, driver: ClientDriver): Promise<void> {
  const leader = await of.leader()
  await of.kill(leader, 'SIGSTOP')
  assert.notEqual(await of.leader(), leader)
  await driver.acknowledged(driver.sent.length + 1_000)
  await of.kill(leader, 'SIGCONT')
}

/** As `mqadmin electMaster` does it. */
async function handOver(of: Cluster, driver: ClientDriver): Promise<void> {
  const leader = await of.leader()
  const at = (of.ids.indexOf(leader) + 1) % of.ids.length
  const request = { code: RequestCode.CONTROLLER_ELECT_MASTER, ext: { brokerId: String(at + 1) } }
  await ask(of.addressOf(leader), request)
  await driver.acknowledged(driver.sent.length + 1_000)
}

function newJava(context: TestContext): ClientDriver {
  return newDriver(context, cluster(), java)
}

test('Java 5.4.0: kill -9 of the leader loses nothing', { skip: noJava }, async (context) => {
  await acrossStrike({
    driver: newJava(context),
    mode: 'async',
    count: 9_000,
    groups: [{}, { orderly: true }],
    strike: killLeader,
  })
})

test('Java 5.4.0: a producer that keeps its route for 30 s sees nothing of a handover', {
  skip: noJava,
}, async (context) => {
  const driver = newJava(context)
  const topic = await newTopic()
  const group = newName('patient')
  const values = { topic, group, mode: 'sync', count: 6_000, pollMs: 30_000, patienceMs: 0 }
  const producing = produce(driver, values)
  await driver.acknowledged(1_000)
  await handOver(cluster(), driver)
  assert.equal((await producing).length, 6_000, 'no send has failed')
})

test('Java 5.4.0: kill -9 of the leader keeps the order of queues', {
  skip: noJava,
}, async (context) => {
  await acrossStrike({
    driver: newJava(context),
    mode: 'ordered',
    count: 9_000,
    groups: [{ orderly: true }],
    strike: killLeader,
  })
})

test('Java 5.4.0: a leader that stands still loses nothing', { skip: noJava }, async (context) => {
  await acrossStrike({
    driver: newJava(context),
    mode: 'sync',
    count: 9_000,
    groups: [{}],
    strike: stopLeader,
  })
})

test('Java 4.9.4: kill -9 of the leader loses nothing', { skip: noJava }, async (context) => {
  await acrossStrike({
    driver: newDriver(context, cluster(), (home) => javaClient('4.9.4', home)),
    mode: 'sync',
    count: 3_000,
    groups: [{}],
    strike: killLeader,
  })
})

test('Go: kill -9 of the leader loses nothing', { skip: missingTools('go') }, async (context) => {
  await acrossStrike({
    driver: newDriver(context, cluster(), goClient),
    mode: 'sync',
    count: 3_000,
    groups: [{}],
    strike: killLeader,
  })
})

test('ali-ons: kill -9 of the leader loses nothing', async (context) => {
  await acrossStrike({
    driver: newDriver(context, cluster(), aliOnsClient),
    mode: 'sync',
    count: 3_000,
    groups: [{}],
    strike: killLeader,
  })
})

test('topics, groups, offsets and delayed messages are there at the next leader', {
  skip: noJava,
}, async (context) => {
  const driver = newJava(context)
  const topic = await newTopic()
  const members = await newMembers(driver, topic)
  const consumed = await produce(driver, { topic, count: 1_000 })
  await members.got(consumed)
  await members.replicated()
  await members.leaveAll()
  const seen = members.deliveries.length
  const waiting = await produce(driver, { topic, count: 200 })
  const delayed = await produce(driver, { topic, count: 20, delay: 2 })

  const leader = await cluster().leader()
  await cluster().kill(leader, 'SIGKILL')
  await members.join('m4', 'm5')
  await members.got([...waiting, ...delayed])
  const later = await produce(driver, { topic, count: 200, mode: 'ordered' })
  await members.got(later)
  await members.committed()
  await members.leaveAll()
  const after = members.deliveries.slice(seen)
  const keys = new Set(consumed.map(({ key }) => key))
  assert.deepEqual(
    after.filter(({ key }) => keys.has(key)),
    [],
    'what was committed is not repeated',
  )
  assertNoneLost(after, [...waiting, ...later])
  const places = byKey(after.filter(({ key }) => delayed.some((one) => one.key === key)))
  for (const [key, times] of places) {
    const stored = new Set(times.map(({ queue, offset }) => `${queue} ${offset}`))
    assert.equal(stored.size, 1, `${key} was stored once when it was due`)
  }
  assert.equal(new Set(later.map(({ queue }) => queue)).size, QUEUES)
  await cluster().restart(leader)
  assertExactlyOnce(members.deliveries.slice(0, seen), consumed)
})
