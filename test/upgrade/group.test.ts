/**
 * Groups of three on the stores of plain brokers: equal copies, a copy that lacks the end, an empty
 * one, one that differs.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Cluster, useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { BrokerReader } from './broker-reader.ts'
import { forgetFrom, sampleStore, unpackStore } from './sample-stores.ts'

const sample = sampleStore('plain-4.9.4')
const INCOMING = 'commitlog/ringledger-incoming'

async function atNode(
  cluster: Cluster,
  id: string,
  use: (reader: BrokerReader) => Promise<void>,
): Promise<void> {
  const reader = await BrokerReader.connect(cluster.addressOf(id))
  try {
    await use(reader)
  } finally {
    reader.close()
  }
}

/**
 * The leader serves everything; so does the next one after it is killed, and the one after that.
 */
async function assertEveryLeaderServes(cluster: Cluster): Promise<void> {
  const leaders = new Set<string>()
  for (let at = 0; leaders.size < cluster.ids.length && at < 6; at++) {
    const leader = await cluster.leader()
    leaders.add(leader)
    await atNode(cluster, leader, async (reader) => {
      await reader.assertHolds(sample)
      const sent = await reader.send('FixTopicB', 0, 'new', `new-${at}`)
      assert.equal(sent.queueOffset, 120 + at)
      await eventually(
        async () => ((await reader.queue('FixTopicB', 0)).length === 121 + at ? true : undefined),
        { what: 'the new message in its queue' },
      )
    })
    await cluster.kill(leader, 'SIGKILL')
    await cluster.leader()
    await cluster.restart(leader)
  }
  assert.ok(leaders.size > 1)
}

function logOf(store: string): Map<string, string> {
  const directory = join(store, 'commitlog')
  const names = readdirSync(directory).filter((name) => /^\d{20}$/.test(name))
  return new Map(
    names.map((name) => [name, readFileSync(join(directory, name)).toString('base64')]),
  )
}

function assertEqualLogs(cluster: Cluster): void {
  const [first, ...others] = cluster.ids.map((id) => logOf(cluster.storeOf(id)))
  assert.equal(first?.size, 4)
  for (const other of others) assert.ok(sameLog(first!, other), 'old logs differ')
}

function sameLog(left: Map<string, string>, right: Map<string, string>): boolean {
  return left.size === right.size && [...left].every(([name, text]) => right.get(name) === text)
}

describe('three equal copies', () => {
  const cluster = useCluster({
    nodes: 3,
    settings: sample.settings,
    prepare: (id, store) => {
      unpackStore(sample.name, store)
      if (id !== 'n2') return
      const incoming = join(store, INCOMING)
      mkdirSync(incoming)
      writeFileSync(join(incoming, '00000000000000000000.tmp'), 'begun')
    },
  })

  test('what an end in the middle of a completion left is gone', () => {
    assert.ok(!existsSync(join(cluster().storeOf('n2'), INCOMING)))
  })

  test('every leader serves every old message, and what came later', async () => {
    await assertEveryLeaderServes(cluster())
    assertEqualLogs(cluster())
  })
})

describe('one copy lacks the end, one server is empty', () => {
  const cluster = useCluster({
    nodes: 3,
    settings: sample.settings,
    prepare: (id, store) => {
      if (id === 'n2') return
      unpackStore(sample.name, store)
      if (id === 'n1') forgetFrom(sample, store, sample.messages.length - 9)
    },
  })

  test('both are completed before they count, and all three are equal', async () => {
    assertEqualLogs(cluster())
    assert.match(cluster().logOf('n2'), /the rest comes from n0/)
    assert.match(cluster().logOf('n1'), /the old commit log is complete up to 937021/)
    await assertEveryLeaderServes(cluster())
  })
})

describe('one copy of three differs', () => {
  const damaged = sample.messages[200]!
  const cluster = useCluster({
    nodes: 3,
    settings: sample.settings,
    mayEnd: ['n2'],
    prepare: (id, store) => {
      unpackStore(sample.name, store)
      if (id !== 'n2') return
      const start = damaged.physicalOffset - (damaged.physicalOffset % sample.segmentBytes)
      const path = join(store, 'commitlog', String(start).padStart(20, '0'))
      const bytes = readFileSync(path)
      bytes[damaged.physicalOffset - start + 88]! ^= 1
      writeFileSync(path, bytes)
    },
  })

  test('it refuses to join and says from which message on; the others go on', async () => {
    const { topic, queueId, queueOffset } = damaged
    const words = `from this message on: topic ${topic}, queue ${queueId}, offset ${queueOffset},`
    assert.ok(cluster().logOf('n2').includes(words), cluster().logOf('n2'))
    assert.deepEqual(cluster().runningIds, ['n0', 'n1'])
    const leader = await cluster().leader()
    await atNode(cluster(), leader, (reader) => reader.assertHolds(sample))
  })
})
