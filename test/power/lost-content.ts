/**
 * What a loss of power does to the content of one file: of every sector written since the last
 * sync, some version between then and now is left, each sector for itself, and some length that the
 * file had. Reads and writes the file itself; the journal holds what was overwritten.
 */
import { ftruncateSync, writeSync } from 'node:fs'
import { type Random, randomBetween } from '@ringledger/base'
import { type JournalRecord, Kind } from './journal.ts'

export const SECTOR_BYTES = 512

/** Of this share of the sectors the newest version is left; all, none, or a mixture. */
export type KeptShare = 0 | 0.5 | 0.9 | 1
const SHARES: readonly KeptShare[] = [0, 0.5, 0.9, 1]
/** Of the others, this share goes back to what was synced; else to a version in between. */
const SYNCED_SHARE = 0.5
const NEWEST_LENGTH_SHARE = 0.5

const zeros = Buffer.alloc(1024 * 1024)

export interface LostContent {
  readonly sectors: number
  /** Sectors of the same file that stayed as they were written, though no sync covered them. */
  readonly keptSectors: number
}

export function randomShare(random: Random): KeptShare {
  return SHARES[randomBetween(random, 0, SHARES.length)] as KeptShare
}

/**
 * `records`: the file's WRITE and SIZE records that no sync of all of it covers, and its SYNC_RANGE
 * records, in the order of time.
 */
export function loseContent(
  descriptor: number,
  records: readonly JournalRecord[],
  share: KeptShare,
  random: Random,
): LostContent {
  const settled = settledSectors(records)
  const versions = countVersions(records, settled)
  const kept = new Map<number, number>()
  let lost = 0
  for (const [sector, count] of versions) {
    const left = keptVersions(count, share, random)
    kept.set(sector, left)
    if (left < count) lost++
  }
  for (const record of records.toReversed()) {
    if (record.kind === Kind.WRITE) takeBack(descriptor, record, versions, kept, settled)
  }
  ftruncateSync(descriptor, lengthLeft(records, share, random))
  return { sectors: lost, keptSectors: versions.size - lost }
}

/** Of sectors that a durable write wrote: records below the sequence are not taken back. */
function settledSectors(records: readonly JournalRecord[]): Map<number, number> {
  const settled = new Map<number, number>()
  for (const record of records) {
    if (record.kind !== Kind.SYNC_RANGE) continue
    const [first, last] = sectorsOf(record)
    for (let sector = first; sector < last; sector++) {
      settled.set(sector, Math.max(record.below, settled.get(sector) ?? 0))
    }
  }
  return settled
}

function countVersions(
  records: readonly JournalRecord[],
  settled: ReadonlyMap<number, number>,
): Map<number, number> {
  const versions = new Map<number, number>()
  for (const record of records) {
    if (record.kind !== Kind.WRITE) continue
    const [first, last] = sectorsOf(record)
    for (let sector = first; sector < last; sector++) {
      if (record.sequence < (settled.get(sector) ?? 0)) continue
      versions.set(sector, (versions.get(sector) ?? 0) + 1)
    }
  }
  return versions
}

function keptVersions(count: number, share: KeptShare, random: Random): number {
  if (random() < share) return count
  if (share === 0 || random() < SYNCED_SHARE) return 0
  return randomBetween(random, 0, count)
}

/** Puts back what the record overwrote, in the sectors that do not keep it. */
function takeBack(
  descriptor: number,
  record: JournalRecord,
  versions: Map<number, number>,
  kept: ReadonlyMap<number, number>,
  settled: ReadonlyMap<number, number>,
): void {
  const [first, last] = sectorsOf(record)
  let from = -1
  for (let sector = first; sector <= last; sector++) {
    const version = versions.get(sector) ?? 0
    const isOpen = sector < last && record.sequence >= (settled.get(sector) ?? 0)
    const isLost = isOpen && version > (kept.get(sector) ?? 0)
    if (isOpen) versions.set(sector, version - 1)
    if (isLost && from < 0) from = sector
    if (!isLost && from >= 0) {
      restore(descriptor, record, from * SECTOR_BYTES, sector * SECTOR_BYTES)
      from = -1
    }
  }
}

function restore(descriptor: number, record: JournalRecord, start: number, end: number): void {
  const { offset, length, before } = record
  const from = Math.max(start, offset)
  const to = Math.min(end, offset + length)
  const known = Math.min(to, offset + before.length)
  if (known > from) {
    writeFully(descriptor, before.subarray(from - offset, known - offset), from)
  }
  for (let at = Math.max(from, known); at < to; at += zeros.length) {
    writeFully(descriptor, zeros.subarray(0, Math.min(zeros.length, to - at)), at)
  }
}

function writeFully(descriptor: number, bytes: Buffer, position: number): void {
  let done = 0
  while (done < bytes.length) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done)
  }
}

/** Lengths that the file had since it was synced, the synced one first. */
function lengthLeft(records: readonly JournalRecord[], share: KeptShare, random: Random): number {
  // A durable write makes the length durable, too.
  const settledBelow = records.reduce((most, { below }) => Math.max(most, below), 0)
  const lengths: number[] = []
  for (const { kind, offset, length, sizeBefore, sequence } of records) {
    if (kind === Kind.SYNC_RANGE) continue
    if (lengths.length === 0) lengths.push(sizeBefore)
    const after = kind === Kind.SIZE ? length : Math.max(sizeBefore, offset + length)
    if (sequence < settledBelow) lengths[0] = after
    else if (after !== lengths.at(-1)) lengths.push(after)
  }
  if (share === 0) return lengths[0]!
  if (share === 1 || random() < NEWEST_LENGTH_SHARE) return lengths.at(-1)!
  return lengths[randomBetween(random, 0, lengths.length)]!
}

function sectorsOf({ offset, length }: JournalRecord): [first: number, last: number] {
  return [Math.floor(offset / SECTOR_BYTES), Math.ceil((offset + length) / SECTOR_BYTES)]
}
