/** What more replicas cost: groups of one, three and five members in one process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { appendLoad, openGroup } from '../load/append-load.ts'
import type { Context, Figures, Scenario } from '../suite/scenario.ts'

const BODY_BYTES = 1024
const IN_FLIGHT = 256

export const scenario: Scenario = {
  title: 'rate and processor time of openLedger with 1, 3 and 5 members in one process',
  plots: [
    { title: 'Rate', x: 'members', figures: ['appendedPerSecond'] },
    { title: 'Processor', x: 'members', figures: ['processorPerAppendUs'] },
  ],
  run: async (context) => {
    for (const members of context.quick ? [1, 3] : [1, 3, 5]) {
      context.show(`${members} members`)
      const figures = await measureMembers(members, context)
      context.point({ group: 'one process', at: members, label: `${members} members`, figures })
    }
  },
}

async function measureMembers(members: number, context: Context): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  try {
    const { leader, close } = await openGroup(directory, members, 'sync')
    const body = Buffer.alloc(BODY_BYTES, 7)
    await appendLoad(leader, body, IN_FLIGHT, context.quick ? 0.2 : 1)
    const result = await appendLoad(leader, body, IN_FLIGHT, context.seconds)
    await close()
    const { appendedPerSecond, latency, processorPerAppendUs } = result
    const { p50Ms, p99Ms } = latency
    const residentBytes = process.memoryUsage.rss()
    return { appendedPerSecond, p50Ms, p99Ms, processorPerAppendUs, residentBytes }
  } finally {
    process.off('exit', remove)
    remove()
  }
}
