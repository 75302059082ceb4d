/** `ledger transfer`: leadership moves without a pause that clients see as an error. */
import type { Command } from 'commander'
import {
  type AddCommand,
  type ClientOptions,
  sayFailure,
  withClient,
  withClientOptions,
} from './command.ts'

interface Options extends ClientOptions {
  readonly transfereeId?: string
}

const EXAMPLES = `
Examples:
  ledger transfer n2
  ledger transfer          to the follower with the most of the log

Do it before you stop a leader. Writes meanwhile wait or are refused before they are written.`

export const addTransfer: AddCommand = (program, io, ended) => {
  withClientOptions(program.command('transfer'))
    .description('Hand leadership to another member.')
    .argument('[target]', 'the id of the member that shall lead')
    .option('-t, --transfereeId <id>', 'the target, as DLedger spells it')
    .addHelpText('after', EXAMPLES)
    .action(async (argument: string | undefined, options: Options, _command: Command) => {
      const target = argument ?? options.transfereeId
      try {
        await withClient(options, async (client) => {
          const { from } = await client.transfer(target)
          const { leaderId, term } = await client.awaitLeader()
          const done = { from, leaderId, term }
          if (options.json === true) io.stdout.write(`${JSON.stringify(done)}\n`)
          else io.stdout.write(`${leaderId} leads term ${term} (before: ${from})\n`)
        })
      } catch (error) {
        ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}
