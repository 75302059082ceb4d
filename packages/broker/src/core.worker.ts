/** Entry of the core thread. An error that escapes ends the thread and, with it, the process. */
import { flushCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '@ringledger/base'
import { CoreThread } from './core-thread.ts'
import type { CoreNote, CoreOrder, CoreWorkerData } from './wiring.ts'

assert(parentPort !== null, 'the core thread is started as a worker')
const port = parentPort
const core = new CoreThread(workerData as CoreWorkerData, (note: CoreNote) => {
  port.postMessage(note)
})
port.on('message', (order: CoreOrder) => {
  if (order.kind === 'transfer') core.transfer()
  else void core.close().then(() => port.close())
})
await core.start()
// A process that is killed would not keep what it compiled; the next start wants it.
flushCompileCache()
