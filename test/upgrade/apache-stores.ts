/**
 * Stores as operators have them, written by the real brokers of Apache at the place of a node: a
 * plain one, the same one killed later, the same one taken to DLedger mode by Apache itself, and
 * one that began in DLedger mode and was killed. Each with what its broker served at the end.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseLenientJson } from '@ringledger/protocol'
import type { ClientDriver } from '../harness/client-driver.ts'
import { newName } from '../harness/client-test.ts'
import { BROKER_NAME, type Cluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { ApacheBroker, type ApacheVersion, type Settings } from './apache-broker.ts'
import { type BrokerContent, ContentReader } from './broker-content.ts'
import { writeFeatures } from './features.ts'
import { aloneSettingsOf, plainSettingsOf } from './node-settings.ts'
import { QUEUES, WAITING_LEVEL, type Written, writeMix } from './workload.ts'

/** Open transactions are asked for so seldom that no test sees it. */
const NO_CHECKS: Settings = { transactionCheckInterval: '3600000' }
const DELAY_QUEUE = /^SCHEDULE_TOPIC_XXXX\/(\d+)$/

export type StoreName = 'plain' | 'killed' | 'upgraded' | 'dledger'

export interface ApacheStore {
  /** Its `storePathRootDir`, which nobody uses any more. */
  readonly directory: string
  readonly content: BrokerContent
  readonly consumerOffsets: Record<string, Record<string, number>>
  readonly written: readonly Written[]
  /** What the real client sees of it, a line for every message. */
  readonly dump: readonly string[]
}

interface Stage {
  readonly name: StoreName
  /** The store that it goes on with. */
  readonly from?: ApacheStore
  readonly settings: (cluster: Cluster, id: string, store: string) => Settings
  readonly write: (broker: ApacheBroker) => Promise<readonly Written[]>
  readonly end: 'SIGTERM' | 'SIGKILL'
}

/** The node `id` of the cluster is stopped; the brokers of Apache have its name and address. */
export async function makeStores(
  cluster: Cluster,
  id: string,
  version: ApacheVersion,
  driver: ClientDriver,
): Promise<Map<StoreName, ApacheStore>> {
  const stores = new Map<StoreName, ApacheStore>()
  const make = async (stage: Stage): Promise<ApacheStore> => {
    const store = await run({ cluster, id, version, driver, stage })
    stores.set(stage.name, store)
    return store
  }
  const mix = async (broker: ApacheBroker): Promise<readonly Written[]> => {
    await writeFeatures(driver, broker)
    const written = await writeMix({
      driver,
      brokerName: BROKER_NAME,
      leader: async () => broker.address,
      createTopic: (topic) => broker.createTopic(topic, QUEUES),
    })
    return [written]
  }
  const more = (from: ApacheStore) => async (broker: ApacheBroker) => {
    const topic = newName('Later')
    await broker.createTopic(topic, QUEUES)
    for (const to of [topic, from.written[0]?.halfway.topic ?? '']) {
      await driver.call('produce', { topic: to, prefix: newName('late'), count: 300, size: 500 })
    }
    return from.written
  }
  const plain = await make({
    name: 'plain',
    settings: plainSettingsOf,
    write: mix,
    end: 'SIGTERM',
  })
  const killed = await make({
    name: 'killed',
    from: plain,
    settings: plainSettingsOf,
    write: more(plain),
    end: 'SIGKILL',
  })
  await make({
    name: 'upgraded',
    from: killed,
    settings: aloneSettingsOf,
    write: more(killed),
    end: 'SIGTERM',
  })
  await make({ name: 'dledger', settings: aloneSettingsOf, write: mix, end: 'SIGKILL' })
  return stores
}

interface Run {
  readonly cluster: Cluster
  readonly id: string
  readonly version: ApacheVersion
  readonly driver: ClientDriver
  readonly stage: Stage
}

async function run({ cluster, id, version, driver, stage }: Run): Promise<ApacheStore> {
  const { name, from, settings, write, end } = stage
  const place = join(cluster.directory, 'apache', name)
  const directory = join(place, 'store')
  mkdirSync(place, { recursive: true })
  if (from !== undefined) copyStore(from.directory, directory)
  const broker = await ApacheBroker.start({
    version,
    directory: place,
    settings: { ...settings(cluster, id, directory), ...NO_CHECKS },
  })
  try {
    await broker.registered()
    const written = await write(broker)
    const read = await ContentReader.at(broker.address, async (reader) => ({
      content: await reader.content(),
      consumerOffsets: await reader.consumerOffsets(),
    }))
    const dump = await dumpOf(driver, read.content, join(place, 'dump'))
    const groups = written.map(({ halfway }) => halfway.group)
    await saved(join(directory, 'config'), groups, read.content)
    await broker.end(end)
    return { directory, written, dump, ...read }
  } finally {
    await broker.end('SIGKILL')
  }
}

/** With `lookups`, every so many messages of a queue are also looked up by id, key and time. */
export async function dumpOf(
  driver: ClientDriver,
  content: BrokerContent,
  file: string,
  lookups = 0,
): Promise<readonly string[]> {
  const topics = [...new Set(Array.from(content.keys(), (name) => name.split('/')[0]))]
  await driver.call('dump', { topics: topics.join(','), file, lookups })
  return readFileSync(file, 'utf8').trimEnd().split('\n')
}

/**
 * Resolves when the disk knows how far groups are and what delayed messages were delivered: that
 * takes up to 10 s, and what it does not know when a broker is killed happens again.
 */
async function saved(
  config: string,
  groups: readonly string[],
  content: BrokerContent,
): Promise<void> {
  const due = Array.from(content, ([name, { end }]) => ({
    queue: DELAY_QUEUE.exec(name)?.[1],
    end,
  }))
    .map(({ queue, end }) => ({ level: Number(queue) + 1, end }))
    .filter(({ level }) => level < WAITING_LEVEL)
  await eventually(
    async () => {
      const offsets = readFileSync(join(config, 'consumerOffset.json'), 'utf8')
      const { offsetTable } = parseLenientJson(
        readFileSync(join(config, 'delayOffset.json'), 'utf8'),
      ) as { offsetTable: Record<string, number> }
      const isSaved =
        groups.every((group) => offsets.includes(group)) &&
        due.every(({ level, end }) => offsetTable[level] === end)
      return isSaved ? true : undefined
    },
    { what: 'the saved offsets of groups and delays' },
  )
}

/** Holes stay holes. */
export function copyStore(from: string, to: string): void {
  execFileSync('cp', ['-a', '--sparse=always', from, to])
}
