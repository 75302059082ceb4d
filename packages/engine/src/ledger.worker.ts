/**
 * Entry of a ledger's consensus thread. An error that escapes ends the thread, and with it the
 * ledger. A start that fails closes the store first, so that the IO thread ends too.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '@ringledger/base'
import type { LedgerNote, LedgerOrder, LedgerWorkerData } from './ledger-notes.ts'
import { closeStore, LedgerThread } from './ledger-thread.ts'

assert(parentPort !== null, 'the consensus thread is started as a worker')
const port = parentPort
const data = workerData as LedgerWorkerData
let thread: LedgerThread | undefined
try {
  thread = new LedgerThread(data, (note: LedgerNote) => {
    port.postMessage(note)
    if (note.kind === 'closed') port.close()
  })
  const started = thread
  port.on('message', (order: LedgerOrder) => started.onOrder(order))
  await thread.start()
} catch (error) {
  if (thread === undefined) closeStore(data.shared)
  else await thread.abandonStart()
  throw error
}
