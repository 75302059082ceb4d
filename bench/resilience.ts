/**
 * How a group behaves when a leader dies, hands over, or a follower comes back: three broker
 * processes with the shipped defaults, a load, and what the load sees. Exit code 1: it could not be
 * measured or a bar given with --check is missed; 2: the arguments were wrong.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { machine, machineLine } from './report.ts'
import { measureCatchUp } from './resilience/catch-up.ts'
import { measureFailover } from './resilience/failover.ts'
import type { Report, Settings, Show } from './resilience/outcome.ts'
import { measureTransfer } from './resilience/transfer.ts'

const HELP = `Measures a group of three brokers on this machine under load.

usage: node bench/resilience.ts failover|transfer|catch-up [options]

  failover    kill -9 of the leader, again and again; the node is started again and has
              caught up before the next one
  transfer    leadership handed over on request (mqadmin electMaster), again and again
  catch-up    a follower that was down for gigabytes of log comes back

  --times <n>         failovers or transfers (100)
  --gigabytes <n>     catch-up: log that the follower misses (5)
  --base-seconds <n>  catch-up: how long throughput is measured before and after (15)
  --rate <n>          messages a second; 0: as many as are answered (failover 2000,
                      transfer 5000, catch-up 0)
  --body <bytes>      body of a message (1024)
  --connections <n>   connections of the load (4)
  --window <n>        unanswered messages of a connection (16, catch-up 64)
  --set <key=value>   a line for every broker.conf; may be repeated
  --check             exit code 1 when a bar is missed: failover p50 250 ms and p99 800 ms,
                      transfer p99 100 ms, only errors that may be tried again, catch-up 60 %
                      of the throughput before and no change of leader
  --json <file>       writes the figures and the machine to a file as well
  --help              this text

A gap is the longest time between two acknowledgements around one event, whichever message
they belong to. The load knows the addresses of all brokers; when the one it sends to
refuses or is gone, one message looks for the next leader at all of them in turn, without a
pause within a round and with 5 ms between two rounds, and the others follow it. "Between
the events" is the longest gap of the undisturbed load before each event: what the machine
itself does.
`
const COMMANDS = ['failover', 'transfer', 'catch-up'] as const
type CommandName = (typeof COMMANDS)[number]

class UsageError extends Error {}

interface Arguments {
  readonly command: CommandName
  readonly settings: Settings
  readonly check: boolean
  readonly json: string | undefined
}

/** Undefined: help is wanted. */
function readArguments(): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        times: { type: 'string', default: '100' },
        gigabytes: { type: 'string', default: '5' },
        'base-seconds': { type: 'string', default: '15' },
        rate: { type: 'string' },
        body: { type: 'string', default: '1024' },
        connections: { type: 'string', default: '4' },
        window: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        check: { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return undefined
    const command = commandOf(positionals)
    const settings: Settings = {
      times: number('times', values.times, 1),
      missedBytes: number('gigabytes', values.gigabytes, 0.01) * 1e9,
      baseSeconds: number('base-seconds', values['base-seconds'], 1),
      rate: number('rate', values.rate ?? defaultRate(command), 0),
      bodyBytes: number('body', values.body, 1),
      connections: number('connections', values.connections, 1),
      brokerSettings: Object.fromEntries(values.set.map(keyAndValue)),
      window: number('window', values.window ?? (command === 'catch-up' ? '64' : '16'), 1),
    }
    return { command, settings, check: values.check, json: values.json }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function commandOf(positionals: readonly string[]): CommandName {
  const command = COMMANDS.find((name) => name === positionals[0])
  if (command !== undefined && positionals.length === 1) return command
  throw new UsageError(`one of ${COMMANDS.join(', ')} is wanted, not '${positionals.join(' ')}'`)
}

function defaultRate(command: CommandName): string {
  return { failover: '2000', transfer: '5000', 'catch-up': '0' }[command]
}

function keyAndValue(line: string): [key: string, value: string] {
  const at = line.indexOf('=')
  if (at > 0) return [line.slice(0, at), line.slice(at + 1)]
  throw new UsageError(`--set ${line}: key=value is wanted`)
}

function number(name: string, text: string, lowest: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= lowest) return value
  throw new UsageError(`--${name} ${text}: a number from ${lowest} up is wanted`)
}

/** Progress: a line that the next one replaces for people, lines for files. */
function show(line: string): void {
  if (process.stderr.isTTY === true) process.stderr.write(`\r\x1b[K${line}`)
  else process.stderr.write(`${line}\n`)
}

function measure(command: CommandName, settings: Settings, progress: Show): Promise<Report> {
  if (command === 'failover') return measureFailover(settings, progress)
  return command === 'transfer'
    ? measureTransfer(settings, progress)
    : measureCatchUp(settings, progress)
}

async function main(): Promise<number> {
  const given = readArguments()
  if (given === undefined) {
    process.stdout.write(HELP)
    return 0
  }
  const { command, settings, check, json } = given
  const startedAt = new Date()
  const host = machine()
  process.stdout.write(`${machineLine(host)}\n`)
  const report = await measure(command, settings, show)
  if (process.stderr.isTTY === true) show('')
  process.stdout.write(`${report.text}\n`)
  for (const miss of report.missed) process.stdout.write(`bar missed: ${miss}\n`)
  if (json !== undefined) {
    const seconds = (Date.now() - startedAt.getTime()) / 1000
    const figures = { ...report.figures, missed: report.missed }
    const result = { command, startedAt, seconds, settings, machine: host, ...figures }
    writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`)
  }
  return check && report.missed.length > 0 ? 1 : 0
}

// What it has started and written goes when it exits, also when it is told twice.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\nThe usage is shown by --help.\n`)
  process.exitCode = 2
}
