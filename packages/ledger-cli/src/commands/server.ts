/** `ledger server`: runs one member of a group until a signal. */
import { LedgerError } from '@ringledger/base'
import type { LedgerLog, LedgerOptions, RoleEvent } from '@ringledger/engine'
import { Option } from 'commander'
import { addressText, clientsOfPeers, type MemberAddress, parsePeers } from '../peers.ts'
import type { RunningLedgerServer } from '../server/ledger-server.ts'
import { type AddCommand, type CommandIo, count, ExitCode, sayFailure } from './command.ts'

interface Options {
  readonly id: string
  readonly group: string
  readonly peers?: string
  readonly clients?: string
  readonly storeDir?: string
  readonly storeBaseDir?: string
  readonly bind?: string
  readonly preferredLeaderId?: string
  readonly durability: 'sync' | 'memory'
  readonly segmentBytes?: number
  readonly maxEntryBytes: number
  readonly minimumFreeBytes?: number
  readonly electionTimeout?: number
  readonly heartbeat?: number
  readonly json?: boolean
}

/** With its Base64 and its frame it must fit into 16 MiB. */
const MAX_ENTRY_BYTES: number = 11 * 1024 * 1024
const DEFAULT_MAX_ENTRY_BYTES: number = 4 * 1024 * 1024
const DEFAULT_CLIENT = 'n0-localhost:21911'
const CLOSE_LIMIT_MS = 15_000

const EXAMPLES = `
Examples:
  ledger server --store-dir ./data                     a group of one
  ledger server --id n0 --group g1 --store-dir ./n0 \\
    --peers "n0-localhost:20911;n1-localhost:20912;n2-localhost:20913"

--peers is the same on all members. They talk to each other on its ports, in a protocol of their
own; clients (and DLedger's command line) are served on ports 1000 above, or on those of --clients.
The log lies in <store-dir>/dledger-<id>. SIGTERM hands leadership over and closes in order.`

export const addServer: AddCommand = (program, io, ended) => {
  program
    .command('server')
    .description('Run one member of a group.')
    .option('-i, --id <id>', 'which member of --peers this is', 'n0')
    .option('-g, --group <name>', 'the group; equal on all members', 'default')
    .option(
      '-p, --peers <list>',
      'all members, n0-host:port;n1-host:port (default: a group of one)',
    )
    .option(
      '--clients <list>',
      'where clients reach each member (default: ports 1000 above --peers)',
    )
    .option('-s, --store-dir <path>', 'where the log lies (needed)')
    .addOption(new Option('--store-base-dir <path>', 'as DLedger spells it').hideHelp())
    .option('--bind <address>', 'local address of both ports (default: the host in --peers)')
    .option('--preferred-leader-id <id>', 'the member that should lead whenever it can')
    .addOption(
      new Option('--durability <when>', 'acknowledge when it is on disk or in memory of a majority')
        .choices(['sync', 'memory'])
        .default('sync'),
    )
    .option('--segment-bytes <n>', 'length of a data file (default: 64 MiB)', count(4096))
    .option('--max-entry-bytes <n>', 'longest entry', count(64), DEFAULT_MAX_ENTRY_BYTES)
    .option('--minimum-free-bytes <n>', 'space to leave on the disk (default: 256 MiB)', count(0))
    .option('--election-timeout <ms>', 'silence after which a follower campaigns', count(200))
    .option('--heartbeat <ms>', 'how often a leader speaks', count(25))
    .option('--json', 'log JSON, one document a line')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      try {
        await run(options, io)
      } catch (error) {
        ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}

async function run(options: Options, io: CommandIo): Promise<void> {
  const say = logTo(io, options.json === true)
  const { members, clients } = membersOf(options)
  const { startLedgerServer } = await import('../server/ledger-server.ts')
  const server = await startLedgerServer({
    ledger: ledgerOptions(options, members),
    clients,
    ...(options.bind === undefined ? {} : { bindAddress: options.bind }),
    log: (level, line) => say(level, line),
  })
  closeOnAbort(server, io, say)
  const peerPort = members?.find(({ id }) => id === options.id)?.port
  const listening = { event: 'listening', clientPort: server.clientPort, peerPort }
  const peerText = peerPort === undefined ? '' : `, for peers on port ${peerPort}`
  const own = clients.find(({ id }) => id === options.id)!
  const address = addressText({ host: own.host, port: server.clientPort })
  say('info', `listens for clients on ${address}${peerText}`, listening)
  const onRole = ({ role, term, leaderId, reason }: RoleEvent): void => {
    const why = reason === '' ? '' : ` (${reason})`
    say('info', `${role} in term ${term}${why}`, { event: 'role', role, term, leaderId })
  }
  server.ledger.subscribe({
    onRole,
    onHalted: (reason) => say('error', `left the group: ${reason}`, { event: 'halted' }),
  })
  const { role, term, leaderId } = server.ledger.status()
  onRole({ role, term, leaderId, reason: '' })
}

/** @throws LedgerError BAD_CONFIG */
function membersOf(options: Options): {
  members: readonly MemberAddress[] | undefined
  clients: readonly MemberAddress[]
} {
  const { peers, clients, id } = options
  const members = peers === undefined ? undefined : parsePeers(peers, '--peers')
  if (members !== undefined && !members.some((member) => member.id === id)) {
    const known = members.map((member) => member.id).join(', ')
    throw new LedgerError('BAD_CONFIG', `--id is ${id}, and --peers has ${known}`)
  }
  if (clients !== undefined) return { members, clients: parsePeers(clients, '--clients') }
  if (members !== undefined) return { members, clients: clientsOfPeers(members) }
  return {
    members,
    clients: parsePeers(DEFAULT_CLIENT, '--clients').map((one) => ({ ...one, id })),
  }
}

function ledgerOptions(
  options: Options,
  members: readonly MemberAddress[] | undefined,
): LedgerOptions & { group: string; selfId: string } {
  const directory = options.storeDir ?? options.storeBaseDir
  if (directory === undefined) {
    throw new LedgerError('BAD_CONFIG', '--store-dir is missing: say where the log shall lie')
  }
  if (options.maxEntryBytes > MAX_ENTRY_BYTES) {
    const why = `a frame cannot carry more than ${MAX_ENTRY_BYTES}`
    throw new LedgerError('BAD_CONFIG', `--max-entry-bytes is ${options.maxEntryBytes}; ${why}`)
  }
  return {
    directory,
    group: options.group,
    selfId: options.id,
    durability: options.durability,
    maxEntryBytes: options.maxEntryBytes,
    ...given('members', members),
    ...given('bindAddress', options.bind),
    ...given('preferredLeaderId', options.preferredLeaderId),
    ...given('segmentBytes', options.segmentBytes),
    ...given('minimumFreeBytes', options.minimumFreeBytes),
    ...given('electionTimeoutMs', options.electionTimeout),
    ...given('heartbeatIntervalMs', options.heartbeat),
  }
}

function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { [Key in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { [Key in Name]?: Value }
}

type Say = (
  level: Parameters<LedgerLog>[0],
  line: string,
  fields?: Readonly<Record<string, unknown>>,
) => void

function logTo(io: CommandIo, asJson: boolean): Say {
  return (level, line, fields) => {
    const time = new Date().toISOString()
    if (asJson) io.stdout.write(`${JSON.stringify({ time, level, message: line, ...fields })}\n`)
    else io.stdout.write(`${time} ${level.toUpperCase().padEnd(5)} ${line}\n`)
  }
}

/** The first signal closes in order; a second one, or a close that hangs, ends the process. */
function closeOnAbort(server: RunningLedgerServer, io: CommandIo, say: Say): void {
  const stop = (): void => {
    say('info', 'closing: leadership is handed over first', { event: 'closing' })
    const limit = setTimeout(() => {
      say('error', `not closed after ${CLOSE_LIMIT_MS / 1000} s: ending without it`)
      process.exit(ExitCode.FAILED)
    }, CLOSE_LIMIT_MS)
    limit.unref()
    server.close().then(
      () => {
        clearTimeout(limit)
        say('info', 'closed', { event: 'closed' })
      },
      (error: unknown) => {
        say('error', `closing failed: ${String(error)}`)
        process.exit(ExitCode.FAILED)
      },
    )
  }
  if (io.signal.aborted) stop()
  else io.signal.addEventListener('abort', stop, { once: true })
}
