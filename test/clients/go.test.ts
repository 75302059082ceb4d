import { test } from 'node:test'
import {
  consumedAcrossChange,
  consumedExactlyOnce,
  newDriver,
  type Scenario,
} from '../harness/client-test.ts'
import { useCluster } from '../harness/cluster.ts'
import { goClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'

// Consuming in order is left out: this client never gives a queue's lock back, so that a second
// member has to wait a minute for it to expire, at any broker.
const COUNT = 10_000
const skip = missingTools('go')
const cluster = skip === false ? useCluster({ nodes: 3 }) : undefined

function scenario(context: Parameters<typeof newDriver>[0]): Scenario {
  if (cluster === undefined) throw new Error('skipped')
  const driver = newDriver(context, cluster(), goClient)
  return { cluster: cluster(), driver, count: COUNT }
}

test('Go: sync, async and batch reach three members exactly once', { skip }, async (context) => {
  await consumedExactlyOnce(scenario(context), ['sync', 'async', 'batch'])
})

test('Go: nothing is lost when members leave and join', { skip }, async (context) => {
  await consumedAcrossChange(scenario(context), 'async')
})
