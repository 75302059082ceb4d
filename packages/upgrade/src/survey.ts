/**
 * Looks at one store and reports: all files of its commit log scanned in parallel, its tables, and
 * what is wrong with it by itself. Reads only.
 */
import { statSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { readConfigTables } from './config-tables.ts'
import type { FileScan, ScanRequest } from './file-scan.ts'
import type { ScanTask, TailTask } from './file-scan.worker.ts'
import { scan, tail as tailOf } from './file-scan.worker.ts'
import { joinFeatures, joinQueues } from './message-tally.ts'
import { findProblems } from './problems.ts'
import { type FileReport, type Mark, REPORT_VERSION, type StoreReport } from './report.ts'
import { findStore, type StoreFiles, type StorePaths } from './store-files.ts'

export interface SurveyOptions extends StorePaths {
  /** Files scanned at a time; by default one for each processor. */
  readonly jobs?: number
  /** Offsets in the log at which a digest is wanted besides: where other copies end. */
  readonly digestAt?: readonly number[]
  /** Told a few times a second. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
  readonly now?: () => Date
}

const PROGRESS_INTERVAL_MS = 500
const WORKER = new URL(`./file-scan.worker${import.meta.url.slice(-3)}`, import.meta.url)

/** @throws LedgerError BAD_REQUEST when there is no store at `root`. */
export async function surveyStore(options: SurveyOptions): Promise<StoreReport> {
  const files = findStore(options)
  const scans = await scanAll(files, options)
  const queues = joinQueues(scans.map(({ tally }) => tally))
  const last = scans.findLast(({ tally }) => tally.last !== undefined)?.tally.last
  const report: Omit<StoreReport, 'problems'> = {
    version: REPORT_VERSION,
    store: `${hostname()}:${resolve(files.root)}`,
    checkedAt: (options.now?.() ?? new Date()).toISOString(),
    segmentBytes: segmentBytesOf(files),
    files: scans.map(({ file }) => file),
    firstOffset: files.log[0]?.offset ?? 0,
    endOffset: endOf(scans),
    messages: scans.reduce((sum, { file }) => sum + file.messages, 0),
    ...(last === undefined ? {} : { lastMessage: last }),
    queues,
    features: joinFeatures(
      scans.map(({ tally }) => tally),
      queues,
    ),
    abort: files.abort,
    ...(files.checkpoint === undefined ? {} : { checkpoint: files.checkpoint }),
    config: readConfigTables(files.root),
    consumeQueues: files.consumeQueues,
    raftDirectories: files.raftDirectories,
    foreignFiles: files.foreignFiles,
  }
  return { ...report, problems: findProblems(report) }
}

/** The file size that most files have: the last one alone may have been cut by a copy. */
function segmentBytesOf({ log }: StoreFiles): number {
  const counts = new Map<number, number>()
  for (const { sizeBytes } of log) counts.set(sizeBytes, (counts.get(sizeBytes) ?? 0) + 1)
  return [...counts].sort((left, right) => right[1] - left[1])[0]?.[0] ?? 0
}

/** A broker makes files ahead: those without a message do not move the end. */
function endOf(scans: readonly FileScan[]): number {
  const last = scans.findLast(({ file }) => file.messages > 0)
  return last?.file.endOffset ?? scans[0]?.file.offset ?? 0
}

/** Less is looked at sooner than a thread has started. */
const POOL_FROM_BYTES = 32 * 1024 * 1024

interface Pool {
  scan(task: ScanTask): Promise<FileScan>
  tail(task: TailTask): Promise<Mark[]>
  destroy(): Promise<void>
}

async function makePool(bytes: number, jobs: number | undefined): Promise<Pool> {
  if (bytes < POOL_FROM_BYTES) return { scan, tail: tailOf, destroy: async () => {} }
  const { Piscina } = await import('piscina')
  const pool = new Piscina({
    filename: WORKER.href,
    ...(jobs === undefined ? {} : { maxThreads: jobs }),
  })
  return {
    scan: (task) => pool.run(task, { name: 'scan' }) as Promise<FileScan>,
    tail: (task) => pool.run(task, { name: 'tail' }) as Promise<Mark[]>,
    destroy: () => pool.destroy(),
  }
}

async function scanAll(files: StoreFiles, options: SurveyOptions): Promise<FileScan[]> {
  if (files.log.length === 0) return []
  const progress = new Float64Array(new SharedArrayBuffer(files.log.length * 8))
  const totalBytes = files.log.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const pool = await makePool(totalBytes, options.jobs)
  const tell = (): void => {
    options.onProgress?.(
      progress.reduce((sum, bytes) => sum + bytes, 0),
      totalBytes,
    )
  }
  const ticker = setInterval(tell, PROGRESS_INTERVAL_MS)
  try {
    const wanted = [...(options.digestAt ?? [])].sort((left, right) => left - right)
    const scans = await Promise.all(
      files.log.map(({ path, offset, sizeBytes }, slot) => {
        const digestAt = wanted.filter((at) => at > offset && at <= offset + sizeBytes)
        const task: ScanTask = { kind: 'file', path, offset, digestAt, progress, slot }
        return pool.scan(task)
      }),
    )
    tell()
    return await addTail(scans, files, pool)
  } finally {
    clearInterval(ticker)
    await pool.destroy()
  }
}

/** The last file with data gets its newest messages one by one. */
async function addTail(
  scans: readonly FileScan[],
  files: StoreFiles,
  pool: Pool,
): Promise<FileScan[]> {
  const last = scans.findLastIndex(({ file }) => file.messages > 0)
  const [scan, path] = [scans[last], files.log[last]?.path]
  if (scan === undefined || path === undefined) return [...scans]
  const tail = await pool.tail({ kind: 'tail', path, file: scan.file })
  return scans.with(last, { ...scan, file: { ...scan.file, tail } })
}

/**
 * One log file looked at again, in a thread of its own: what it holds, with digests at `digestAt`
 * besides.
 */
export async function surveyFile(request: ScanRequest): Promise<FileReport> {
  const pool = await makePool(statSync(request.path).size, 1)
  try {
    const progress = new Float64Array(new SharedArrayBuffer(8))
    const task: ScanTask = { kind: 'file', ...request, progress, slot: 0 }
    const { file } = await pool.scan(task)
    return file
  } finally {
    await pool.destroy()
  }
}
