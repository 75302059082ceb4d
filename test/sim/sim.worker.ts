/**
 * A thread that runs seeds: it is given ranges and says what became of each. A mutation is put in
 * before the code under test is loaded.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { SeedRange, SimWorkerData, WorkerReport } from './jobs.ts'
import { mutate, mutationNamed } from './mutate.ts'

const { mutation, ticks, members } = workerData as SimWorkerData
if (mutation !== '') mutate(mutationNamed(mutation))
const { settingsOf } = await import('./settings.ts')
const { SimMemory, World } = await import('./world.ts')
const { addCounts, noCounts } = await import('./counts.ts')
const memory = new SimMemory()

parentPort?.on('message', async ({ from, count }: SeedRange) => {
  const report: WorkerReport = { counts: noCounts(), failures: [] }
  for (let seed = from; seed < from + count; seed++) {
    const world = new World(settingsOf(seed, ticks, members), memory)
    const { counts, failure, tick } = await world.run()
    addCounts(report.counts, counts)
    if (failure !== '') report.failures.push({ seed, tick, failure })
  }
  parentPort?.postMessage(report)
})
