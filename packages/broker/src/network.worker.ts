/** Entry of a network worker. An error that escapes ends the thread and, with it, the process. */
import { flushCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '@ringledger/base'
import { NetworkThread } from './network-thread.ts'
import type { NetworkNote, NetworkOrder, NetworkWorkerData } from './wiring.ts'

assert(parentPort !== null, 'a network worker is started as a worker')
const port = parentPort
const network = new NetworkThread(workerData as NetworkWorkerData, (note: NetworkNote) => {
  port.postMessage(note)
})
port.on('message', (order: NetworkOrder) => {
  if (order.kind === 'close') {
    void network.close()
    return
  }
  network.end()
  port.close()
})
await network.start()
// A process that is killed would not keep what it compiled; the next start wants it.
flushCompileCache()
