import { test } from 'node:test'
import {
  consumedAcrossChange,
  consumedExactlyOnce,
  newDriver,
  newName,
  produce,
  QUEUES,
  type Scenario,
} from '../harness/client-test.ts'
import { useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { assertNoneLost, byKey } from '../harness/messages.ts'
import { type JavaVersion, javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'

const skip = missingTools('java', 'mvn')
const cluster = skip === false ? useCluster({ nodes: 3 }) : undefined

function scenario(
  context: Parameters<typeof newDriver>[0],
  version: JavaVersion,
  count: number,
  orderly: boolean,
): Scenario {
  if (cluster === undefined) throw new Error('skipped')
  const driver = newDriver(context, cluster(), (home) => javaClient(version, home))
  return { cluster: cluster(), driver, count, join: { orderly } }
}

for (const [version, count] of [
  ['5.4.0', 10_000],
  ['4.9.4', 2_000],
] as const) {
  test(`Java ${version}: sync, async and batch reach three members exactly once`, {
    skip,
  }, async (context) => {
    await consumedExactlyOnce(scenario(context, version, count, false), ['sync', 'async', 'batch'])
  })

  test(`Java ${version}: ordered by queue reaches three members exactly once, in order`, {
    skip,
  }, async (context) => {
    await consumedExactlyOnce(scenario(context, version, count, true), ['ordered'])
  })

  test(`Java ${version}: nothing is lost when members leave and join`, {
    skip,
  }, async (context) => {
    await consumedAcrossChange(scenario(context, version, count, false), 'async')
  })

  test(`Java ${version}: order is kept when members leave and join`, {
    skip,
  }, async (context) => {
    await consumedAcrossChange(scenario(context, version, count, true), 'ordered')
  })
}

test('Java 5.4.0: nothing is lost when the process of a member is killed', {
  skip,
}, async (context) => {
  const { cluster, driver, count } = scenario(context, '5.4.0', 10_000, false)
  const other = newDriver(context, cluster, (home) => javaClient('5.4.0', home))
  const topic = newName('Killed')
  await cluster.createTopic(topic, QUEUES)
  const group = newName('killed-group')
  for (const [of, member] of [
    [driver, 'm1'],
    [driver, 'm2'],
    [other, 'm3'],
  ] as const) {
    await of.call('join', { topic, group, member })
  }
  const producing = produce(driver, { topic, mode: 'sync', count })
  await other.until('the other process takes part', () => other.deliveries.length > 100)
  await other.kill()
  const sent = await producing
  const all = await eventually(
    async () => {
      const deliveries = [...driver.deliveries, ...other.deliveries]
      return byKey(deliveries).size === sent.length ? deliveries : undefined
    },
    { what: 'the delivery of everything', limitMs: 60_000 },
  )
  assertNoneLost(all, sent)
})
