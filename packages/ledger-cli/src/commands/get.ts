/** `ledger get`: one committed entry. */
import { type Command, InvalidArgumentError } from 'commander'
import {
  type AddCommand,
  type ClientOptions,
  count,
  ExitCode,
  sayFailure,
  withClient,
  withClientOptions,
} from './command.ts'
import { type BodyForm, bodyOption, bodyText, entryJson } from './entry-text.ts'

interface Options extends ClientOptions {
  readonly index?: number
  readonly body: BodyForm
  readonly raw?: boolean
}

const EXAMPLES = `
Examples:
  ledger get 42
  ledger get 42 --json
  ledger get 42 --raw > entry.bin

The read is linearizable: it sees everything that was acknowledged before it began. Some indexes
hold no data: each leader opens its term with an entry of its own.`

export const addGet: AddCommand = (program, io, ended) => {
  withClientOptions(program.command('get'))
    .description('Print the committed entry at an index.')
    .argument('[index]', 'counts from 0', count(0))
    .option('-i, --index <n>', 'the index, as DLedger spells it', count(0))
    .addOption(bodyOption())
    .option('--raw', 'print the very bytes of the body and nothing else')
    .addHelpText('after', EXAMPLES)
    .action(async (argument: number | undefined, options: Options, command: Command) => {
      const index = argument ?? options.index
      if (index === undefined) throw missingIndex(command)
      try {
        const entry = await withClient(options, (client) => client.get(index))
        if (entry === undefined) {
          io.stderr.write(`ledger: index ${index} opens the term of a leader and holds no data\n`)
          ended(ExitCode.FAILED)
        } else if (options.raw === true) {
          io.stdout.write(entry.body)
        } else if (options.json === true) {
          io.stdout.write(`${JSON.stringify(entryJson(entry))}\n`)
        } else {
          io.stdout.write(`${bodyText(entry.body, options.body)}\n`)
        }
      } catch (error) {
        ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}

function missingIndex(command: Command): Error {
  command.error("error: missing required argument 'index'")
  return new InvalidArgumentError('index')
}
