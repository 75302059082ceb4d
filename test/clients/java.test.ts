import { test } from 'node:test'
import {
  consumedAcrossChange,
  consumedExactlyOnce,
  newDriver,
  type Scenario,
} from '../harness/client-test.ts'
import { useCluster } from '../harness/cluster.ts'
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
