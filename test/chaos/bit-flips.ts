/**
 * Measures what flipped bits do: `node test/chaos/bit-flips.ts [count] [seed]` flips so many random
 * bits, one at a time, in all files of one member of a group of three, stopped and running, and
 * looks at every promise after each. The last line is a summary as JSON; exit code 1 when a promise
 * was broken.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '@ringledger/base'
import { FlipGroup } from './bit-flip-group.ts'
import { type FlipResult, flipOnce, kindOf, WAYS } from './flip-round.ts'

const ENTRIES = 400
const PROGRESS_EVERY = 50

export interface FlipSummary {
  readonly flips: number
  readonly seed: number
  readonly seconds: number
  readonly meanMs: number
  readonly byKind: Record<string, number>
  readonly byWay: Record<string, number>
  readonly said: number
  readonly logBytes: number
}

/** @throws AssertionError naming the place when a promise is broken */
export async function flipMany(
  count: number,
  seed: number,
  progress: (line: string) => void,
): Promise<FlipSummary> {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-flips-'))
  const random = seededRandom(seed)
  const results: FlipResult[] = []
  const startedMs = performance.now()
  const group = await FlipGroup.start(root)
  try {
    const end = await group.append(ENTRIES)
    const truth = { log: await (group.members[0] as (typeof group.members)[0]).read(end) }
    for (let at = 0; at < count; at++) {
      const way = WAYS[at % WAYS.length] as (typeof WAYS)[number]
      results.push(await flipOnce(group, truth, way, random))
      if ((at + 1) % PROGRESS_EVERY === 0) progress(`${at + 1} of ${count} bits flipped`)
    }
    return summary(results, seed, performance.now() - startedMs, truth.log.length)
  } finally {
    await group.stop()
    rmSync(root, { recursive: true, force: true })
  }
}

function summary(
  results: readonly FlipResult[],
  seed: number,
  tookMs: number,
  logBytes: number,
): FlipSummary {
  const byKind: Record<string, number> = {}
  const byWay: Record<string, number> = {}
  for (const { place, way } of results) {
    const kind = kindOf(place.path)
    byKind[kind] = (byKind[kind] ?? 0) + 1
    byWay[way] = (byWay[way] ?? 0) + 1
  }
  const sumMs = results.reduce((sum, result) => sum + result.tookMs, 0)
  return {
    flips: results.length,
    seed,
    seconds: Math.round(tookMs / 1000),
    meanMs: Math.round(sumMs / Math.max(1, results.length)),
    byKind,
    byWay,
    said: results.filter(({ said }) => said.length > 0).length,
    logBytes,
  }
}

if (import.meta.main) {
  const count = Number(process.argv[2] ?? 1000)
  const seed = Number(process.argv[3] ?? 1)
  try {
    console.log(JSON.stringify(await flipMany(count, seed, (line) => console.error(line))))
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
}
