/**
 * `mqadmin upgrade`: a Master/Slave cluster becomes a Raft group, and goes back. `check` and
 * `compare` are here; they read stores and change nothing in them. Owns the exit codes that scripts
 * go by.
 */
import { statSync, writeFileSync } from 'node:fs'
import {
  compareReports,
  readReport,
  reportsOfGroup,
  type StoreReport,
  surveyStore,
} from '@ringledger/upgrade'
import type { Command } from 'commander'
import { count } from '../command.ts'
import { UsageError } from '../errors.ts'
import { type AdminIo, show } from '../view.ts'
import { addAdopt } from './adopt-command.ts'
import { addApply } from './apply-command.ts'
import { checkView } from './check-view.ts'
import { compareView, findDifferences, UpgradeExit, verdictExit } from './compare-view.ts'
import { asAdminError } from './failures.ts'
import { Progress } from './progress.ts'
import { addRollback } from './rollback-command.ts'

interface ScanOptions {
  readonly commitlog?: string
  readonly digestAt?: readonly number[]
  readonly jobs?: number
  readonly json?: boolean
  readonly output?: string
}

const EXIT_CODES = `
Exit code:
  0  nothing stands in the way
  2  a copy lacks an end, a beginning, a file or a table; members complete it when they start
  3  copies differ, or a store must not be started upon as it is
  4  the reports alone cannot tell; the text says which digest is missing
  1  failed, 64 not understood`

/** Adds the command; `exit` is told how it ended. */
export function addUpgrade(program: Command, io: AdminIo, exit: (code: number) => void): void {
  const upgrade = program
    .command('upgrade')
    .description(
      'Turn Master/Slave brokers into a Raft group: check, compare, adopt, apply; and back: rollback.',
    )
  scanOptions(upgrade.command('check').argument('<store>', 'storePathRootDir of a stopped broker'))
    .description('Look at one store: its files, the end of its data, its digests, what is wrong.')
    .option('-o, --output <file>', 'write the report there, for compare on another machine')
    .addHelpText(
      'after',
      `${EXIT_CODES}\n\nExample:\n  mqadmin upgrade check /data/store -o a.json`,
    )
    .action(async (store: string, options: ScanOptions) => {
      const report = await survey(store, options, io)
      if (options.output !== undefined) writeReport(options.output, report)
      show(checkView(report), io.stdout, options.json === true)
      const blocked = report.problems.some(({ blocks }) => blocks)
      exit(blocked ? UpgradeExit.DIFFERENT : UpgradeExit.READY)
    })
  scanOptions(
    upgrade.command('compare').argument('<reports...>', 'reports of check, or stores at hand'),
  )
    .description('Compare the copies of a group: the same, one behind, or different from where on.')
    .addHelpText(
      'after',
      `${EXIT_CODES}\n\nExample:\n  mqadmin upgrade compare a.json b.json\n  mqadmin upgrade compare /data/store /mnt/slave/store`,
    )
    .action(async (sources: string[], options: ScanOptions) => {
      if (sources.length < 2) throw new UsageError('compare needs two copies or more')
      await compare(sources, options, io, exit)
    })
  addAdopt(upgrade, io, exit)
  addApply(upgrade, io, exit)
  addRollback(upgrade, io, exit)
}

function scanOptions(command: Command): Command {
  return command
    .option('--commitlog <directory>', 'storePathCommitLog, when it is not below the store')
    .option('--digest-at <offsets>', 'also digest up to these offsets, a,b,…', offsets)
    .option('-j, --jobs <n>', 'files read at a time (default: one a processor)', count(1))
    .option('--json', 'print one JSON document')
}

function offsets(text: string): number[] {
  return text.split(',').map(count(1))
}

async function compare(
  sources: readonly string[],
  options: ScanOptions,
  io: AdminIo,
  exit: (code: number) => void,
): Promise<void> {
  const reports = new Map<string, StoreReport>()
  const paths = new Map<string, string>()
  for (const source of sources) {
    const isStore = statSync(source, { throwIfNoEntry: false })?.isDirectory() === true
    const report = isStore ? await survey(source, options, io) : read(source)
    if (reports.has(report.store)) throw new UsageError(`${report.store} is given twice`)
    reports.set(report.store, report)
    if (isStore) paths.set(report.store, source)
  }
  const comparison = compareReports([...reports.values()])
  const differences = findDifferences(comparison, paths)
  const together = reportsOfGroup([...reports.values()], comparison)
  show(compareView(comparison, together, differences), io.stdout, options.json === true)
  exit(verdictExit(comparison, together))
}

async function survey(store: string, options: ScanOptions, io: AdminIo): Promise<StoreReport> {
  const progress = new Progress(store, io.stderr)
  try {
    return await surveyStore({
      root: store,
      ...(options.commitlog === undefined ? {} : { commitLog: options.commitlog }),
      ...(options.digestAt === undefined ? {} : { digestAt: options.digestAt }),
      ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
      onProgress: (done, total) => progress.tell(done, total),
    })
  } catch (error) {
    throw asAdminError(error)
  } finally {
    progress.end()
  }
}

function read(path: string): StoreReport {
  try {
    return readReport(path)
  } catch (error) {
    throw asAdminError(error)
  }
}

function writeReport(path: string, report: StoreReport): void {
  try {
    writeFileSync(path, `${JSON.stringify(report)}\n`)
  } catch (error) {
    throw asAdminError(error)
  }
}
