/**
 * The end of a loss of power: takes back, in the files of a killed process, what no sync covered,
 * wholly or in part as a seed decides. Owns the promise of a disk, and gives no more than that:
 * what was synced is left as it was, and everything else may be left in any version it had.
 */
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { assert, type Random } from '@ringledger/base'
import { type JournalRecord, Kind, readJournal } from './journal.ts'
import { type KeptShare, loseContent, randomShare } from './lost-content.ts'
import { loseNames, type NamesKept, pendingNames } from './lost-names.ts'

export interface PowerLoss {
  /** Directory that loses power. */
  readonly root: string
  /** Where disk-layer.c keeps its journal. */
  readonly journal: string
  readonly random: Random
  /** Of what was not synced; any share if absent. */
  readonly kept?: KeptShare
  /** Without them everything since the last loss is taken back: proof that nothing went unseen. */
  readonly syncsCount?: boolean
}

/** What was lost. */
export interface Loss {
  readonly files: number
  readonly sectors: number
  /** Sectors that stayed in files of which others were lost. */
  readonly tornSectors: number
  readonly names: number
  /** Syncs that were answered and not done, where the layer was told to lie. */
  readonly lies: number
}

export const NO_LOSS: Loss = { files: 0, sectors: 0, tornSectors: 0, names: 0, lies: 0 }

export function losePower(loss: PowerLoss): Loss {
  const { root, journal, random, kept, syncsCount = true } = loss
  const graves = join(journal, 'graves')
  const path = join(journal, 'journal')
  const records = existsSync(path) ? readJournal(readFileSync(path)) : []
  const content = pendingContent(records, syncsCount)
  const paths = content.size > 0 ? pathsByInode([root, graves]) : new Map<bigint, string>()
  let [files, sectors, tornSectors] = [0, 0, 0]
  for (const [inode, changes] of content) {
    const file = paths.get(inode)
    assert(file !== undefined, 'a file that was written is in the store or in its grave')
    const descriptor = openSync(file, 'r+')
    const lost = loseContent(descriptor, changes, kept ?? randomShare(random), random)
    closeSync(descriptor)
    if (lost.sectors > 0) {
      files++
      sectors += lost.sectors
      tornSectors += lost.keptSectors
    }
  }
  const namesKept: NamesKept = kept === 0 ? 'none' : 'random'
  const names =
    kept === 1 ? 0 : loseNames(pendingNames(records, syncsCount), graves, namesKept, random)
  prepareJournal(journal)
  const lies = records.filter(({ kind }) => kind === Kind.LIE).length
  return { files, sectors, tornSectors, names, lies }
}

/** An empty journal: what is in the files now is what the disk holds. */
export function prepareJournal(journal: string): void {
  const graves = join(journal, 'graves')
  rmSync(graves, { recursive: true, force: true })
  mkdirSync(graves, { recursive: true })
  const path = join(journal, 'journal')
  if (existsSync(path)) truncateSync(path)
}

/**
 * WRITE and SIZE records that no sync of their file covers, and SYNC_RANGE records, in the order of
 * time.
 */
function pendingContent(
  records: readonly JournalRecord[],
  syncsCount: boolean,
): Map<bigint, JournalRecord[]> {
  const syncedBelow = new Map<bigint, number>()
  for (const { kind, inode, offset } of records) {
    if (kind === Kind.SYNC && syncsCount) syncedBelow.set(inode, offset)
  }
  const pending = new Map<bigint, JournalRecord[]>()
  for (const record of records) {
    const isChange = record.kind === Kind.WRITE || record.kind === Kind.SIZE
    if (!isChange && !(record.kind === Kind.SYNC_RANGE && syncsCount)) continue
    if (record.sequence < (syncedBelow.get(record.inode) ?? 0)) continue
    const changes = pending.get(record.inode)
    if (changes !== undefined) changes.push(record)
    else if (isChange) pending.set(record.inode, [record])
  }
  return pending
}

function pathsByInode(directories: readonly string[]): Map<bigint, string> {
  const paths = new Map<bigint, string>()
  const walk = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) walk(path)
      else paths.set(lstatSync(path, { bigint: true }).ino, path)
    }
  }
  for (const directory of directories) if (existsSync(directory)) walk(directory)
  return paths
}
