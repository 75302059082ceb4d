/** Runs an entry in a process of its own and shows what it reports, as it comes. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ChildMessage } from '../child.ts'
import type { Measurement } from '../measure.ts'
import { tableRow } from '../report.ts'
import type { Entry } from './catalogue.ts'
import { pointHead, pointRow, sameTable } from './figures-table.ts'
import type { Effort, Outcome, Plot, Point, ScenarioMessage } from './scenario.ts'

const MICRO_CHILD = fileURLToPath(new URL('../child.ts', import.meta.url))
const SCENARIO_CHILD = fileURLToPath(new URL('./scenario-child.ts', import.meta.url))

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

/** Undefined when it failed, which was said. */
export async function runMicro(entry: Entry, quick: boolean): Promise<Measurement[] | undefined> {
  const measurements: Measurement[] = []
  const name = entry.name.replace(/^micro\//, '')
  const args = [entry.url, name, quick ? 'quick' : 'full']
  const ok = await runChild<ChildMessage>(entry, MICRO_CHILD, args, (message, progress) => {
    if (message.kind === 'measured') {
      measurements.push(message.measurement)
      process.stdout.write(`${tableRow(message.measurement)}\n`)
    } else if (message.kind === 'measuring') {
      progress.show(`  ${message.number} of ${message.count}: ${message.operation} …`)
    } else return message.reason
    return undefined
  })
  return ok ? measurements : undefined
}

/** Undefined when it failed, which was said. */
export async function runScenario(entry: Entry, effort: Effort): Promise<Outcome | undefined> {
  const points: Point[] = []
  const ratios: Record<string, number> = {}
  let title = ''
  let plots: readonly Plot[] = []
  const args = [entry.url, JSON.stringify(effort)]
  const ok = await runChild<ScenarioMessage>(entry, SCENARIO_CHILD, args, (message, progress) => {
    if (message.kind === 'scenario') ({ title, plots } = message)
    else if (message.kind === 'progress') progress.show(`  ${message.line} …`)
    else if (message.kind === 'failed') return message.reason
    else if (message.kind === 'ratio') {
      ratios[message.name] = message.value
      process.stdout.write(`  ${message.name}: ${message.value.toFixed(3)}\n`)
    } else {
      const { point } = message
      if (!sameTable(points.at(-1), point)) process.stdout.write(`${pointHead(point)}\n`)
      process.stdout.write(`${pointRow(point)}\n`)
      points.push(point)
    }
    return undefined
  })
  return ok ? { name: entry.name, title, plots, points, ratios } : undefined
}

/** `onMessage` returns why it failed. Signals that end this process end the child first. */
function runChild<Message>(
  entry: Entry,
  program: string,
  args: readonly string[],
  onMessage: (message: Message, progress: Progress) => string | undefined,
): Promise<boolean> {
  const progress = new Progress()
  let failure: string | undefined
  const child = fork(program, args, { serialization: 'advanced' })
  process.stdout.write(`${entry.name}\n`)
  progress.show('  starts')
  child.on('message', (message) => {
    progress.clear()
    failure = onMessage(message as Message, progress) ?? failure
  })
  return new Promise((resolve) => {
    child.on('error', (error) => {
      failure ??= error.message
    })
    child.on('close', (code, signal) => {
      progress.clear()
      if (code === 0 && failure === undefined) return resolve(true)
      const reason = failure ?? `its process ended with ${signal ?? `code ${code}`}`
      process.stdout.write(`  FAILED: ${reason}\n`)
      resolve(false)
    })
  })
}
