/**
 * kill -9 of members while one of them gets its part of the old commit log from the others: of the
 * one that is completed, at a call that may change a file, and of the one that serves it, at a call
 * that reads for it. Started again, all come to the same copies, and everything is served. KILLS:
 * how many altogether.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { randomBetween, seededRandom } from '@ringledger/base'
import { Cluster } from '../harness/cluster.ts'
import { BrokerReader } from './broker-reader.ts'
import { countOf, killEnvironment } from './killed-process.ts'
import { sampleStore, unpackStore } from './sample-stores.ts'

const KILLS = Number(process.env.KILLS ?? 3)
const SEED = Number(process.env.SEED ?? Date.now())
const COMPLETED = 'n2'
const SERVING = 'n0'
const sample = sampleStore('plain-4.9.4')
const random = seededRandom(SEED)

interface Group {
  readonly cluster: Cluster
  /** At which call each node is to be killed at its next starts. */
  readonly plan: Map<string, number[]>
  kills: number
}

async function newGroup(): Promise<Group> {
  const plan = new Map<string, number[]>()
  const cluster = await Cluster.start({
    nodes: 3,
    settings: sample.settings,
    later: ['n0', 'n1', 'n2'],
    prepare: (id, store) => {
      if (id !== COMPLETED) unpackStore(sample.name, store)
    },
    environment: (id, directory) => {
      const step = plan.get(id)?.shift()
      const countTo = join(directory, `${id}.count`)
      return killEnvironment(step === undefined ? { countTo } : { step })
    },
  })
  return { cluster, plan, kills: 0 }
}

/** Started again and again, until it serves. */
async function bootUntilItServes(group: Group, id: string): Promise<void> {
  for (;;) {
    const isPlanned = (group.plan.get(id)?.length ?? 0) > 0
    try {
      await group.cluster.boot(id)
      return
    } catch (error) {
      if (!isPlanned) throw error
      group.kills++
    }
  }
}

async function allServe(group: Group): Promise<void> {
  const { cluster } = group
  await Promise.all(cluster.ids.map((id) => bootUntilItServes(group, id)))
  await cluster.whole()
}

function copyOf(store: string): Map<string, string> {
  const directory = join(store, 'commitlog')
  const names = readdirSync(directory)
  return new Map(names.map((name) => [name, readFileSync(join(directory, name), 'base64')]))
}

async function assertWhole({ cluster }: Group): Promise<void> {
  const [first, ...others] = cluster.ids.map((id) => copyOf(cluster.storeOf(id)))
  assert.equal(first?.size, 4)
  for (const other of others) assert.deepEqual([...other.keys()], [...first!.keys()])
  assert.ok(others.every((other) => [...first!].every(([name, text]) => other.get(name) === text)))
  const reader = await BrokerReader.connect(cluster.addressOf(await cluster.leader()))
  try {
    await reader.assertHolds(sample)
  } finally {
    reader.close()
  }
}

/** The calls of each node until it serves. */
async function callsOf(): Promise<(id: string) => number> {
  const group = await newGroup()
  const { cluster } = group
  try {
    await allServe(group)
    await assertWhole(group)
    const counts = new Map(
      cluster.ids.map((id) => [id, countOf(join(cluster.directory, `${id}.count`))]),
    )
    return (id) => counts.get(id) ?? 0
  } finally {
    await cluster.stop()
  }
}

test('an empty member is killed while it is completed, and so is who serves it', async (t) => {
  t.diagnostic(`SEED=${SEED}`)
  const calls = await callsOf()
  const anyCall = (id: string): number => randomBetween(random, 1, calls(id))
  let [kills, groups] = [0, 0]
  for (; kills < KILLS; groups++) {
    const group = await newGroup()
    try {
      group.plan.set(COMPLETED, [anyCall(COMPLETED), anyCall(COMPLETED), anyCall(COMPLETED)])
      group.plan.set(SERVING, [anyCall(SERVING), anyCall(SERVING)])
      await allServe(group)
      await assertWhole(group)
      kills += group.kills
    } catch (error) {
      process.stderr.write(group.cluster.logs())
      throw error
    } finally {
      await group.cluster.stop()
    }
  }
  t.diagnostic(
    `${kills} kills in ${groups} groups, at one of ${calls(COMPLETED)} calls of the member that is ` +
      `completed, or of ${calls(SERVING)} of one that serves it`,
  )
})
