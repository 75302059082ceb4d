/** What every `ledger` command shares: its streams, how it ends, and the options of clients. */
import { LedgerError } from '@ringledger/base'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { LedgerClient } from '../client/ledger-client.ts'
import {
  clientsOfPeers,
  DEFAULT_PEERS,
  type MemberAddress,
  parseClients,
  parsePeers,
} from '../peers.ts'

/** How a command ends; docs/ledger-cli.md. */
export const ExitCode = {
  DONE: 0,
  /** It failed, and nothing was written. */
  FAILED: 1,
  /** A write may be in the log, or not. */
  UNSURE: 2,
  /** `verify` found damage. */
  DAMAGED: 3,
  /** The command line does not make sense. */
  USAGE: 64,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

export interface TextSink {
  write(text: string | Uint8Array): unknown
  readonly isTTY?: boolean
}

export interface CommandIo {
  readonly stdin: AsyncIterable<Uint8Array>
  readonly stdout: TextSink
  readonly stderr: TextSink
  /** Fires when the user interrupts. */
  readonly signal: AbortSignal
}

/** Adds one command; its result is the exit code, undefined for DONE or while a server runs. */
export type AddCommand = (program: Command, io: CommandIo, ended: (code: ExitCode) => void) => void

export interface ClientOptions {
  readonly group: string
  readonly peers?: string
  readonly clients?: string
  readonly timeout: number
  readonly json?: boolean
}

/** A whole number from `lowest` up, for an option. */
export function count(lowest: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value) && value >= lowest) return value
    throw new InvalidArgumentError(`It must be a whole number from ${lowest} up.`)
  }
}

/** `-g`, `-p`, `--clients`, `--timeout` and `--json`. */
export function withClientOptions(command: Command): Command {
  return command
    .option('-g, --group <name>', 'the group', 'default')
    .addOption(
      new Option('-p, --peers <list>', 'members, as the servers have it').env('LEDGER_PEERS'),
    )
    .addOption(
      new Option(
        '--clients <list>',
        'where clients reach members (default: ports 1000 above --peers)',
      ).env('LEDGER_CLIENTS'),
    )
    .option('--timeout <ms>', 'how long to look for a leader that does it', count(1), 10_000)
    .option('--json', 'print JSON, one document a line')
}

/** Where clients reach the members. @throws LedgerError BAD_CONFIG */
export function clientAddresses({
  peers,
  clients,
}: {
  peers?: string
  clients?: string
}): MemberAddress[] {
  if (clients !== undefined) return parseClients(clients, '--clients')
  return clientsOfPeers(parsePeers(peers ?? DEFAULT_PEERS, '--peers'))
}

/** Runs `work` with a client that is closed afterwards. */
export async function withClient<Result>(
  options: ClientOptions,
  work: (client: LedgerClient) => Promise<Result>,
): Promise<Result> {
  const client = new LedgerClient({
    members: clientAddresses(options),
    group: options.group,
    deadlineMs: options.timeout,
  })
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

/** Says what went wrong and what that means for a write; the exit code. */
export function sayFailure(error: unknown, stderr: TextSink, asJson: boolean): ExitCode {
  if (!(error instanceof LedgerError)) throw error
  const mayCommit = error.mayStillCommit
  if (asJson) {
    stderr.write(`${JSON.stringify({ error: error.code, mayCommit, message: error.message })}\n`)
  } else {
    stderr.write(`ledger: ${error.message}\n`)
    if (mayCommit)
      stderr.write('ledger: the write may be in the log or not: look before you repeat it\n')
  }
  if (error.code === 'BAD_CONFIG') return ExitCode.USAGE
  return mayCommit ? ExitCode.UNSURE : ExitCode.FAILED
}
