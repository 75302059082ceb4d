/**
 * Plain mode between two runs of Apache's broker on one and the same store: what it wrote is served
 * here, what is written here, through a kill -9 too, is served by it again, and every consumer
 * group goes on where it was, each time.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { newDriver, newName, type Owner } from '../harness/client-test.ts'
import { BROKER_NAME, useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'
import { ApacheBroker, type ApacheVersion } from './apache-broker.ts'
import { assertServes, type Served, servedBy } from './broker-content.ts'
import { assertGoesOn } from './goes-on.ts'
import { plainSettingsOf, SMALL_FILES } from './node-settings.ts'
import { DELAYS, QUEUES, type Written, writeMix } from './workload.ts'

const skip = missingTools('java', 'mvn')
const NODE = 'n0'

const VERSION: ApacheVersion = '5.4.0'

describe(`a plain store of Apache's ${VERSION}`, { skip }, () => {
  const cluster = useCluster({
    nodes: 1,
    settings: { ...SMALL_FILES, messageDelayLevel: DELAYS, enableDLegerCommitLog: 'false' },
  })
  let served: Served
  const written: Written[] = []

  function write(owner: Owner, createTopic: (topic: string) => Promise<void>): Promise<Written> {
    const driver = newDriver(owner, cluster(), (home) => javaClient(VERSION, home))
    const leader = async (): Promise<string> => cluster().addressOf(NODE)
    return writeMix({ driver, brokerName: BROKER_NAME, leader, createTopic })
  }

  function startApache(): Promise<ApacheBroker> {
    const directory = join(cluster().directory, 'apache')
    const settings = plainSettingsOf(cluster(), NODE, cluster().storeOf(NODE))
    return ApacheBroker.start({ version: VERSION, directory, settings })
  }

  /** Runs `use` with Apache's broker in the node's place, and stops it in order. */
  async function withApache(use: (broker: ApacheBroker) => Promise<void>): Promise<void> {
    const broker = await startApache()
    try {
      await broker.registered()
      await use(broker)
      served = await servedBy(broker.address)
      await broker.end('SIGTERM')
    } finally {
      await broker.end('SIGKILL')
    }
  }

  before(async () => {
    const ends: (() => Promise<void>)[] = []
    const owner: Owner = { after: (end) => ends.push(end) }
    await cluster().kill(NODE, 'SIGTERM')
    rmSync(cluster().storeOf(NODE), { recursive: true })
    try {
      await withApache(async (broker) => {
        written.push(await write(owner, (topic) => broker.createTopic(topic, QUEUES)))
      })
    } finally {
      for (const end of ends) await end()
    }
  })

  test('is served here in plain mode, and written to', async (context) => {
    await cluster().restart(NODE)
    const address = cluster().addressOf(NODE)
    await assertServes(address, served)
    written.push(await write(context, (topic) => cluster().createTopic(topic, QUEUES)))
    served = await servedBy(address)
    assert.ok(!existsSync(join(cluster().storeOf(NODE), 'dledger-n0')))
  })

  test('loses nothing by kill -9', async (context) => {
    const offsets = join(cluster().storeOf(NODE), 'config', 'consumerOffset.json')
    const group = written.at(-1)?.halfway.group ?? ''
    // As with Apache's broker, that takes some seconds.
    await eventually(
      async () => (readFileSync(offsets, 'utf8').includes(group) ? true : undefined),
      {
        what: 'the saved offset of the group',
      },
    )
    await cluster().kill(NODE, 'SIGKILL')
    await cluster().restart(NODE)
    const address = cluster().addressOf(NODE)
    await assertServes(address, served)
    const driver = newDriver(context, cluster(), (home) => javaClient(VERSION, home))
    const topic = written.at(-1)?.halfway.topic ?? ''
    await driver.call('produce', { topic, prefix: newName('late'), count: 100, mode: 'async' })
    served = await servedBy(address)
  })

  test(`is served whole by Apache's again, and groups go on`, async (context) => {
    await cluster().kill(NODE, 'SIGTERM')
    assert.ok(!existsSync(join(cluster().storeOf(NODE), 'abort')))
    const expected = served
    await withApache(async (broker) => {
      await assertServes(broker.address, expected)
      const driver = newDriver(context, cluster(), (home) => javaClient(VERSION, home))
      for (const one of written) await assertGoesOn(driver, one, expected.content)
      const topic = written[0]?.halfway.topic ?? ''
      await driver.call('produce', { topic, prefix: newName('last'), count: 100, size: 3000 })
    })
  })

  test('and here once more, with what it wrote meanwhile', async () => {
    await cluster().restart(NODE)
    await assertServes(cluster().addressOf(NODE), served)
    assert.match(cluster().logOf(NODE), /another broker has run on this store since/)
  })
})
