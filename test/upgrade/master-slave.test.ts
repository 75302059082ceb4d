/**
 * A real Master/Slave pair of Apache's and an empty third server become a group, as
 * docs/operate/upgrade.md says: stop, check, compare, apply, start. A producer goes on through all
 * of it, and a group is in the middle of its backlog. Then the way back to a plain broker.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { ClientDriver } from '../harness/client-driver.ts'
import { newDriver, newName } from '../harness/client-test.ts'
import { BROKER_NAME, Cluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'
import {
  APACHE_VERSIONS,
  ApacheBroker,
  type ApacheVersion,
  type Settings,
} from './apache-broker.ts'
import {
  assertAllFound,
  assertMovedContent,
  assertSameContent,
  type BrokerContent,
  ContentReader,
} from './broker-content.ts'
import { HalfwayGroup } from './halfway-group.ts'
import { assertInOrder, LiveProducer, longestPauseMs } from './live-producer.ts'
import { mqadmin } from './mqadmin.ts'
import { plainSettingsOf, SMALL_FILES, withoutGroup } from './node-settings.ts'
import { DELAYS, QUEUES, type Written, writeBacklog } from './workload.ts'

const skip = missingTools('java', 'mvn')
const [MASTER, SLAVE, EMPTY] = ['n0', 'n1', 'n2'] as const
/** Codes of compare: the copies are equal, or one lacks the end and gets it by itself. */
const COMPARED = [0, 2]
/** Acknowledged to the live producer before a step, and after it. */
const LIVE = 200
/** What the group gets at our brokers, of more. */
const HALFWAY = 100
/** Of one command; a send is repeated for as long. */
const LIMIT_MS = 480_000

/** Where everything runs, and which brokers of Apache's do. */
interface Site {
  readonly cluster: Cluster
  readonly version: ApacheVersion
}

class Clock {
  readonly #context: TestContext

  constructor(context: TestContext) {
    this.#context = context
  }

  async step<T>(what: string, run: () => Promise<T>): Promise<T> {
    const startedMs = performance.now()
    const result = await run()
    this.say(what, performance.now() - startedMs)
    return result
  }

  say(what: string, durationMs: number): void {
    this.#context.diagnostic(`${what}: ${(durationMs / 1000).toFixed(1)} s`)
  }
}

/** Where a broker of Apache's has its broker.conf. */
function placeOf(cluster: Cluster, id: string): string {
  return join(cluster.directory, `apache-${id}`)
}

/** At the node's place, as a rule on the node's store. */
async function startApache(
  { cluster, version }: Site,
  id: string,
  more: Settings,
  store: string = cluster.storeOf(id),
): Promise<ApacheBroker> {
  const directory = placeOf(cluster, id)
  mkdirSync(directory, { recursive: true })
  const settings = withoutGroup(plainSettingsOf(cluster, id, store))
  return await ApacheBroker.start({
    version,
    directory,
    settings: { ...settings, brokerIP2: '127.0.0.1', ...more },
  })
}

/** Every message is at both brokers when it is acknowledged. */
async function startPair(site: Site): Promise<readonly [ApacheBroker, ApacheBroker]> {
  const both = { inSyncReplicas: '2', minInSyncReplicas: '2' }
  const [master, slave] = await Promise.all([
    startApache(site, MASTER, { ...both, brokerRole: 'SYNC_MASTER' }),
    startApache(site, SLAVE, { brokerRole: 'SLAVE', brokerId: '1' }),
  ])
  await Promise.all([master.registered(), slave.registered(1)])
  return [master, slave]
}

async function applyTo(cluster: Cluster, id: string): Promise<void> {
  const path = join(placeOf(cluster, id), 'broker.conf')
  const peers = cluster.ids.map((peer) => `${peer}-${cluster.peerAddressOf(peer)}`).join(';')
  const group = ['--group', BROKER_NAME, '--peers', peers, '--self', id]
  await mqadmin(['upgrade', 'apply', path, ...group, '--write'])
  copyFileSync(path, join(cluster.directory, `${id}.conf`))
}

/** What an operator does between the stop of the pair and the start of the group. */
async function upgrade(cluster: Cluster, clock: Clock): Promise<void> {
  const stores = [MASTER, SLAVE].map((id) => cluster.storeOf(id))
  await clock.step('check of both', async () => {
    for (const store of stores) await mqadmin(['upgrade', 'check', store])
  })
  await clock.step('compare', () => mqadmin(['upgrade', 'compare', ...stores], COMPARED))
  await clock.step('apply', async () => {
    for (const id of [MASTER, SLAVE]) await applyTo(cluster, id)
  })
  await clock.step('start of the group', async () => {
    await Promise.all(cluster.ids.map((id) => cluster.boot(id)))
    await cluster.whole()
  })
}

async function contentOf(cluster: Cluster, id: string): Promise<BrokerContent> {
  return await ContentReader.at(cluster.addressOf(id), (reader) => reader.content())
}

async function assertEqualCopies(cluster: Cluster, content: BrokerContent): Promise<void> {
  for (const id of cluster.ids) {
    await eventually(
      async () => {
        assertSameContent(await contentOf(cluster, id), content)
        return true
      },
      { what: `all messages at ${id}` },
    )
  }
}

for (const version of APACHE_VERSIONS) {
  describe(`a Master and its Slave of Apache's ${version}, and an empty server`, { skip }, () => {
    const ends: (() => Promise<void>)[] = []
    const owner = { after: (end: () => Promise<void>) => ends.unshift(end) }
    let cluster: Cluster
    let driver: ClientDriver
    let written: Written
    let group: HalfwayGroup
    let content: BrokerContent

    before(async () => {
      const settings = { ...SMALL_FILES, messageDelayLevel: DELAYS }
      cluster = await Cluster.start({ nodes: 3, settings, later: [MASTER, SLAVE, EMPTY] })
      owner.after(() => cluster.stop())
      driver = newDriver(owner, cluster, (home) => javaClient(version, home), LIMIT_MS)
    })
    after(async () => {
      for (const end of ends) await end()
    })

    const startProducer = (): LiveProducer =>
      new LiveProducer({
        driver,
        topic: group.topic,
        brokerName: BROKER_NAME,
        queues: QUEUES,
        patienceMs: LIMIT_MS,
      })

    test('become a group while a producer goes on: nothing is lost or out of order', async (context) => {
      const clock = new Clock(context)
      const [master, slave] = await clock.step('start of the pair', () =>
        startPair({ cluster, version }),
      )
      for (const broker of [master, slave]) owner.after(() => broker.end('SIGKILL'))
      // Sent again and again until the Slave has connected.
      const first = newName('First')
      await master.createTopic(first, QUEUES)
      await driver.call('produce', { topic: first, prefix: first, count: 1 })
      written = await clock.step('a backlog', () =>
        writeBacklog({
          driver,
          brokerName: BROKER_NAME,
          leader: async () => master.address,
          createTopic: (topic) => master.createTopic(topic, QUEUES),
        }),
      )
      group = new HalfwayGroup(written)
      const producer = startProducer()
      await producer.more(LIVE)
      await clock.step('stop of the Master', () => master.end('SIGTERM'))
      await clock.step('stop of the Slave', () => slave.end('SIGTERM'))
      await upgrade(cluster, clock)
      await producer.more(LIVE)
      const sent = await producer.stop()
      content = await contentOf(cluster, await cluster.leader())
      clock.say('longest time without a stored message', longestPauseMs(content, sent))
      assertInOrder(content, sent)
    })

    test('all three copies are equal, and the group goes on where it was', async (context) => {
      await new Clock(context).step('equal copies', () => assertEqualCopies(cluster, content))
      await group.goOn(driver, cluster.addressOf(await cluster.leader()), HALFWAY)
      assert.ok(group.left(content) > HALFWAY)
      for (const id of cluster.ids) await cluster.kill(id, 'SIGTERM')
    })

    test('a plain broker of Apache serves all of it after a rollback', async (context) => {
      const clock = new Clock(context)
      const store = join(cluster.directory, 'rolled-back')
      const config = join(cluster.directory, `${EMPTY}.conf`)
      await clock.step('rollback', () =>
        mqadmin(['upgrade', 'rollback', cluster.storeOf(EMPTY), '--to', store, '--config', config]),
      )
      const plain = await clock.step('start of a plain broker', () =>
        startApache({ cluster, version }, EMPTY, {}, store),
      )
      owner.after(() => plain.end('SIGKILL'))
      await plain.registered()
      await ContentReader.at(plain.address, async (reader) => {
        const found = await reader.content()
        assertMovedContent(found, content)
        await assertAllFound(reader, found)
      })
      const producer = startProducer()
      await producer.more(LIVE)
      const sent = await producer.stop()
      const all = await ContentReader.at(plain.address, (reader) => reader.content())
      assertInOrder(all, sent)
      await group.goOn(driver, plain.address, group.left(all))
      group.assertGotAll(all)
    })
  })
}
