/** The log as a part of one's own program: appends from the same process, without a broker. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { appendLoad, openGroup, readAll } from '../load/append-load.ts'
import type { Context, Figures, Scenario } from '../suite/scenario.ts'

const BODY_BYTES = 1024
const IN_FLIGHT: readonly number[] = [1, 16, 256, 1024]

export const scenario: Scenario = {
  title: 'openLedger: appends of 1 KiB from the same process, one member and three (closed loop)',
  plots: [
    {
      title: 'Appends by how many are unanswered',
      x: 'unanswered',
      figures: ['appendedPerSecond'],
      logX: true,
    },
    {
      title: 'Latency by how many are unanswered',
      x: 'unanswered',
      figures: ['p50Ms', 'p99Ms'],
      logX: true,
      logY: true,
    },
  ],
  run: async (context) => {
    const one = await measureGroup(1, context)
    const three = await measureGroup(3, context)
    context.ratio('three members by one', three / one)
  },
}

/** Returns appends a second with the most unanswered. */
async function measureGroup(members: number, context: Context): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  const group = members === 1 ? 'one member' : 'three members'
  try {
    const { leader, close } = await openGroup(directory, members, 'sync')
    const body = Buffer.alloc(BODY_BYTES, 7)
    let last = Number.NaN
    await appendLoad(leader, body, 256, context.quick ? 0.2 : 1)
    for (const inFlight of context.quick ? [1, 256] : IN_FLIGHT) {
      context.show(`${group}, ${inFlight} unanswered`)
      const result = await appendLoad(leader, body, inFlight, context.seconds)
      const { appendedPerSecond, latency, processorPerAppendUs } = result
      const { p50Ms, p99Ms, p999Ms } = latency
      const figures: Figures = { appendedPerSecond, p50Ms, p99Ms, p999Ms, processorPerAppendUs }
      context.point({ group, at: inFlight, label: `${inFlight} unanswered`, figures })
      last = appendedPerSecond
    }
    context.show(`${group}: reads it back`)
    const { entries, seconds } = await readAll(leader)
    const figures = { entries, readPerSecond: entries / seconds }
    context.point({ group, at: 0, label: 'read back', figures })
    await close()
    return last
  } finally {
    process.off('exit', remove)
    remove()
  }
}
