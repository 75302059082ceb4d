/**
 * Starts the IO thread from the main thread. Owns the order of a start: the store is open and its
 * end known before any other thread looks at the arena.
 */
import { Worker } from 'node:worker_threads'
import { LedgerError, workerUrl } from '@ringledger/base'
import type { LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import type { StoreConfig } from './config.ts'
import type { IoPort } from './io-port.ts'
import type { Recovered } from './recovered.ts'

/** `workerData` of `io.worker.ts`. */
export interface IoWorkerData {
  readonly config: StoreConfig
  readonly arena: LogArenaShared
  readonly port: IoPort
  /** Bell of the thread that owns the `IoClient`. */
  readonly coreDoorbell: SharedArrayBuffer
}

/** What the thread says to its parent, once. */
export interface IoWorkerMessage {
  readonly type: 'recovered'
  readonly recovered: Recovered
}

/**
 * Resolves when the store is open. The core thread then calls
 * `arena.reset(recovered.tail.endPosition)` before its first claim. Rejects with what `openStore`
 * threw. The worker ends after CLOSE; any other end of it must end the process.
 */
export function startIoWorker(
  data: IoWorkerData,
): Promise<{ worker: Worker; recovered: Recovered }> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(workerUrl('./io.worker.ts', import.meta.url), {
      name: 'io',
      workerData: data,
    })
    const onEnd = (exitCode: number): void => {
      reject(new LedgerError('CLOSED', `the IO thread ended with ${exitCode} before it was ready`))
    }
    worker.once('error', (error) => reject(asLedgerError(error)))
    worker.once('exit', onEnd)
    worker.once('message', (message: IoWorkerMessage) => {
      worker.off('exit', onEnd)
      resolve({ worker, recovered: message.recovered })
    })
  })
}

/** An error loses its class on the way between threads; its fields stay. */
function asLedgerError(error: unknown): Error {
  const { code, message } = error as { code?: unknown; message: string }
  if (error instanceof LedgerError || typeof code !== 'string') return error as Error
  return new LedgerError(code as LedgerError['code'], message, { cause: error })
}
