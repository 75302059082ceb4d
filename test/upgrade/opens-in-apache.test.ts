/**
 * The way back: what our brokers wrote in DLedger mode is opened by the real brokers of Apache,
 * which serve every message of it, and every consumer group goes on where it was.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { newDriver, newName } from '../harness/client-test.ts'
import { BROKER_NAME, Cluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'
import { ApacheBroker, type ApacheVersion } from './apache-broker.ts'
import { assertServes, type Served, servedBy } from './broker-content.ts'
import { assertGoesOn } from './goes-on.ts'
import { aloneSettingsOf, SMALL_FILES } from './node-settings.ts'
import { DELAYS, QUEUES, type Written, writeMix } from './workload.ts'

const skip = missingTools('java', 'mvn')
const [FIRST, SECOND, KILLED] = ['n0', 'n1', 'n2'] as const

interface WrittenGroup extends Served {
  readonly written: readonly Written[]
}

let cluster: Cluster | undefined
let served: WrittenGroup | undefined

before(async () => {
  if (skip !== false) return
  cluster = await Cluster.start({
    nodes: 3,
    settings: { ...SMALL_FILES, messageDelayLevel: DELAYS },
  })
  try {
    served = await writeAndStop(cluster)
  } catch (error) {
    process.stderr.write(cluster.logs())
    throw error
  }
})

after(() => cluster?.stop())

/** Two leaders write; then one node is killed and the two others stop in order. */
async function writeAndStop(cluster: Cluster): Promise<WrittenGroup> {
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
    const all = await servedBy(address)
    await cluster.kill(KILLED, 'SIGKILL')
    for (const id of [FIRST, SECOND]) await cluster.kill(id, 'SIGTERM')
    return { ...all, written: [first, second] }
  } finally {
    for (const end of ends) await end()
  }
}

function offsetsFileOf(cluster: Cluster, id: string): string {
  return readFileSync(join(cluster.directory, id, 'config', 'consumerOffset.json'), 'utf8')
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
  const settings = aloneSettingsOf(cluster, id, store)
  const broker = await ApacheBroker.start({ version, directory, settings })
  context.after(() => broker.end('SIGKILL'))
  return broker
}

/** Each group goes on after what it got from us, and gets the rest of its topic. */
async function assertGroupsGoOn(
  context: TestContext,
  version: ApacheVersion,
  { written, content }: WrittenGroup,
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
    await assertServes(broker.address, served)
    await broker.registered()
    await assertGroupsGoOn(context, version, served)
    await broker.end('SIGKILL')
  })
}
