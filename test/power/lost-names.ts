/**
 * What a loss of power does to names: of each directory's changes since its last sync, only a
 * prefix is left, each directory for itself. A file whose name comes back is linked from its grave.
 */
import { linkSync, lstatSync, mkdirSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Random, randomBetween } from '@ringledger/base'
import { type JournalRecord, Kind } from './journal.ts'

/** Of a directory's changes: all stay, none, or a prefix of any length. */
export type NamesKept = 'none' | 'random'

const NAME_CHANGES: ReadonlySet<number> = new Set([
  Kind.CREATE,
  Kind.MKDIR,
  Kind.UNLINK,
  Kind.RMDIR,
  Kind.RENAME,
  Kind.LINK,
])

/** Changes that no sync of their directory covers, by directory, in the order of time. */
export function pendingNames(
  records: readonly JournalRecord[],
  syncsCount: boolean,
): Map<string, JournalRecord[]> {
  const failed = new Set(records.filter(({ kind }) => kind === Kind.VOID).map((it) => it.offset))
  const pending = new Map<string, JournalRecord[]>()
  for (const record of records) {
    if (record.kind === Kind.SYNC_DIRECTORY && syncsCount) {
      const left = pending.get(record.path)?.filter(({ sequence }) => sequence >= record.offset)
      pending.set(record.path, left ?? [])
    } else if (NAME_CHANGES.has(record.kind) && !failed.has(record.sequence)) {
      const directory = dirname(record.otherPath || record.path)
      const changes = pending.get(directory)
      if (changes === undefined) pending.set(directory, [record])
      else changes.push(record)
    }
  }
  return pending
}

/** Takes back a suffix of each directory's changes; returns how many. */
export function loseNames(
  pending: ReadonlyMap<string, readonly JournalRecord[]>,
  graves: string,
  kept: NamesKept,
  random: Random,
): number {
  const lost: JournalRecord[] = []
  for (const changes of pending.values()) {
    lost.push(...changes.slice(kept === 'none' ? 0 : keptChanges(changes.length, random)))
  }
  lost.sort((a, b) => b.sequence - a.sequence)
  for (const record of lost) undo(record, graves)
  return lost.length
}

function keptChanges(count: number, random: Random): number {
  const share = random()
  if (share < 0.25) return 0
  return share < 0.5 ? count : randomBetween(random, 0, count + 1)
}

function undo(record: JournalRecord, graves: string): void {
  const { kind, path, otherPath } = record
  const grave = join(graves, String(record.sequence))
  switch (kind) {
    case Kind.CREATE:
    case Kind.MKDIR:
      rmSync(path, { recursive: true, force: true })
      return
    case Kind.LINK:
      rmSync(otherPath, { force: true })
      return
    case Kind.UNLINK:
      unlessParentIsGone(() => linkSync(grave, path))
      return
    case Kind.RMDIR:
      unlessParentIsGone(() => mkdirSync(path))
      return
    default:
      // A process that was killed just before the rename has left everything in its place.
      if (inodeAt(otherPath) !== record.inode) return
      unlessParentIsGone(() => renameSync(otherPath, path))
      if (inodeAt(otherPath) !== undefined) unlinkSync(otherPath)
      if (record.length === 1) unlessParentIsGone(() => linkSync(grave, otherPath))
  }
}

/** Its directory lost its own name, or the call was never made. */
function unlessParentIsGone(change: () => void): void {
  try {
    change()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  }
}

function inodeAt(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}
