/**
 * What a store holds beside ordinary messages, made by real clients at a real broker: each kind of
 * compression, transactions that are open, inner batches. No client makes topics that are too long
 * for the first message format: brokers refuse them.
 */
import assert from 'node:assert/strict'
import { MessageSysFlag, SystemTopic } from '@ringledger/protocol'
import type { ClientDriver } from '../harness/client-driver.ts'
import { newName } from '../harness/client-test.ts'
import { eventually } from '../harness/eventually.ts'
import type { ApacheBroker } from './apache-broker.ts'
import type { StoreName } from './apache-stores.ts'
import { allOf, type BrokerContent } from './broker-content.ts'
import { BrokerReader } from './broker-reader.ts'
import { QUEUES } from './workload.ts'

export const COMPRESSIONS: readonly (readonly [type: string, flag: number])[] = [
  ['ZLIB', 0x301],
  ['LZ4', 0x101],
  ['ZSTD', 0x201],
]
const COMPRESSION_MASK = 0x701
const { TRANS_HALF: HALF_TOPIC, TRANS_OP_HALF: RESOLVED_TOPIC } = SystemTopic
/** Two of three are decided, the third stays open. */
const TRANSACTIONS = 9
const COMMITTED = 3
const COMPRESSED = 12
const BATCH_TOPIC = 'Batched'
const BATCHED = 300
/** The client makes batches of a hundred. */
const BATCHES = 3

/** Resolves when all is stored. */
export async function writeFeatures(driver: ClientDriver, broker: ApacheBroker): Promise<void> {
  const compressed = newName('Compressed')
  await broker.createTopic(compressed, QUEUES)
  for (const [type] of COMPRESSIONS) {
    const kind = { compress: type, group: `compress-${type}`, size: 20_000 }
    const prefix = newName('key')
    await driver.call('produce', { topic: compressed, prefix, count: COMPRESSED, ...kind })
  }
  await transact(driver, broker)
  if (broker.version === '4.9.4') return
  const batched = newName(BATCH_TOPIC)
  await broker.createTopic(batched, 1, '+queue.type=BatchCQ')
  const prefix = newName('key')
  await driver.call('produce', { topic: batched, prefix, count: BATCHED, mode: 'batch' })
}

async function transact(driver: ClientDriver, broker: ApacheBroker): Promise<void> {
  const topic = newName('Transacted')
  await broker.createTopic(topic, QUEUES)
  const names = { topic, prefix: newName('key'), group: newName('transactions') }
  const { committed } = await driver.call('transact', { ...names, count: TRANSACTIONS })
  assert.equal(committed, COMMITTED)
  await allResolved(broker)
}

/** 5.4.0 writes down some seconds later which halves are decided. */
async function allResolved(broker: ApacheBroker): Promise<void> {
  if (broker.version === '4.9.4') return
  const reader = await BrokerReader.connect(broker.address)
  try {
    await eventually(
      async () => {
        const messages = await reader.queue(RESOLVED_TOPIC, 0)
        const decided = messages.flatMap(({ body }) => body.toString().split(',').filter(Boolean))
        return decided.length === (TRANSACTIONS / 3) * 2 ? true : undefined
      },
      { what: 'what is written about decided transactions' },
    )
  } finally {
    reader.close()
  }
}

/** The store does hold what was made above: the comparison of it means something. */
export function assertHasFeatures(content: BrokerContent, version: string, store: StoreName): void {
  const all = allOf(content)
  for (const [type, flag] of COMPRESSIONS) {
    const found = all.filter(({ sysFlag }) => (sysFlag & COMPRESSION_MASK) === flag)
    assert.ok(found.length >= COMPRESSED, type)
  }
  assert.equal(all.filter(({ sysFlag }) => (sysFlag & 0xc) === 8).length, COMMITTED)
  const delayed = all.filter(({ topic }) => topic === SystemTopic.SCHEDULE)
  assert.ok(delayed.length > 0)
  const halves = all.filter(({ topic }) => topic === HALF_TOPIC)
  // 4.9.4 lists the topic from the first time on that it asks for open ones, at the latest when it
  // stops in order; what nobody lists, no client reads.
  const isUnlisted = version === '4.9.4' && store === 'dledger' && halves.length === 0
  assert.ok(isUnlisted || halves.length >= TRANSACTIONS, `${halves.length} half messages`)
  if (version === '4.9.4') return
  const batches = all.filter(({ sysFlag }) => (sysFlag & MessageSysFlag.INNER_BATCH) !== 0)
  assert.equal(batches.length, BATCHES)
}

/**
 * What a broker of Apache said before it stopped, in what ours says. 4.9.4 has queues of
 * transactions and lists none of them; each version asks for open ones once more when it stops in
 * order, and stores that. In DLedger mode 5.4.0 counts each inner batch as one offset when it says
 * where a queue ends; its client is given elements that lie behind that.
 */
export function comparable(
  expected: BrokerContent,
  content: BrokerContent,
  store: StoreName,
): BrokerContent {
  const listed = [...content].filter(([name]) => expected.has(name) || !isOfTransactions(name))
  return new Map(
    listed.map(([name, queue]) => {
      const { end, messages } = expected.get(name) ?? queue
      if (store === 'dledger' && name.startsWith(BATCH_TOPIC)) {
        assert.equal(queue.end, BATCHED)
        return [name, { ...queue, end }]
      }
      if (!isOfTransactions(name)) return [name, queue]
      return [name, { ...queue, end, messages: queue.messages.slice(0, messages.length) }]
    }),
  )
}

/** The same for what a client sees. */
export function comparableDump(
  expected: readonly string[],
  lines: readonly string[],
): readonly string[] {
  const known = new Set(expected)
  return lines.filter((line) => known.has(line) || !isOfTransactions(line))
}

/** The same for groups; of transactions is the broker's own one. */
export function comparableOffsets<T>(offsets: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(offsets).filter(([name]) => !isOfTransactions(name)))
}

function isOfTransactions(name: string): boolean {
  return name.startsWith(HALF_TOPIC) || name.startsWith(RESOLVED_TOPIC)
}
