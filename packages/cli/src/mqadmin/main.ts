/** `mqadmin`: Apache's commands and option letters; tables for people, `--json` for programs. */
import { LedgerError } from '@ringledger/base'
import { Command, CommanderError } from 'commander'
import { Admin, DEFAULT_NAME_SERVER, nameServersFrom } from './admin.ts'
import type { AdminCommand, OptionSpec } from './command.ts'
import { commands } from './commands/index.ts'
import { AdminError, ExitCode, UsageError } from './errors.ts'
import { addUpgrade } from './upgrade/commands.ts'
import { type AdminIo, show, type TextSink } from './view.ts'

type Environment = Readonly<Record<string, string | undefined>>

interface SharedOptions {
  readonly namesrvAddr?: string
  readonly json?: boolean
}

/**
 * Runs one command; `argv` begins with its name. Resolves with the exit code: 0 done, 1 failed, 64
 * not understood. Never rejects for what a server or the command line says.
 */
export async function mqadminMain(
  argv: readonly string[],
  io: AdminIo,
  environment: Environment = process.env,
): Promise<number> {
  const program = newProgram(io)
  for (const command of commands) addCommand(program, command, io, environment)
  let exitCode: number = ExitCode.OK
  addUpgrade(program, io, (code) => {
    exitCode = code
  })
  if (argv.length === 0) {
    io.stderr.write(program.helpInformation())
    return ExitCode.USAGE
  }
  try {
    await program.parseAsync(argv.map(withLongName), { from: 'user' })
    return exitCode
  } catch (error) {
    return sayFailure(error, io.stderr)
  }
}

/** Apache's one option with two letters behind one dash. */
function withLongName(argument: string): string {
  return argument === '-bn' ? '--brokerName' : argument
}

function newProgram(io: AdminIo): Command {
  return new Command('mqadmin')
    .description('Looks at and changes a RocketMQ cluster.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
    })
    .showHelpAfterError('(mqadmin <command> --help shows its options)')
    .addHelpText(
      'after',
      '\nThe name server is found by -n, else NAMESRV_ADDR, else at 127.0.0.1:9876.',
    )
}

function addCommand(
  program: Command,
  { name, summary, options, example, run }: AdminCommand,
  io: AdminIo,
  environment: Environment,
): void {
  const command = program.command(name).description(summary)
  const about = `name server, several as a:9876;b:9876 (default: NAMESRV_ADDR, else ${DEFAULT_NAME_SERVER})`
  command.option('-n, --namesrvAddr <addresses>', about)
  command.option('--json', 'print one JSON document')
  for (const option of options) addOption(command, option)
  command.addHelpText('after', `\nExample:\n  mqadmin ${example}`)
  command.allowExcessArguments(false)
  command.action(async (given: SharedOptions) => {
    const admin = new Admin(nameServersFrom(given.namesrvAddr, environment))
    try {
      show(await run(admin, given as never), io.stdout, given.json === true)
    } finally {
      await admin.close()
    }
  })
}

function addOption(command: Command, { flags, description, required, parse }: OptionSpec): void {
  const option = command.createOption(flags, description)
  if (required === true) option.makeOptionMandatory()
  if (parse !== undefined) {
    option.argParser((text) => {
      try {
        return parse(text)
      } catch (error) {
        if (error instanceof UsageError) throw new UsageError(`option ${flags}: ${error.message}`)
        throw error
      }
    })
  }
  command.addOption(option)
}

function sayFailure(error: unknown, stderr: TextSink): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.OK : ExitCode.USAGE
  if (error instanceof UsageError) {
    stderr.write(`mqadmin: ${error.message}\n`)
    return ExitCode.USAGE
  }
  if (error instanceof AdminError) {
    const hint = error.hint === undefined ? '' : `${error.hint.replace(/^/gm, '  ')}\n`
    stderr.write(`mqadmin: ${error.message}\n${hint}`)
    return ExitCode.FAILURE
  }
  if (error instanceof LedgerError) {
    stderr.write(`mqadmin: a server answered with something unreadable: ${error.message}\n`)
    return ExitCode.FAILURE
  }
  throw error
}
