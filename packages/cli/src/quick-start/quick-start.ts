/** `fast-try.sh`: a whole cluster on this machine with one command. */
import { fileURLToPath } from 'node:url'
import { LedgerError } from '@ringledger/base'
import { Command, InvalidArgumentError, Option } from 'commander'
import { sayFailure } from '../commands/lifecycle.ts'
import {
  type ClusterLayout,
  DEFAULT_BASE_PORT,
  layoutOf,
  MAX_BASE_PORT,
  MAX_NODES,
  readChoices,
} from './layout.ts'
import { type Say, terminalSay } from './say.ts'
import { clean, kill, logs, restart, start, status, stop } from './verbs.ts'

const DEFAULT_DIRECTORY = fileURLToPath(
  new URL('../../../../.ringledger/RaftCluster', import.meta.url),
)
const PORT_HELP = `
Ports, with --base-port P (default ${DEFAULT_BASE_PORT}):
  P                             name server          9876
  P+21035, P+21045, P+21055     brokers n0, n1, n2   30911, 30921, 30931
  P+31035, P+31036, P+31037     DLedger n0, n1, n2   40911, 40912, 40913
<id> is n0, n1, n2 or namesrv; kill also takes "leader".`

interface Options {
  readonly dir?: string
  readonly nodes?: number
  readonly basePort?: number
  readonly follow?: boolean
}

type Verb = (layout: ClusterLayout, say: Say, id: string, options: Options) => Promise<number>

/** Resolves with the exit code. */
export async function quickStartMain(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = new Command('fast-try.sh')
    .description('Runs a RocketMQ-compatible cluster on this machine, to try it.')
    .addHelpText('after', PORT_HELP)
    .helpCommand(false)
  const add = (usage: string, doc: string, verb: Verb): Command =>
    program
      .command(usage)
      .description(doc)
      .option('--dir <directory>', 'data, logs and configuration; names the cluster')
      .action(async (...args: unknown[]) => {
        const options = args.at(-2) as Options
        const id = typeof args[0] === 'string' ? args[0] : ''
        exitCode = await runVerb(verb, id, options)
      })
  add('start', 'start it, and show it once it takes messages', (layout, say) => start(layout, say))
    .addOption(new Option('--nodes <n>', 'nodes of the Raft group').argParser(parseNodes))
    .option('--base-port <port>', 'port of the name server; moves all others', parsePort)
    .addHelpText('after', PORT_HELP)
  add('status', 'what runs, and who leads', (layout, say) => status(layout, say))
  add('kill <id>', 'kill -9 one process', (layout, say, id) => kill(layout, id, say))
  add('restart <id>', 'start one process again', (layout, say, id) => restart(layout, id, say))
  add('logs <id>', 'the end of its log', (layout, _, id, { follow }) => {
    return logs(layout, id, follow === true)
  }).option('-f, --follow', 'go on with new lines')
  add('stop', 'end all processes; the data stays', (layout, say) => stop(layout, say))
  add('clean', 'end all processes and delete the data', (layout, say) => clean(layout, say))
  await program.parseAsync(argv as string[], { from: 'user' })
  return exitCode
}

async function runVerb(verb: Verb, id: string, options: Options): Promise<number> {
  const directory = options.dir ?? DEFAULT_DIRECTORY
  try {
    const there = readChoices(directory)
    const layout = layoutOf(directory, {
      basePort: options.basePort ?? there?.basePort ?? DEFAULT_BASE_PORT,
      nodes: options.nodes ?? there?.nodes ?? MAX_NODES,
    })
    return await verb(layout, terminalSay(options.dir), id, options)
  } catch (error) {
    if (error instanceof LedgerError) return sayFailure('fast-try.sh', error)
    throw error
  }
}

function parseNodes(text: string): number {
  if (text === '1' || text === '3') return Number(text)
  throw new InvalidArgumentError('1 or 3; two would survive no more failures than one')
}

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1024 && port <= MAX_BASE_PORT) return port
  throw new InvalidArgumentError(`a port from 1024 to ${MAX_BASE_PORT}`)
}
