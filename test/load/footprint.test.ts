import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { audit, NOTHING_WRONG } from './audit.ts'
import { flood } from './flood.ts'
import { NO_PROC, residentBytes } from './process-memory.ts'

const MESSAGES = 100_000
const MAX_RESIDENT_BYTES = 250 * 1024 * 1024
const MAX_MAIN_UTILIZATION = 0.05
const cluster = useCluster({ nodes: 3 })

/** Asks a node for its status line: how busy its main thread was since the last one. */
async function mainUtilization(id: string): Promise<number> {
  const before = statusLines(id).length
  process.kill(cluster().pidOf(id), 'SIGUSR2')
  const line = await eventually(async () => statusLines(id)[before], {
    what: `a status line of ${id}`,
  })
  return Number(/mainUtilization=([\d.]+)/.exec(line)?.[1])
}

function statusLines(id: string): string[] {
  return cluster()
    .logOf(id)
    .split('\n')
    .filter((line) => line.includes(' status '))
}

test('the main thread has no work per message, and memory stays bounded', {
  timeout: 180_000,
  skip: NO_PROC,
}, async (context) => {
  const { nameServer, ids } = cluster()
  for (const id of ids) await mainUtilization(id)
  const record = await flood({ nameServer, topic: 'Footprint', messages: MESSAGES })
  context.diagnostic(record.summary())
  for (const id of ids) {
    const utilization = await mainUtilization(id)
    const resident = residentBytes(cluster().pidOf(id))
    context.diagnostic(`${id}: main thread ${utilization}, ${resident >> 20} MiB resident`)
    assert.ok(utilization < MAX_MAIN_UTILIZATION, `${id}: main thread busy ${utilization}`)
    assert.ok(resident <= MAX_RESIDENT_BYTES, `${id}: ${resident} bytes resident`)
  }
  assert.deepEqual(await audit(nameServer, record), NOTHING_WRONG)
})
