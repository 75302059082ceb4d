/**
 * Replaces the old part of a store, its plain commit log, by a copy of another member's. Owns the
 * invariants: nothing of the store is touched before the copy is whole and proved; what is replaced
 * stays aside; a run that was killed anywhere is finished by the same call, or undone by `cancel`
 * while it only copied; until then the marker keeps brokers from starting.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LedgerError } from '@ringledger/base'
import { syncDirectory } from '@ringledger/base/internal'
import xxhash from 'xxhash-wasm'
import { refuseRunning, refuseSmallDisk } from '../preconditions.ts'
import { AdoptRefused } from '../refused.ts'
import type { StoreReport } from '../report.ts'
import { findStore, type LogFile, listLogFiles } from '../store-files.ts'
import { surveyStore } from '../survey.ts'
import { copyProved } from './copy-file.ts'
import { type Adoption, type CopiedFile, MarkerFile } from './marker.ts'

export interface AdoptOptions {
  /** storePathRootDir of the stopped member whose old part is to be replaced. */
  readonly root: string
  /** storePathCommitLog when it is not below the root. */
  readonly commitLog?: string
  /** A member's storePathRootDir, mounted or copied here, or a directory of log files alone. */
  readonly from: string
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
  readonly onNote?: (text: string) => void
  readonly now?: () => Date
}

export interface AdoptReport {
  readonly store: string
  readonly from: string
  readonly files: readonly CopiedFile[]
  /** What was replaced, under its new names. */
  readonly keptAside: readonly string[]
  /** Tables of the other member came along: the store was in no group yet. */
  readonly tables: boolean
}

/** Derived from the log that goes: built anew from the one that comes. */
const DERIVED: readonly string[] = [
  'consumequeue',
  'batchconsumequeue',
  'consumequeue_ext',
  'index',
  'checkpoint',
  'ringledger-dispatch',
  'timerwheel',
  'timerlog',
]
const NEW = '.adopting'

/** @throws AdoptRefused, LedgerError */
export async function adoptLog(options: AdoptOptions): Promise<AdoptReport> {
  const places = placesOf(options)
  const marker = new MarkerFile(places.root)
  const found = marker.read()
  refuseRunning(findStore({ root: places.root }), AdoptRefused)
  if (found?.state !== 'swapping') {
    if (found !== undefined && found.from !== places.from) {
      throw new AdoptRefused(
        `the old part is being replaced from ${found.from}`,
        'give that again to finish it, or --cancel to leave everything as it was',
      )
    }
    await copyAll(options, places, marker, found)
  }
  const adoption = marker.read()
  if (adoption === undefined) throw new LedgerError('CORRUPT', 'the marker of this run is gone')
  if (found?.state === 'swapping') options.onNote?.('an earlier run is finished')
  return swap(places, adoption, marker)
}

/** Undoes a run that was killed while it copied. @throws AdoptRefused once names were changed */
export function cancelAdoption(options: Pick<AdoptOptions, 'root' | 'commitLog'>): void {
  const places = placesOf({ ...options, from: options.root })
  const marker = new MarkerFile(places.root)
  const found = marker.read()
  if (found === undefined)
    throw new AdoptRefused('nothing is being adopted', 'nothing is to be done')
  if (found.state === 'swapping') {
    throw new AdoptRefused(
      'the copy is whole and takes its place already',
      `finish it with --from ${found.from}; what is replaced stays aside as *.replaced-${found.stamp}`,
    )
  }
  for (const path of [places.log, places.config])
    rmSync(path + NEW, { recursive: true, force: true })
  marker.remove()
}

interface Places {
  readonly root: string
  readonly log: string
  readonly config: string
  /** Directory of the log files to copy. */
  readonly from: string
  /** Of the other member, when its whole store is given. */
  readonly fromConfig: string | undefined
}

function placesOf({ root, commitLog, from }: AdoptOptions): Places {
  const below = join(from, 'commitlog')
  const isStore = existsSync(below)
  const config = join(from, 'config')
  return {
    root: resolve(root),
    log: resolve(commitLog ?? join(root, 'commitlog')),
    config: join(resolve(root), 'config'),
    from: resolve(isStore ? below : from),
    fromConfig: isStore && existsSync(config) ? resolve(config) : undefined,
  }
}

async function copyAll(
  options: AdoptOptions,
  places: Places,
  marker: MarkerFile,
  found: Adoption | undefined,
): Promise<void> {
  const files = await chooseFiles(options, places)
  const stamp = found?.stamp ?? stampOf(options.now?.() ?? new Date())
  const done = (found?.files ?? []).filter((copied) => isStill(copied, files, places))
  if (found !== undefined)
    options.onNote?.(`an earlier run is taken up: ${done.length} files are done`)
  refuseSmallDisk(dirname(places.log), sizeOf(files) - sizeOf(done))
  const note = (state: Adoption['state']): void => {
    marker.write({ from: places.from, stamp, state, files: done })
  }
  note('copying')
  mkdirSync(places.log + NEW, { recursive: true })
  removeOthers(places.log + NEW, done)
  const { create64 } = await xxhash()
  const totalBytes = 2 * sizeOf(files)
  let doneBytes = 2 * sizeOf(done)
  for (const { path } of files) {
    const name = basename(path)
    if (done.some((copied) => copied.name === name)) continue
    const target = join(places.log + NEW, name)
    const copied = await copyProved(
      name,
      path,
      target,
      () => create64(),
      async (bytes) => {
        doneBytes += bytes
        options.onProgress?.(doneBytes, totalBytes)
        await nextTurn()
      },
    )
    syncDirectory(places.log + NEW)
    done.push(copied)
    note('copying')
  }
  copyTables(places)
  note('swapping')
}

/** Checked whole: what cannot be trusted is not adopted. */
async function chooseFiles(options: AdoptOptions, places: Places): Promise<readonly LogFile[]> {
  if (places.from === places.log || places.from.startsWith(`${places.root}/`)) {
    throw new LedgerError('BAD_REQUEST', `${places.from} lies within ${places.root}`)
  }
  const report = await surveyStore({
    root: options.from,
    commitLog: places.from,
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  })
  refuseBadCopy(report, options.from)
  const last = report.files.findLast(({ messages }) => messages > 0)
  if (last === undefined)
    throw new AdoptRefused(`${options.from} holds no message`, 'give another member')
  const files = listLogFiles(places.from).log.filter(({ offset }) => offset <= last.offset)
  refuseMisfit(places.root, files, report.segmentBytes)
  return files
}

/** That it is a member's already, or lacks a table, does not harm its log. */
function refuseBadCopy({ problems }: StoreReport, from: string): void {
  const wrong = problems.find(({ code, blocks }) => {
    return blocks && !['ALREADY_RAFT', 'CONFIG_UNREADABLE', 'OFFSETS_AHEAD'].includes(code)
  })
  if (wrong !== undefined) throw new AdoptRefused(`${from}: ${wrong.text}`, wrong.advice)
}

/** A Raft log that is there says where the old part ends. */
function refuseMisfit(root: string, files: readonly LogFile[], segmentBytes: number): void {
  const [name, ...more] = findStore({ root }).raftDirectories
  if (name === undefined) return
  const [first] = listLogFiles(join(root, name, 'data')).log
  const end = (files.at(-1)?.offset ?? 0) + segmentBytes
  if (more.length === 0 && first?.offset === end && first.sizeBytes === segmentBytes) return
  throw new AdoptRefused(
    `the Raft log in ${join(root, name)} begins at ${first?.offset}, what is to be adopted ends at ${end}`,
    'adopt from a member of the same group; or give this member an empty store',
  )
}

function isStill(copied: CopiedFile, files: readonly LogFile[], places: Places): boolean {
  const file = files.find(({ path }) => basename(path) === copied.name)
  if (file === undefined || statSync(file.path).mtimeMs !== copied.mtimeMs) return false
  const there = statSync(join(places.log + NEW, copied.name), { throwIfNoEntry: false })
  return there?.size === copied.sizeBytes
}

function removeOthers(directory: string, done: readonly CopiedFile[]): void {
  for (const name of readdirSync(directory)) {
    if (!done.some((copied) => copied.name === name))
      rmSync(join(directory, name), { recursive: true })
  }
}

function sizeOf(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

/** Only before there is a Raft log: from then on it holds what the tables say. */
function tablesToTake({ root, fromConfig }: Places): string | undefined {
  return findStore({ root }).raftDirectories.length > 0 ? undefined : fromConfig
}

function copyTables(places: Places): void {
  const there = places.config + NEW
  rmSync(there, { recursive: true, force: true })
  const tables = tablesToTake(places)
  if (tables === undefined) return
  cpSync(tables, there, {
    recursive: true,
    preserveTimestamps: true,
    filter: (path) => !basename(path).startsWith('ringledger-'),
  })
}

/** Only names: each step is skipped when it was done. What was there stays under another name. */
function swap(places: Places, { stamp, files, from }: Adoption, marker: MarkerFile): AdoptReport {
  const replaced = `.replaced-${stamp}`
  const keptAside: string[] = []
  const keep = (path: string): void => {
    if (existsSync(path) && !existsSync(path + replaced)) rename(path, path + replaced)
    if (existsSync(path + replaced)) keptAside.push(path + replaced)
  }
  for (const path of [places.log, places.config]) {
    if (existsSync(path + NEW)) {
      keep(path)
      rename(path + NEW, path)
    } else if (existsSync(path + replaced)) keptAside.push(path + replaced)
  }
  for (const name of DERIVED) keep(join(places.root, name))
  const tables = existsSync(places.config + replaced) || tablesToTake(places) !== undefined
  marker.remove()
  return { store: places.root, from, files, keptAside, tables }
}

function rename(from: string, to: string): void {
  renameSync(from, to)
  syncDirectory(dirname(to))
}

function stampOf(time: Date): string {
  return time.toISOString().replace(/\D/g, '').slice(0, 14)
}
