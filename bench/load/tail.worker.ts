/** The thread of consumers that tail: they must not wait for the loop of the load. */
import { parentPort, workerData } from 'node:worker_threads'
import { type PullOptions, Tail } from './pull-load.ts'

const tail = await Tail.start(workerData as PullOptions)
parentPort?.on('message', async (asked: 'counts' | 'end') => {
  if (asked === 'end') await tail.end()
  parentPort?.postMessage(tail.counts)
  if (asked === 'end') parentPort?.close()
})
parentPort?.postMessage(tail.counts)
