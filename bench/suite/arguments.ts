/** What `pnpm bench` is told. */
import { parseArgs } from 'node:util'
import { catalogue, choose, type Entry } from './catalogue.ts'
import type { Effort } from './scenario.ts'

export const HELP = `Measures RingLedger on this machine.

usage: pnpm bench [micro|scenario|peers|growth] [<name> ...] [options]

  micro      single operations: median and 99th percentile of the time taken (of batches,
             where one is too short), the processor's time, operations and megabytes a second
  scenario   whole brokers under load, each point by an open-loop load unless it says otherwise
  peers      the same load on Apache RocketMQ DLedger (needs java, mvn) and NATS JetStream
             (needs go), interleaved in one run, as ratios
  growth     what a larger log, more queues, groups, connections, replicas cost

Without a name: micro and scenario. 'scenario rates sizes' or 'scenario/rates' names some.

  --list                  what can be run
  --seconds <n>           how long each point of a scenario is measured (5)
  --rounds <n>            peers: interleaved rounds, of which the median counts (5)
  --warm <n>              peers: seconds that a Java peer is warmed in each round (60)
  --messages <n>          growth: how many messages the largest log has (1000000)
  --json <file>           writes the figures and the machine to a file as well
  --html <file>           writes a report with plots, one file that needs nothing else
  --baseline <file>       compares ratios with an earlier run; ends with 1 when one fell by
                          more than 15 %. 'machine': bench/baselines/<kind of machine>.json
  --save-baseline <file>  writes the ratios of this run there
  --quick                 only to see that everything works: the figures mean nothing
  --help                  this text

A figure holds for the machine and the hour in which it was taken: compare only
runs that followed one another on a machine with nothing else to do. Where there
is no such machine, ratios within a run and the processor's time still can be
compared. docs/benchmarks.md says more.
`

export class UsageError extends Error {}

export interface Arguments {
  readonly entries: readonly Entry[]
  readonly effort: Effort
  readonly json: string | undefined
  readonly html: string | undefined
  readonly baseline: string | undefined
  readonly saveBaseline: string | undefined
  readonly list: boolean
  readonly help: boolean
}

const QUICK: Effort = { quick: true, seconds: 1, rounds: 1, warmSeconds: 1, messages: 10_000 }

const OPTIONS = {
  seconds: { type: 'string', default: '5' },
  rounds: { type: 'string', default: '5' },
  warm: { type: 'string', default: '60' },
  messages: { type: 'string', default: '1000000' },
  json: { type: 'string' },
  html: { type: 'string' },
  baseline: { type: 'string' },
  'save-baseline': { type: 'string' },
  quick: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** @throws UsageError that says what is wrong. */
export function readArguments(args: readonly string[]): Arguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: OPTIONS,
    })
    const asked: Effort = {
      quick: false,
      seconds: number('seconds', values.seconds, 0.1),
      rounds: number('rounds', values.rounds, 1),
      warmSeconds: number('warm', values.warm, 0),
      messages: number('messages', values.messages, 1000),
    }
    return {
      entries: choose(catalogue(), positionals),
      effort: values.quick ? QUICK : asked,
      json: values.json,
      html: values.html,
      baseline: values.baseline,
      saveBaseline: values['save-baseline'],
      list: values.list,
      help: values.help,
    }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function number(name: string, text: string, lowest: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= lowest) return value
  throw new Error(`--${name} ${text}: a number from ${lowest} up is wanted`)
}
