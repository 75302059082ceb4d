/**
 * Random runs of small groups under loss, reordering, duplication, partitions, stopped processes,
 * closed links and crashes that lose unsynced bytes. A failure prints the seed that repeats it.
 * RAFT_SEEDS sets how many seeds each kind of trouble gets.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CALM, FakeCluster, type Trouble } from './cluster-fake.ts'

const WEATHERS: Record<string, Trouble> = {
  'lossy network': { ...CALM, loss: 0.1, duplicate: 0.1, reorder: 0.3 },
  partitions: { ...CALM, loss: 0.02, reorder: 0.05, partition: 0.004, transfer: 0.002 },
  crashes: { ...CALM, crash: 0.01, reorder: 0.05, disconnect: 0.003 },
  'slow disks and power cuts': { ...CALM, crash: 0.006, slowDisk: 0.8, partition: 0.002 },
  'full disks': { ...CALM, fullDisk: 0.01, crash: 0.003, partition: 0.002, slowDisk: 0.3 },
  everything: {
    loss: 0.05,
    duplicate: 0.05,
    reorder: 0.2,
    partition: 0.002,
    crash: 0.005,
    disconnect: 0.003,
    transfer: 0.003,
    slowDisk: 0.3,
    fullDisk: 0.003,
    stall: 0.002,
  },
}
const SIZES = [3, 5, 3, 4, 3, 5, 2]
const SEEDS_PER_WEATHER = Number(process.env.RAFT_SEEDS ?? 60)
const TROUBLED_STEPS = 8000
/** Far more than an election and a catch-up take; a run that needs it all is stuck. */
const CALM_STEPS = 30_000

function run(seed: number, trouble: Trouble): FakeCluster {
  const cluster = new FakeCluster(seed, SIZES[seed % SIZES.length] as number)
  cluster.trouble = trouble
  for (let step = 0; step < TROUBLED_STEPS; step++) {
    cluster.step()
    if (step % 100 === 0) cluster.checkLogs()
  }
  cluster.heal()
  const committedBefore = cluster.committed.length
  let steps = 0
  while (cluster.writing || !cluster.agreed) {
    assert.ok(++steps < CALM_STEPS, 'no progress after the network healed')
    cluster.step()
    if (cluster.committed.length > committedBefore + 3) cluster.writing = false
  }
  cluster.checkLogs()
  return cluster
}

for (const [name, trouble] of Object.entries(WEATHERS)) {
  test(`safe and live: ${name}`, (t) => {
    const sums = { committed: 0, reads: 0, elections: 0, truncations: 0, crashes: 0, transfers: 0 }
    for (let seed = 1; seed <= SEEDS_PER_WEATHER; seed++) {
      try {
        const cluster = run(seed, trouble)
        sums.committed += cluster.committed.length
        for (const key of Object.keys(cluster.counts) as (keyof typeof cluster.counts)[]) {
          sums[key] += cluster.counts[key]
        }
      } catch (error) {
        throw new Error(`seed ${seed} of "${name}"`, { cause: error })
      }
    }
    t.diagnostic(JSON.stringify(sums))
    // The runs must do real work, or the checks above would prove nothing.
    assert.ok(sums.committed > SEEDS_PER_WEATHER * 10, 'hardly anything was committed')
    assert.ok(sums.reads > 0, 'no read was confirmed')
  })
}
