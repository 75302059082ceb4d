/** `ledger tail`: the last entries, and those to come. */
import type { LedgerClient } from '../client/ledger-client.ts'
import type { WireEntry } from '../wire/messages.ts'
import {
  type AddCommand,
  type ClientOptions,
  type CommandIo,
  count,
  sayFailure,
  withClient,
  withClientOptions,
} from './command.ts'
import { type BodyForm, bodyOption, bodyText, entryJson } from './entry-text.ts'

interface Options extends ClientOptions {
  readonly follow?: boolean
  readonly from?: number
  readonly number: number
  readonly max?: number
  readonly body: BodyForm
}

const READ_BYTES: number = 1024 * 1024
const WAIT_MS = 10_000

const EXAMPLES = `
Examples:
  ledger tail
  ledger tail -n 100 --json
  ledger tail -f
  ledger tail --from 0 > all.txt
  ledger tail -f -n 0 --max 1     wait for the next entry

Every line is an index and a body. -f goes on when leadership moves, without a gap or a repetition;
interrupt it with Ctrl-C.`

export const addTail: AddCommand = (program, io, ended) => {
  withClientOptions(program.command('tail'))
    .description('Print the last committed entries, or all from an index on; follow the log.')
    .option('-f, --follow', 'go on with new entries as they are committed')
    .option('--from <index>', 'begin at this index', count(0))
    .option('-n, --number <n>', 'begin so many indexes before the end', count(0), 10)
    .option('--max <n>', 'end after so many entries', count(1))
    .addOption(bodyOption())
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      try {
        await withClient(options, (client) => tail(client, options, io))
      } catch (error) {
        if (!io.signal.aborted) ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}

async function tail(client: LedgerClient, options: Options, io: CommandIo): Promise<void> {
  const stop = (): void => void client.close()
  io.signal.addEventListener('abort', stop)
  let index = await firstIndex(client, options)
  const waitMs = options.follow === true ? WAIT_MS : 0
  let left = options.max ?? Number.POSITIVE_INFINITY
  while (!io.signal.aborted && left > 0) {
    const { entries, nextIndex } = await client.read(index, READ_BYTES, waitMs)
    for (const entry of entries.slice(0, left)) print(entry, options, io)
    left -= entries.length
    if (nextIndex === index && options.follow !== true) break
    index = nextIndex
  }
  io.signal.removeEventListener('abort', stop)
}

async function firstIndex(client: LedgerClient, { from, number }: Options): Promise<number> {
  if (from !== undefined) return from
  const { first, last } = await client.bounds()
  return Math.max(first, last + 1 - number)
}

function print(entry: WireEntry, options: Options, io: CommandIo): void {
  if (options.json === true) io.stdout.write(`${JSON.stringify(entryJson(entry))}\n`)
  else io.stdout.write(`${entry.index}  ${bodyText(entry.body, options.body)}\n`)
}
