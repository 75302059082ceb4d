/**
 * A short campaign of lost power, and the proofs that it can find something: the layer sees all
 * that a broker does to its store, and disks that lie lose messages. The full campaign is the
 * command test/power/power-loss.ts; RINGLEDGER_POWER_SEED repeats the choices of this one.
 */
import assert from 'node:assert/strict'
import { createHash, randomInt } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { missingTools } from '../support/external-tools.ts'
import { Campaign, type CampaignOptions, type CampaignResult } from './campaign.ts'
import { PowerCluster } from './power-cluster.ts'
import { PowerLoad, prepareGroup } from './power-load.ts'

const SEED = Number(process.env.RINGLEDGER_POWER_SEED ?? randomInt(2 ** 31))
const ROUNDS = 8
/** The first that takes all memory shows it. */
const ROUNDS_OF_LIES = 2
const LOAD = { syncMicros: 800, senders: 16, paceMs: 8 }
const OPTIONS = { skip: missingTools('gcc'), timeout: 300_000 }

async function campaign(
  context: TestContext,
  options: Pick<CampaignOptions, 'rounds' | 'lies' | 'allAtOnce'>,
): Promise<CampaignResult> {
  context.diagnostic(`RINGLEDGER_POWER_SEED=${SEED}`)
  const result = await new Campaign({
    ...LOAD,
    ...options,
    seed: SEED,
    freshEvery: options.rounds,
    onProgress: ({ round, victims }) => context.diagnostic(`${round}: ${victims}`),
  }).run()
  const { kept } = result
  if (kept !== undefined) context.after(() => rmSync(kept, { recursive: true, force: true }))
  return result
}

test(
  'power lost by any nodes at any moment loses nothing acknowledged',
  OPTIONS,
  async (context) => {
    const result = await campaign(context, { rounds: ROUNDS })
    assert.equal(result.failure, undefined)
    const { lost, changed, other } = result.findings
    assert.deepEqual({ lost, changed, other }, { lost: 0, changed: 0, other: 0 })
    assert.equal(result.rounds, ROUNDS)
    assert.ok(result.comparisons > result.acknowledged, 'everything was looked at')
    assert.ok(result.lost.sectors > 0, 'the disks did lose something')
  },
)

test('disks that lie about fdatasync are found out', OPTIONS, async (context) => {
  const { findings, failure, lost } = await campaign(context, {
    rounds: ROUNDS_OF_LIES,
    lies: true,
    allAtOnce: true,
  })
  assert.ok(lost.lies > 0)
  assert.ok(findings.lost + findings.changed > 0, `no message was missed: ${failure}`)
})

test(
  'taking everything back gives the store as it was: nothing passes the layer by',
  OPTIONS,
  async () => {
    const layers = mkdtempSync(join(tmpdir(), 'power-layer-'))
    const random = seededRandom(SEED)
    const group = await PowerCluster.start(layers, { random, nodes: 1, syncMicros: 0 })
    try {
      const { cluster } = group
      const [id] = cluster.ids as [string]
      const root = group.storeOf(id)
      await prepareGroup(cluster, 'Seen')
      await loaded(group, 1)
      await group.crash([id], { kept: 1 })
      const before = treeOf(root)
      await cluster.restart(id)
      await loaded(group, 2)
      await cluster.kill(id, 'SIGKILL')
      assert.notDeepEqual(treeOf(root), before)
      await group.crash([id], { kept: 0, syncsCount: false })
      assert.deepEqual(treeOf(root), before)
    } finally {
      await group.stop(false)
      rmSync(layers, { recursive: true, force: true })
    }
  },
)

test(
  'a store that was closed in order loses nothing with the power, and rebuilds nothing',
  OPTIONS,
  async () => {
    const layers = mkdtempSync(join(tmpdir(), 'power-layer-'))
    const random = seededRandom(SEED)
    const group = await PowerCluster.start(layers, { random, nodes: 1, syncMicros: 0 })
    try {
      const { cluster } = group
      const [id] = cluster.ids as [string]
      await prepareGroup(cluster, 'Seen')
      await loaded(group, 1)
      await cluster.kill(id, 'SIGTERM')
      await group.crash([id], { kept: 0 })
      await cluster.restart(id)
      const log = cluster.logOf(id)
      assert.doesNotMatch(log, /built anew|checking the whole log|rebuilding/)
    } finally {
      await group.stop(false)
      rmSync(layers, { recursive: true, force: true })
    }
  },
)

/** So many messages that segments and queue files are begun. */
async function loaded({ cluster }: PowerCluster, run: number): Promise<void> {
  const { nameServer } = cluster
  const load = new PowerLoad({ nameServer, topic: 'Seen', run, ...LOAD, paceMs: 1 })
  await load.book.more(5000)
  await load.end()
}

/** Digest of each file by path; directories end with a slash. */
function treeOf(root: string): Map<string, string> {
  const tree = new Map<string, string>()
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = relative(root, path)
    if (entry.isDirectory()) tree.set(`${name}/`, '')
    else tree.set(name, createHash('sha1').update(readFileSync(path)).digest('hex'))
  }
  return tree
}
