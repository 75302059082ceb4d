/** Runs ranges of seeds on several threads. Owns the threads, and hands ranges out in order. */
import { Worker } from 'node:worker_threads'
import type { Counts } from './counts.ts'

export interface SimWorkerData {
  /** Name of a mutation; empty for the code as it is. */
  readonly mutation: string
  readonly ticks: number
  readonly members: number | undefined
}

export interface SeedRange {
  readonly from: number
  readonly count: number
}

export interface SeedFailure {
  readonly seed: number
  readonly tick: number
  readonly failure: string
}

export interface WorkerReport {
  readonly counts: Counts
  readonly failures: SeedFailure[]
}

export interface JobOptions extends SimWorkerData {
  readonly from: number
  readonly seeds: number
  readonly jobs: number
  /** Seeds that a thread gets at a time. */
  readonly rangeSeeds: number
  /** False: no further range is begun. */
  onReport(report: WorkerReport): boolean
}

/** Resolves when all seeds were run, or when no more were wanted. */
export async function runJobs(options: JobOptions): Promise<void> {
  const { from, seeds, rangeSeeds, mutation, ticks, members } = options
  const end = from + seeds
  let next = from
  const workerData: SimWorkerData = { mutation, ticks, members }
  const serve = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const more = (): void => {
        if (next >= end) {
          worker.terminate().then(() => resolve(), reject)
          return
        }
        const count = Math.min(rangeSeeds, end - next)
        worker.postMessage({ from: next, count } satisfies SeedRange)
        next += count
      }
      worker.on('message', (report: WorkerReport) => {
        if (!options.onReport(report)) next = end
        more()
      })
      worker.on('error', reject)
      more()
    })
  const count = Math.max(1, Math.min(options.jobs, Math.ceil(seeds / rangeSeeds)))
  const url = new URL('./sim.worker.ts', import.meta.url)
  await Promise.all(
    Array.from({ length: count }, () => serve(new Worker(url, { workerData, name: 'sim' }))),
  )
}
