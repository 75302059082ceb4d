/** Consumers that tail a topic in a thread of their own. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { PullOptions } from './pull-load.ts'

export class TailThread {
  readonly #worker: Worker

  private constructor(worker: Worker) {
    this.#worker = worker
  }

  /** Resolves when all of them read. @throws Error when a broker refuses. */
  static async start(options: PullOptions): Promise<TailThread> {
    const worker = new Worker(new URL('./tail.worker.ts', import.meta.url), {
      workerData: options,
    })
    await once(worker, 'message')
    return new TailThread(worker)
  }

  /** Messages that each consumer has got. @throws Error when one could not go on. */
  counts(): Promise<number[]> {
    return this.#ask('counts')
  }

  /** Ends them. @throws Error when one could not go on. */
  end(): Promise<number[]> {
    return this.#ask('end')
  }

  async #ask(what: 'counts' | 'end'): Promise<number[]> {
    const answer = once(this.#worker, 'message')
    this.#worker.postMessage(what)
    const [counts] = (await answer) as [number[]]
    return counts
  }
}
