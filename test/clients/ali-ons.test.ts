import { test } from 'node:test'
import {
  consumedAcrossChange,
  consumedExactlyOnce,
  newDriver,
  type Scenario,
} from '../harness/client-test.ts'
import { useCluster } from '../harness/cluster.ts'
import { aliOnsClient } from '../harness/tools.ts'

const COUNT = 10_000
const cluster = useCluster({ nodes: 3 })

function scenario(context: Parameters<typeof newDriver>[0]): Scenario {
  const driver = newDriver(context, cluster(), aliOnsClient)
  return { cluster: cluster(), driver, count: COUNT }
}

test('ali-ons: every message reaches three members exactly once', async (context) => {
  await consumedExactlyOnce(scenario(context), ['sync'])
})

test('ali-ons: nothing is lost when members leave and join', async (context) => {
  await consumedAcrossChange(scenario(context), 'sync')
})
