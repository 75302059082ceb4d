/**
 * The threads of a broker process: started one by one, watched, ended. Owns the rule that a thread
 * which ends by itself is a failure of the whole process, and is told once.
 */
import { Worker } from 'node:worker_threads'
import { LedgerError } from '@ringledger/base'

export interface ThreadStart<Note> {
  readonly name: string
  readonly entry: URL
  readonly data: unknown
  /** The note with which the thread says that it has started. */
  readonly until: string
  onNote(note: Note): void
}

type FailureCode = 'CLOSED' | 'DISK_FAILED'
type OnFailed = (reason: string, code: FailureCode) => void

export class BrokerThreads {
  readonly #onFailed: OnFailed
  readonly #all: Worker[] = []
  #ending = false

  constructor(onFailed: OnFailed) {
    this.#onFailed = onFailed
  }

  /** From now on threads may end. */
  expectEnds(): void {
    this.#ending = true
  }

  /** Resolves when the thread has started, rejects when it ended before. */
  start<Note extends { readonly kind: string }>(start: ThreadStart<Note>): Promise<Worker> {
    const { name, entry, data, until } = start
    return new Promise((resolve, reject) => {
      const worker = new Worker(entry, { name, workerData: data })
      this.#all.push(worker)
      worker.on('message', (note: Note) => {
        start.onNote(note)
        if (note.kind !== until) return
        this.watch(worker, name)
        resolve(worker)
      })
      worker.once('error', (error) => reject(asLedgerError(error)))
      worker.once('exit', () => reject(new LedgerError('CLOSED', `the ${name} thread ended`)))
    })
  }

  /** For a thread that runs already. */
  watch(worker: Worker, name: string): void {
    if (!this.#all.includes(worker)) this.#all.push(worker)
    worker.once('error', (error) => {
      const { message } = asLedgerError(error)
      const diskFailed = (error as { code?: unknown }).code === 'DISK_FAILED'
      this.fail(`the ${name} thread failed: ${message}`, diskFailed ? 'DISK_FAILED' : 'CLOSED')
    })
    worker.once('exit', () => this.fail(`the ${name} thread ended`))
  }

  /** The process cannot keep its promises any more. */
  fail(reason: string, code: FailureCode = 'CLOSED'): void {
    if (this.#ending) return
    this.#ending = true
    this.#onFailed(reason, code)
  }

  /** Ends all threads where they are. */
  async terminate(): Promise<void> {
    this.#ending = true
    await Promise.all(this.#all.map((worker) => worker.terminate()))
  }
}

/** Resolves when the thread has ended. */
export function whenEnded(worker: Worker): Promise<void> {
  return new Promise((resolve) => worker.once('exit', () => resolve()))
}

/** An error loses its class on the way between threads; its fields stay. */
function asLedgerError(error: unknown): Error {
  const { code, message } = error as { code?: unknown; message: string }
  if (error instanceof LedgerError || typeof code !== 'string') return error as Error
  return new LedgerError(code as LedgerError['code'], message, { cause: error })
}
