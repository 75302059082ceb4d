/** `mqadmin upgrade adopt`: another member's old part in place of this store's. */
import { AdoptRefused, type AdoptReport, adoptLog, cancelAdoption } from '@ringledger/upgrade'
import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import { type AdminIo, columns, show, type View } from '../view.ts'
import { UpgradeExit } from './compare-view.ts'
import { asAdminError, sayRefused } from './failures.ts'
import { Progress } from './progress.ts'

interface AdoptArguments {
  readonly from?: string
  readonly commitlog?: string
  readonly cancel?: boolean
  readonly json?: boolean
}

const HELP = `
What is replaced stays beside it as commitlog.replaced-<time>, config.replaced-<time> and so on.
Every file is copied whole, synced, read back and compared by its digest before anything of the
store is touched. Until all is in place no RingLedger broker starts on the store; a run that was
killed is finished by the same command, or undone by --cancel while it only copied.

Exit code:
  0  the store has the other member's old part
  3  nothing is adopted; the text says why
  1  failed, 64 not understood

Example:
  mqadmin upgrade adopt /data/store --from /mnt/n0/store`

export function addAdopt(upgrade: Command, io: AdminIo, exit: (code: number) => void): void {
  upgrade
    .command('adopt')
    .argument('<store>', 'storePathRootDir of the stopped broker whose old log is to be replaced')
    .option('--from <directory>', "another member's storePathRootDir, mounted or copied here")
    .option('--commitlog <directory>', 'storePathCommitLog, when it is not below the store')
    .option('--cancel', 'undo a run that was killed while it copied')
    .option('--json', 'print one JSON document')
    .description("Replace a store's old commit log by another member's, and keep what it was.")
    .addHelpText('after', HELP)
    .action(async (store: string, options: AdoptArguments) => {
      try {
        show(await run(store, options, io), io.stdout, options.json === true)
      } catch (error) {
        if (!(error instanceof AdoptRefused)) throw asAdminError(error)
        sayRefused(error, options.json === true, io)
        exit(UpgradeExit.DIFFERENT)
      }
    })
}

async function run(store: string, options: AdoptArguments, io: AdminIo): Promise<View> {
  const paths = { root: store, ...(options.commitlog && { commitLog: options.commitlog }) }
  if (options.cancel === true) {
    cancelAdoption(paths)
    const text = `${store} is as it was.`
    return { json: { store, cancelled: true }, sections: [{ kind: 'text', text }] }
  }
  if (options.from === undefined) throw new UsageError('give --from, or --cancel')
  const progress = new Progress(store, io.stderr)
  try {
    const report = await adoptLog({
      ...paths,
      from: options.from,
      onProgress: (done, total) => progress.tell(done, total),
      onNote: (text) => io.stderr.write(`${text}\n`),
    })
    return adoptView(report)
  } finally {
    progress.end()
  }
}

function adoptView(report: AdoptReport): View {
  const { store, from, files, keptAside, tables } = report
  const kept = keptAside.map((path) => `  ${path}`)
  return {
    json: report,
    sections: [
      {
        kind: 'fields',
        fields: [
          ['Store', store],
          ['Old log from', from],
          ['Tables', tables ? 'from there too' : 'its own'],
        ],
      },
      {
        kind: 'table',
        columns: columns('File', '>Size', 'xxhash64 of the file'),
        rows: files.map(({ name, sizeBytes, digest }) => [name, sizeBytes, digest]),
        empty: 'There is no file.',
      },
      { kind: 'text', text: ['Kept aside:', ...kept].join('\n') },
      { kind: 'text', text: 'Queues and key index are built anew at the next start.' },
    ],
  }
}
