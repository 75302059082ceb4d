/**
 * The way back: what our brokers wrote in DLedger mode is opened by the real brokers of Apache,
 * which serve every message of it, and every consumer group goes on where it was.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { newDriver, newName } from '../harness/client-test.ts'
import { BROKER_NAME, Cluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'
import { ApacheBroker, type ApacheVersion, type Settings } from './apache-broker.ts'
import {
  assertAllFound,
  assertSameContent,
  type BrokerContent,
  ContentReader,
} from './broker-content.ts'
import { assertGoesOn } from './goes-on.ts'
import { DELAYS, QUEUES, type Written, writeMix } from './workload.ts'

const skip = missingTools('java', 'mvn')
/** Small, so that a short test fills several files of each kind. */
const SIZES: Settings = {
  maxMessageSize: '262144',
  mappedFileSizeCommitLog: '1048576',
  mappedFileSizeConsumeQueue: '2000',
  maxHashSlotNum: '500',
  maxIndexNum: '2000',
}
const [FIRST, SECOND, KILLED] = ['n0', 'n1', 'n2'] as const

interface Served {
  readonly written: readonly Written[]
  readonly content: BrokerContent
  readonly consumerOffsets: Record<string, Record<string, number>>
}

let cluster: Cluster | undefined
let served: Served | undefined

before(async () => {
  if (skip !== false) return
  cluster = await Cluster.start({ nodes: 3, settings: { ...SIZES, messageDelayLevel: DELAYS } })
  try {
    served = await writeAndStop(cluster)
  } catch (error) {
    process.stderr.write(cluster.logs())
    throw error
  }
})

after(() => cluster?.stop())

/** Two leaders write; then one node is killed and the two others stop in order. */
async function writeAndStop(cluster: Cluster): Promise<Served> {
  const ends: (() => Promise<void>)[] = []
  const owner = { after: (end: () => Promise<void>) => ends.push(end) }
  const write = (options: readonly string[]): Promise<Written> => {
    const driver = newDriver(owner, cluster, (home) => {
      const program = javaClient('5.4.0', home)
      return { ...program, args: [...options, ...program.args] }
    })
    return writeMix({
      driver,
      brokerName: BROKER_NAME,
      leader: async () => cluster.addressOf(await cluster.leader()),
      createTopic: (topic) => cluster.createTopic(topic, QUEUES),
    })
  }
  try {
    const first = await write([])
    const leader = await cluster.leader()
    await cluster.kill(leader, 'SIGTERM')
    await cluster.restart(leader)
    const second = await write(['-Drocketmq.message.compressType=LZ4'])
    // Like Apache's, these are written some seconds later; messages need no such wait.
    await eventually(
      async () =>
        offsetsFileOf(cluster, KILLED).includes(second.halfway.group) ? true : undefined,
      { what: 'the saved offset of the second group' },
    )
    const driver = newDriver(owner, cluster, (home) => javaClient('4.9.4', home))
    const topic = first.halfway.topic
    await driver.call('produce', { topic, prefix: newName('late'), count: 100, mode: 'async' })
    const address = cluster.addressOf(await cluster.leader())
    const content = await ContentReader.at(address, (reader) => reader.content())
    const consumerOffsets = await ContentReader.at(address, (reader) => reader.consumerOffsets())
    await cluster.kill(KILLED, 'SIGKILL')
    for (const id of [FIRST, SECOND]) await cluster.kill(id, 'SIGTERM')
    return { written: [first, second], content, consumerOffsets }
  } finally {
    for (const end of ends) await end()
  }
}

function offsetsFileOf(cluster: Cluster, id: string): string {
  return readFileSync(join(cluster.directory, id, 'config', 'consumerOffset.json'), 'utf8')
}

/** The broker.conf of the node, for a copy of its store and a group of it alone. */
function settingsOf(cluster: Cluster, id: string, store: string): Settings {
  const lines = readFileSync(join(cluster.directory, `${id}.conf`), 'utf8')
    .trim()
    .split('\n')
  const own = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const self = own.dLegerPeers?.split(';').find((peer) => peer.startsWith(`${id}-`)) ?? ''
  return {
    ...own,
    storePathRootDir: store,
    storePathCommitLog: join(store, 'commitlog'),
    dLegerPeers: self,
  }
}

async function openedBy(
  context: TestContext,
  version: ApacheVersion,
  id: string,
): Promise<ApacheBroker> {
  if (cluster === undefined) throw new Error('skipped')
  const directory = join(cluster.directory, `apache-${version}-${id}`)
  const store = join(directory, 'store')
  mkdirSync(directory)
  execFileSync('cp', ['-a', '--sparse=always', join(cluster.directory, id), store])
  const settings = settingsOf(cluster, id, store)
  const broker = await ApacheBroker.start({ version, directory, settings })
  context.after(() => broker.end('SIGKILL'))
  return broker
}

/** Each group goes on after what it got from us, and gets the rest of its topic. */
async function assertGroupsGoOn(
  context: TestContext,
  version: ApacheVersion,
  { written, content }: Served,
): Promise<void> {
  if (cluster === undefined) throw new Error('skipped')
  // A lite pull consumer of 5.4.0 asks what a broker of 4.9.4 does not know.
  const driver = newDriver(context, cluster, (home) => javaClient(version, home))
  for (const one of written) await assertGoesOn(driver, one, content)
}

for (const [version, id, how] of [
  ['5.4.0', FIRST, 'stopped in order'],
  ['4.9.4', SECOND, 'stopped in order'],
  ['5.4.0', KILLED, 'killed'],
  ['4.9.4', KILLED, 'killed'],
] as const) {
  test(`Apache's ${version} serves all of a node that was ${how}`, { skip }, async (context) => {
    const broker = await openedBy(context, version, id)
    if (served === undefined) throw new Error('skipped')
    const { content, consumerOffsets } = served
    await ContentReader.at(broker.address, async (reader) => {
      assertSameContent(await reader.content(), content)
      assert.deepEqual(await reader.consumerOffsets(), consumerOffsets)
      await assertAllFound(reader, content)
    })
    await broker.registered()
    await assertGroupsGoOn(context, version, served)
    await broker.end('SIGKILL')
  })
}
