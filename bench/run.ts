/**
 * `pnpm bench`: runs micro benchmarks, one process for each file, so that none runs with the
 * other's compiled code or garbage. Shows each figure as it comes. Exit code 1: one failed; 2: the
 * arguments were wrong.
 */
import { fork } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { ChildMessage } from './child.ts'
import type { Measurement } from './measure.ts'
import type { MicroBench } from './micro-bench.ts'
import { machine, machineLine, tableHead, tableRow } from './report.ts'

const HELP = `Measures single operations: median and 99th percentile of the time taken (of batches,
where one is too short), the processor's time, operations and megabytes a second.

usage: pnpm bench [micro/<name> ...] [options]

  --list          what can be run
  --json <file>   writes the figures and the machine to a file as well
  --quick         only to see that everything works: the figures mean nothing
  --help          this text

A figure holds for the machine and the hour in which it was taken: compare only
runs that followed one another on a machine with nothing else to do. Where there
is no such machine, the processor's time is what still can be compared.
`
const ENDING = '.bench.ts'
const DIRECTORY = new URL('./micro/', import.meta.url)

class UsageError extends Error {}

interface Arguments {
  readonly names: readonly string[]
  readonly json: string | undefined
  readonly quick: boolean
  readonly list: boolean
  readonly help: boolean
}

function readArguments(): Arguments {
  const known = benchNames()
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        quick: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const names = positionals.map((name) => name.replace(/^micro\//, '').replace(ENDING, ''))
    const unknown = names.find((name) => !known.includes(name))
    if (unknown !== undefined) {
      throw new Error(`there is no benchmark ${unknown}; there are ${known.join(', ')}`)
    }
    return { ...values, json: values.json, names: names.length === 0 ? known : names }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function benchNames(): string[] {
  const files = readdirSync(DIRECTORY).filter((file) => file.endsWith(ENDING))
  return files.map((file) => file.slice(0, -ENDING.length)).sort()
}

async function list(): Promise<void> {
  for (const name of benchNames()) {
    const { bench } = (await import(new URL(name + ENDING, DIRECTORY).href)) as {
      bench: MicroBench
    }
    process.stdout.write(`micro/${name.padEnd(16)} ${bench.title}\n`)
  }
}

/** A line that the next one replaces, for people who watch. */
class Progress {
  readonly #shown: boolean = process.stderr.isTTY === true

  show(text: string): void {
    if (this.#shown) process.stderr.write(`\r\x1b[K${text}`)
  }

  clear(): void {
    this.show('')
  }
}

/** Runs one file in a process of its own; undefined when it failed, which was said. */
function runBench(name: string, quick: boolean): Promise<Measurement[] | undefined> {
  const measurements: Measurement[] = []
  const progress = new Progress()
  let failure: string | undefined
  const child = fork(fileURLToPath(new URL('./child.ts', import.meta.url)), [
    new URL(name + ENDING, DIRECTORY).href,
    name,
    quick ? 'quick' : 'full',
  ])
  process.stdout.write(`micro/${name}\n`)
  progress.show('  starts')
  child.on('message', (message: ChildMessage) => {
    progress.clear()
    if (message.kind === 'measured') {
      measurements.push(message.measurement)
      process.stdout.write(`${tableRow(message.measurement)}\n`)
    } else if (message.kind === 'measuring') {
      progress.show(`  ${message.number} of ${message.count}: ${message.operation} …`)
    } else {
      failure = message.reason
    }
  })
  return new Promise((resolve) => {
    child.on('error', (error) => {
      failure ??= error.message
    })
    child.on('close', (code, signal) => {
      progress.clear()
      if (code === 0 && failure === undefined) return resolve(measurements)
      const reason = failure ?? `its process ended with ${signal ?? `code ${code}`}`
      process.stdout.write(`  FAILED: ${reason}\n`)
      resolve(undefined)
    })
  })
}

async function run({ names, json, quick }: Arguments): Promise<boolean> {
  const startedAt = new Date()
  const host = machine()
  const measurements: Measurement[] = []
  let ok = true
  process.stdout.write(`${machineLine(host)}\n`)
  if (quick) process.stdout.write('--quick: these figures mean nothing\n')
  process.stdout.write(`\n${tableHead()}\n`)
  for (const name of names) {
    const found = await runBench(name, quick)
    if (found === undefined) ok = false
    else measurements.push(...found)
  }
  const seconds = (Date.now() - startedAt.getTime()) / 1000
  process.stdout.write(`\n${measurements.length} operations in ${seconds.toFixed(1)} s\n`)
  if (json !== undefined) {
    const result = { startedAt: startedAt.toISOString(), quick, machine: host, measurements }
    writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`)
  }
  return ok
}

async function main(): Promise<number> {
  const given = readArguments()
  if (given.help) process.stdout.write(HELP)
  else if (given.list) await list()
  else return (await run(given)) ? 0 : 1
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\nThe usage is shown by --help.\n`)
  process.exitCode = 2
}
