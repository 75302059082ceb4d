/** What the tests with real clients share: a cluster, a driver for each, and the whole scenario. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Arguments, ClientDriver, type Program } from './client-driver.ts'
import { BROKER_NAME, type Cluster } from './cluster.ts'
import { ConsumerGroup } from './group.ts'
import { assertExactlyOnce, assertNoneLost, assertOrdered, type Sent } from './messages.ts'

export const QUEUES = 8

/** Names that no other test of this run has. */
let names = 0
export function newName(prefix: string): string {
  return `${prefix}-${++names}`
}

/** What something can be ended with: a test, or what stands for a file. */
export interface Owner {
  after(end: () => Promise<void>): unknown
}

/** A driver that ends with its owner; `program` is given a home directory of its own. */
export function newDriver(
  owner: Owner,
  cluster: Cluster,
  program: (home: string) => Program,
  limitMs?: number,
): ClientDriver {
  const home = mkdtempSync(join(tmpdir(), 'client-'))
  const logPath = join(cluster.directory, 'logs', `${newName('client')}.log`)
  const driver = new ClientDriver(program(home), cluster.nameServer, logPath, limitMs)
  owner.after(async () => {
    await driver.kill()
    rmSync(home, { recursive: true, force: true })
  })
  return driver
}

/** Sends and returns what was acknowledged by this command. */
export async function produce(driver: ClientDriver, values: Arguments): Promise<Sent[]> {
  const prefix = newName('key')
  await driver.call('produce', { ...values, prefix, queues: QUEUES, broker: BROKER_NAME })
  return driver.sent.filter(({ key }) => key.startsWith(`${prefix}-`))
}

export interface Scenario {
  readonly cluster: Cluster
  readonly driver: ClientDriver
  readonly count: number
  /** More arguments of `join`. */
  readonly join?: Arguments
}

/**
 * A stable group of three members gets `count` messages of each mode: every one exactly once, and
 * in the order of its queue when they are consumed in order.
 */
export async function consumedExactlyOnce(
  { cluster, driver, count, join = {} }: Scenario,
  modes: readonly string[],
): Promise<void> {
  const topic = newName('Stable')
  await cluster.createTopic(topic, QUEUES)
  const group = newName('stable-group')
  const members = new ConsumerGroup(cluster, driver, { topic, group, queues: QUEUES, join })
  await members.join('m1', 'm2', 'm3')
  await members.settled()
  const sent: Sent[] = []
  for (const mode of modes) sent.push(...(await produce(driver, { topic, mode, count })))
  assert.equal(sent.length, modes.length * count)
  await members.got(sent)
  await members.committed()
  await members.leaveAll()
  assertExactlyOnce(members.deliveries, sent)
  if (join.orderly === true) assertOrdered(members.allDeliveries)
}

/**
 * While messages are produced and consumed, one member leaves and another joins: none is lost, the
 * order is kept where it is promised, and what came before and comes after is not repeated.
 */
export async function consumedAcrossChange(
  { cluster, driver, count, join = {} }: Scenario,
  mode: string,
): Promise<void> {
  const topic = newName('Changing')
  await cluster.createTopic(topic, QUEUES)
  const group = newName('changing-group')
  const members = new ConsumerGroup(cluster, driver, { topic, group, queues: QUEUES, join })
  await members.join('m1', 'm2', 'm3')
  await members.settled()
  const before = await produce(driver, { topic, mode, count: count / 10 })
  await members.got(before)
  await members.committed()

  const producing = produce(driver, { topic, mode, count })
  await members.gotCount(before.length + count * 0.2)
  await members.leave('m1')
  await members.gotCount(before.length + count * 0.5)
  await members.join('m4')
  const during = await producing
  await members.got(during)
  await members.settled()

  const after = await produce(driver, { topic, mode, count: count / 10 })
  await members.got(after)
  await members.committed()
  await members.leaveAll()
  const all = members.deliveries
  const of = (sent: readonly Sent[]) => {
    const keys = new Set(sent.map(({ key }) => key))
    return all.filter(({ key }) => keys.has(key))
  }
  assertExactlyOnce(of(before), before)
  assertNoneLost(of(during), during)
  assertExactlyOnce(of(after), after)
  if (join.orderly === true) assertOrdered(members.allDeliveries)
}
