/** Reading what is in memory, and what has to come from files: a log larger than the arena. */
import { writeFileSync } from 'node:fs'
import { fill } from '../load/fill.ts'
import { type PullResult, pullAll, readable } from '../load/pull-load.ts'
import { TOPIC, withBrokers } from '../resilience/group.ts'
import type { Context, Figures, Scenario } from '../suite/scenario.ts'
import { CONNECTIONS, QUEUES, target } from './measure-send.ts'

const SMALL_ARENA = String(16 * 2 ** 20)
/** Holds the whole log. */
const LARGE_ARENA = String(512 * 2 ** 20)
/** About 150 MB. */
const MESSAGES = 100_000

export const scenario: Scenario = {
  title: 'catch-up reads of a whole topic, 32 a pull: from the arena, the page cache, the disk',
  plots: [],
  run: async (context) => {
    const hot = await readBack('arena', LARGE_ARENA, false, context)
    const cached = await readBack('files', SMALL_ARENA, false, context)
    context.ratio('files by arena', cached / hot)
    // Of the whole machine: not only to see that this works.
    if (context.quick || !mayDropPageCache()) return
    const cold = await readBack('disk, page cache dropped', SMALL_ARENA, true, context)
    context.ratio('disk by arena', cold / hot)
  },
}

/** Returns messages a second. */
function readBack(
  label: string,
  logArenaSizeBytes: string,
  dropped: boolean,
  context: Context,
): Promise<number> {
  const settings = { logArenaSizeBytes }
  return withBrokers({ nodes: 1, settings, queues: QUEUES }, async (cluster) => {
    const to = target(cluster.addressOf(await cluster.leader()), TOPIC)
    context.show(`${label}: writes the log`)
    const { address, templates } = to
    const options = { address, topic: TOPIC, queues: QUEUES, connections: CONNECTIONS }
    const wanted = context.quick ? 1000 : MESSAGES
    const written = await fill(address, templates, wanted, (count) =>
      context.show(`${label}: ${count} of ${wanted} written`),
    )
    await readable(options, written)
    if (dropped) dropPageCache()
    context.show(`${label}: reads it back`)
    const figures = pullFigures(await pullAll(options))
    context.point({ group: 'one node', at: 0, label, figures })
    return figures.readPerSecond ?? Number.NaN
  })
}

export function pullFigures({ messages, bytes, seconds }: PullResult): Figures {
  return { messages, readPerSecond: messages / seconds, megabytesPerSecond: bytes / seconds / 1e6 }
}

const DROP_CACHES = '/proc/sys/vm/drop_caches'

/** Of the whole machine; only root may. What is dirty stays, so it is only cold after a sync. */
function dropPageCache(): void {
  writeFileSync(DROP_CACHES, '1')
}

function mayDropPageCache(): boolean {
  try {
    dropPageCache()
    return true
  } catch {
    return false
  }
}
