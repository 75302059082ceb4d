/**
 * One flipped bit after another below one member of a group: what became of it. Owns the promises
 * that are looked at: no byte is served that was not written, the damage is repaired or said, and
 * the group goes on with every acknowledged entry on every member.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Random } from '@ringledger/base'
import { type FlipGroup, type FlipMember, flipBit, type Place } from './bit-flip-group.ts'

export const WAYS = ['killed', 'closed', 'running'] as const
export type Way = (typeof WAYS)[number]

export interface FlipResult {
  readonly place: Place
  readonly way: Way
  /** Words of the member about it; none where the bytes were simply written anew. */
  readonly said: readonly string[]
  readonly tookMs: number
}

/** Any bit of any file of the member's store. */
export function somePlace(member: FlipMember, random: Random): Place {
  // The lock is this process's own and gone when it stops.
  const files = member.files().filter(({ path }) => basename(path) !== 'ringledger-lock')
  // Every kind of file gets its share: nearly all bytes are data.
  const kinds = [...new Set(files.map(({ path }) => kindOf(path)))]
  const kind = random() < 0.6 ? 'data' : kinds[Math.floor(random() * kinds.length)]
  const chosen = files.filter(({ path, sizeBytes }) => kindOf(path) === kind && sizeBytes > 0)
  const file = chosen[Math.floor(random() * chosen.length)]
  assert(file !== undefined)
  const at = Math.floor(random() * file.sizeBytes)
  return { path: file.path, at, bit: Math.floor(random() * 8) }
}

export function kindOf(path: string): string {
  const directory = basename(path.slice(0, path.lastIndexOf('/')))
  return directory === 'data' || directory === 'index' ? directory : basename(path)
}

/** Flips one bit below the first member, and sees that nothing comes of it. @throws when it does */
export async function flipOnce(
  group: FlipGroup,
  truth: { log: Buffer },
  way: Way,
  random: Random,
): Promise<FlipResult> {
  const startedMs = performance.now()
  const victim = group.members[0] as FlipMember
  victim.said = []
  if (way !== 'running') await victim.stop(way === 'closed')
  const place = somePlace(victim, random)
  const before = flipBit(place)
  if (way !== 'running') await victim.start()
  await readTolerant(victim, truth.log)
  await victim.scrub()
  await group.until('damaged entries are repaired', () => victim.core?.damagedEntries === 0)
  const said = [...victim.said]
  const end = await group.append(1)
  for (const member of group.members) {
    const log = await member.read(end)
    assert.ok(log.subarray(0, truth.log.length).equals(truth.log), `${idOf(member)} has it all`)
    if (member === group.members[0]) truth = extended(truth, log)
    assert.ok(log.equals(truth.log), `${idOf(member)} agrees`)
    assert.equal(member.halted, '')
  }
  victim.said = []
  await victim.scrub()
  assert.deepEqual(victim.said, [], 'nothing is left')
  assertGone(place, before, said)
  return { place, way, said, tookMs: performance.now() - startedMs }
}

/** Before the repair a read may fail, but what it gives is right. */
async function readTolerant(victim: FlipMember, expected: Buffer): Promise<void> {
  try {
    const log = await victim.read(expected.length)
    assert.ok(log.equals(expected), 'what is served is what was written')
  } catch (error) {
    const { code } = error as { code?: string }
    if (code !== 'CORRUPT' && code !== 'BAD_REQUEST') throw error
  }
}

function extended(truth: { log: Buffer }, log: Buffer): { log: Buffer } {
  truth.log = log
  return truth
}

/** The damage was said, or the bit is as it was, or its file was written anew. */
function assertGone({ path, at, bit }: Place, before: number, said: readonly string[]): void {
  if (said.length > 0) return
  // Apache's texts are only written here; nobody reads them while a store of ours is whole.
  if (['currterm', 'checkpoint'].includes(basename(path))) return
  const now = readFileSync(path)[at]
  const flipped = before ^ (1 << bit)
  assert.notEqual(now, flipped, `${path} byte ${at} bit ${bit}: neither repaired nor said`)
}

function idOf(member: FlipMember): string {
  return member.settings.selfId
}
