/**
 * The process of one scenario: runs it and reports to `run.ts`. What it has started and written
 * goes when it ends, also when the parent is gone or it is told to end.
 */
import type { Context, Effort, Scenario, ScenarioMessage } from './scenario.ts'

function report(message: ScenarioMessage): void {
  process.send?.(message)
}

async function run(url: string, effort: Effort): Promise<void> {
  const { scenario } = (await import(url)) as { scenario: Scenario }
  report({ kind: 'scenario', title: scenario.title, plots: scenario.plots })
  const context: Context = {
    ...effort,
    show: (line) => report({ kind: 'progress', line }),
    point: (point) => report({ kind: 'point', point }),
    ratio: (name, value) => report({ kind: 'ratio', name, value }),
  }
  await scenario.run(context)
}

const onOrphaned = (): never => process.exit(1)
process.once('disconnect', onOrphaned)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onOrphaned)
const [url = '', effort = '{}'] = process.argv.slice(2)
try {
  await run(url, JSON.parse(effort) as Effort)
} catch (error) {
  report({ kind: 'failed', reason: error instanceof Error ? (error.stack ?? '') : String(error) })
  process.exitCode = 1
}
process.off('disconnect', onOrphaned)
process.disconnect?.()
