/** `ledger`: a replicated log on the command line. */
import { Command, CommanderError } from 'commander'
import { addAppend } from './commands/append.ts'
import { type CommandIo, ExitCode } from './commands/command.ts'
import { addDump } from './commands/dump.ts'
import { addGet } from './commands/get.ts'
import { addServer } from './commands/server.ts'
import { addStatus } from './commands/status.ts'
import { addTail } from './commands/tail.ts'
import { addTransfer } from './commands/transfer.ts'
import { addVerify } from './commands/verify.ts'

const COMMANDS = [
  addServer,
  addAppend,
  addGet,
  addTail,
  addStatus,
  addTransfer,
  addVerify,
  addDump,
] as const

const MORE = `
Try it:
  ledger server --store-dir ./data &
  ledger append "hello"
  ledger tail

Members are found by --peers (or LEDGER_PEERS), else at n0-localhost:20911. Exit statuses: 0 done,
1 failed and nothing was written, 2 a write may be in the log or not, 3 damage found, 64 usage.`

/** Runs one command; `argv` begins with its name. Resolves with the exit code. */
export async function ledgerMain(argv: readonly string[], io: CommandIo): Promise<number> {
  let code: number = ExitCode.DONE
  const program = new Command('ledger')
    .description('A replicated log: run it, append to it, read it, check its files.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
    })
    .showHelpAfterError('(ledger <command> --help shows its options)')
    .addHelpText('after', MORE)
  for (const add of COMMANDS) {
    add(program, io, (ended) => {
      code = ended
    })
  }
  if (argv.length === 0) {
    io.stderr.write(program.helpInformation())
    return ExitCode.USAGE
  }
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? ExitCode.DONE : ExitCode.USAGE
  }
}

/** {@link ledgerMain} on the streams and signals of this process. */
export async function ledgerProcess(argv: readonly string[]): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
      stop.abort()
    })
  }
  return await ledgerMain(argv, {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stop.signal,
  })
}
