/** `ledger verify`: checks every byte of a stopped store. */
import { columns, formatTable } from '@ringledger/base'
import { findStore, withStoreLock } from '../store/store-directory.ts'
import { type StoreReport, verifyStore } from '../store/verify-store.ts'
import { type AddCommand, type CommandIo, ExitCode, sayFailure } from './command.ts'

interface Options {
  readonly dataDir?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

const EXAMPLES = `
Examples:
  ledger verify ./n0
  ledger verify /var/lib/ledger/dledger-n0 --json

The node must be stopped. Each entry's place, checksums and link to the one before are checked, then
the index, term and vote, and the mark from which recovery starts. Ends with 0 when all is whole and
with 3 when something is damaged; what a crash may leave behind the last acknowledged entry is none.
A member of a group makes damaged entries good from the others when it runs; if it cannot start,
move its directory away and start it empty.`

export const addVerify: AddCommand = (program, io, ended) => {
  program
    .command('verify')
    .description('Check every checksum of a stopped store and say where it is damaged.')
    .argument('<dir>', "the store directory, or the node's directory in it (dledger-n0)")
    .option('--data-dir <path>', 'where the data files are, if not in data/')
    .option('--json', 'print one JSON document')
    .option('-q, --quiet', 'no progress')
    .addHelpText('after', EXAMPLES)
    .action((directory: string, options: Options) => {
      try {
        const store = findStore(directory, options.dataDir)
        const progress = new Progress(io, options.quiet !== true)
        const report = withStoreLock(store, () =>
          verifyStore(store, { onProgress: (done, total) => progress.show(done, total) }),
        )
        progress.end()
        if (options.json === true) io.stdout.write(`${JSON.stringify(report)}\n`)
        else print(report, io)
        if (report.damage.length > 0) ended(ExitCode.DAMAGED)
      } catch (error) {
        ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}

function print(report: StoreReport, io: CommandIo): void {
  const { entries, firstIndex, lastIndex, lastTerm, segments, damage, notes } = report
  const range = entries === 0 ? '' : `: index ${firstIndex} to ${lastIndex}, last term ${lastTerm}`
  const lines = [
    `${report.directory}: ${entries} entries in ${segments} data files${range}`,
    `  the log ends at position ${report.endPosition}; ${report.bodyBytes} bytes of bodies`,
    `  term ${report.term ?? 'unknown'}, vote for ${report.votedFor ?? 'nobody'}, ` +
      (report.closedInOrder ? 'closed in order' : 'not closed in order'),
  ]
  if (report.unsealed > 0) lines.push(`  ${report.unsealed} entries of DLedger, without checksums`)
  for (const note of notes) lines.push(`  note: ${note}`)
  if (damage.length === 0) {
    lines.push('no damage')
  } else {
    const rows = damage.map(({ kind, file, position, index, lastIndex, reason }) => {
      const which = index < 0 ? '' : index === lastIndex ? index : `${index}–${lastIndex}`
      return [kind, file, position < 0 ? '' : position, which, reason]
    })
    const style = io.stdout.isTTY === true ? 'terminal' : 'plain'
    const heads = columns('Damaged', 'File', '>Position', '>Index', 'What')
    lines.push('', ...formatTable(heads, rows, style))
  }
  io.stdout.write(`${lines.join('\n')}\n`)
}

/** One line that is overwritten, on a terminal only. */
class Progress {
  readonly #sink: CommandIo['stderr']
  readonly #shows: boolean
  #percent = -1

  constructor(io: CommandIo, wanted: boolean) {
    this.#sink = io.stderr
    this.#shows = wanted && io.stderr.isTTY === true
  }

  show(doneBytes: number, totalBytes: number): void {
    const percent = Math.floor((100 * doneBytes) / Math.max(1, totalBytes))
    if (!this.#shows || percent <= this.#percent) return
    this.#percent = percent
    const mib = (bytes: number): string => (bytes / 1024 ** 2).toFixed(0)
    this.#sink.write(`\r  ${percent} %  ${mib(doneBytes)} of ${mib(totalBytes)} MiB`)
  }

  end(): void {
    if (this.#percent >= 0) this.#sink.write('\r\u001b[K')
  }
}
