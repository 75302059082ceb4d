/** The process of one benchmark file: measures its operations in order and reports to `run.ts`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FULL, type Measurement, measure, QUICK } from './measure.ts'
import type { MicroBench } from './micro-bench.ts'

export type ChildMessage =
  | { kind: 'measuring'; operation: string; number: number; count: number }
  | { kind: 'measured'; measurement: Measurement }
  | { kind: 'failed'; reason: string }

function report(message: ChildMessage): void {
  process.send?.(message)
}

async function measureAll(url: string, name: string, quick: boolean): Promise<void> {
  const { bench } = (await import(url)) as { bench: MicroBench }
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  const { operations, close } = await bench.open(directory)
  for (const [index, operation] of operations.entries()) {
    const place = { number: index + 1, count: operations.length }
    report({ kind: 'measuring', operation: operation.name, ...place })
    report({ kind: 'measured', measurement: await measure(name, operation, quick ? QUICK : FULL) })
  }
  close?.()
}

// The parent is gone, so nobody wants the figures: end, and leave nothing behind.
const onOrphaned = (): never => process.exit(1)
process.once('disconnect', onOrphaned)
const [url = '', name = '', effort] = process.argv.slice(2)
try {
  await measureAll(url, name, effort === 'quick')
} catch (error) {
  report({ kind: 'failed', reason: error instanceof Error ? (error.stack ?? '') : String(error) })
  process.exitCode = 1
}
process.off('disconnect', onOrphaned)
process.disconnect?.()
