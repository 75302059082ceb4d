/** `ledger dump`: the entries of a stopped store with their headers. */
import { EntryWalk, type WalkedEntry } from '../store/entry-walk.ts'
import { SegmentReader } from '../store/segment-reader.ts'
import { readMark } from '../store/slot-reader.ts'
import { findStore, type StoreDirectory, withStoreLock } from '../store/store-directory.ts'
import { type AddCommand, type CommandIo, count, ExitCode, sayFailure } from './command.ts'
import { type BodyForm, bodyOption, bodyText, entryJson } from './entry-text.ts'

interface Options {
  readonly dataDir?: string
  readonly from: number
  readonly to?: number
  readonly body: BodyForm
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  ledger dump ./n0
  ledger dump ./n0 --from 1000 --to 1010 --body hex
  ledger dump ./n0 --json | jq .text

The node must be stopped. Every entry that is whole is shown, committed or not; what is broken is
said on standard error, and the command ends with 3.`

export const addDump: AddCommand = (program, io, ended) => {
  program
    .command('dump')
    .description('Print the entries of a stopped store with their headers.')
    .argument('<dir>', "the store directory, or the node's directory in it (dledger-n0)")
    .option('--data-dir <path>', 'where the data files are, if not in data/')
    .option('--from <index>', 'first index', count(0), 0)
    .option('--to <index>', 'last index', count(0))
    .addOption(bodyOption())
    .option('--json', 'print JSON, one document a line')
    .addHelpText('after', EXAMPLES)
    .action((directory: string, options: Options) => {
      try {
        const store = findStore(directory, options.dataDir)
        const isWhole = withStoreLock(store, () => dump(store, options, io))
        if (!isWhole) ended(ExitCode.DAMAGED)
      } catch (error) {
        ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}

/** False when something was broken where entries were acknowledged. */
function dump(store: StoreDirectory, options: Options, io: CommandIo): boolean {
  const mark = readMark(store.markPath)
  const data = new SegmentReader(store.dataDirectory, mark.segmentBytes)
  const last = options.to ?? Number.POSITIVE_INFINITY
  let isWhole = true
  const walk = new EntryWalk(data, {
    entry: (entry) => {
      if (entry.index >= options.from && entry.index <= last) print(entry, options, io)
      return entry.index < last
    },
    broken: ({ position, index, reason }) => {
      isWhole &&= position >= mark.position
      const which = index < 0 ? '' : `entry ${index}, `
      io.stderr.write(`ledger: ${data.nameAt(position)}: ${which}position ${position}: ${reason}\n`)
    },
  })
  try {
    walk.run()
  } finally {
    data.close()
  }
  return isWhole
}

function print(entry: WalkedEntry, options: Options, io: CommandIo): void {
  const { index, term, position, sizeBytes, bodyCrc, chainCrc, isBarrier } = entry
  if (options.json === true) {
    const crcs = { bodyCrc: hex(bodyCrc), chainCrc: hex(chainCrc) }
    io.stdout.write(`${JSON.stringify({ ...entryJson(entry), sizeBytes, ...crcs, isBarrier })}\n`)
    return
  }
  const head = `${index}  term ${term}  position ${position}  ${sizeBytes} bytes`
  const crcs = `body ${hex(bodyCrc)}  chain ${hex(chainCrc)}`
  const text = isBarrier ? '(opens the term)' : bodyText(entry.body, options.body)
  io.stdout.write(`${head}  ${crcs}  ${text}`.trimEnd().concat('\n'))
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
