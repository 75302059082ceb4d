/**
 * Takes the time of one operation with tinybench. A sample is the mean over a batch, so the
 * percentiles are those of batches: a pause of the machine shows, a single slow call among many
 * does not.
 */
import { Bench, type FnReturnedObject } from 'tinybench'
import type { Operation } from './micro-bench.ts'

export interface Measurement {
  readonly bench: string
  readonly operation: string
  readonly medianNs: number
  readonly p99Ns: number
  /** Processor time of this thread: hardly moved by what else the machine has to do. */
  readonly processorNs: number
  readonly operationsPerSecond: number
  /** 10^6 bytes a second; only for operations that move bytes. */
  readonly megabytesPerSecond?: number
  readonly samples: number
  readonly batch: number
}

export interface Effort {
  readonly warmupMs: number
  readonly timeMs: number
  readonly minSamples: number
}

export const FULL: Effort = { warmupMs: 300, timeMs: 450, minSamples: 64 }
/** Only to see that everything works: its figures mean nothing. */
export const QUICK: Effort = { warmupMs: 0, timeMs: 5, minSamples: 3 }

const NS_PER_MS = 1e6
const NS_PER_US = 1e3

/** @throws whatever the operation or its check throws: then there is no measurement. */
export async function measure(
  benchName: string,
  operation: Operation,
  effort: Effort,
): Promise<Measurement> {
  operation.check()
  const { latency, processorNs } = await sample(operation, effort)
  operation.check()
  const operationsPerSecond = 1000 / latency.mean
  return {
    bench: benchName,
    operation: operation.name,
    medianNs: latency.p50 * NS_PER_MS,
    p99Ns: latency.p99 * NS_PER_MS,
    processorNs,
    operationsPerSecond,
    ...(operation.bytes !== undefined && {
      megabytesPerSecond: (operationsPerSecond * operation.bytes) / 1e6,
    }),
    samples: latency.samplesCount,
    batch: operation.batch,
  }
}

interface Latency {
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly samplesCount: number
}

/** What this thread has had of the processor; a microsecond is the finest step. */
function processorUs(): number {
  const { user, system } = process.threadCpuUsage()
  return user + system
}

async function sample(
  operation: Operation,
  effort: Effort,
): Promise<{ latency: Latency; processorNs: number }> {
  const { batch } = operation
  const tinybench = new Bench({
    time: effort.timeMs,
    warmupTime: effort.warmupMs,
    warmup: effort.warmupMs > 0,
    iterations: effort.minSamples,
    throws: true,
  })
  let usedUs = 0
  let count = 0
  const task = (): FnReturnedObject => {
    const beganMs = performance.now()
    operation.prepare?.()
    const beforeUs = processorUs()
    const startedMs = performance.now()
    operation.run(batch)
    const endedMs = performance.now()
    usedUs += processorUs() - beforeUs
    count += batch
    return {
      overriddenDuration: (endedMs - startedMs) / batch,
      // What making the input took counts too, so that the suite ends when it should.
      overriddenIterationCost: endedMs - beganMs,
    }
  }
  const beforeAll = (): void => {
    usedUs = 0
    count = 0
  }
  tinybench.add(operation.name, task, { async: false, beforeAll })
  await tinybench.run()
  const result = tinybench.tasks[0]?.result
  if (result?.state !== 'completed') throw new Error(`${operation.name}: no measurement came out`)
  return { latency: result.latency, processorNs: (usedUs * NS_PER_US) / count }
}
