/**
 * The network workers of a process as its main thread handles them: started together on one port,
 * drained before the core and broker threads end, ended after.
 */
import type { Worker } from 'node:worker_threads'
import { probePort } from '@ringledger/network'
import { type BrokerThreads, whenEnded } from './broker-threads.ts'
import type { NodeSettings } from './node-settings.ts'
import type { NetworkNote, NetworkOrder, NetworkWorkerData, SharedParts } from './wiring.ts'

type Log = (level: 'info' | 'warn' | 'error', line: string) => void

interface NetworkWorker {
  readonly thread: Worker
  readonly drained: Promise<void>
}

export class NetworkWorkers {
  readonly #threads: BrokerThreads
  readonly #log: Log
  #workers: NetworkWorker[] = []

  constructor(threads: BrokerThreads, log: Log) {
    this.#threads = threads
    this.#log = log
  }

  /** Resolves with the clients' port. @throws LedgerError PORT_BUSY, BAD_CONFIG */
  async start(settings: NodeSettings, shared: SharedParts): Promise<number> {
    const port = await probePort({ host: settings.bindAddress, port: settings.listenPort })
    this.#workers = await Promise.all(
      shared.fronts.map((_, number) => this.#start({ settings, shared, number, port })),
    )
    return port
  }

  /** Closes the port and the clients' connections; the rings are still read. */
  async drain(): Promise<void> {
    await Promise.all(
      this.#workers.map(({ thread, drained }) => {
        order(thread, { kind: 'close' })
        return Promise.race([drained, whenEnded(thread)])
      }),
    )
  }

  /** Once nobody writes to the rings any more. */
  async end(): Promise<void> {
    await Promise.all(
      this.#workers.map(({ thread }) => {
        const ended = whenEnded(thread)
        order(thread, { kind: 'end' })
        return ended
      }),
    )
  }

  async #start(data: NetworkWorkerData): Promise<NetworkWorker> {
    let onDrained: () => void = () => {}
    const drained = new Promise<void>((resolve) => {
      onDrained = resolve
    })
    const thread = await this.#threads.start<NetworkNote>({
      name: `network-${data.number}`,
      entry: new URL('./network.worker.ts', import.meta.url),
      data,
      until: 'listening',
      onNote: (note) => {
        if (note.kind === 'log') this.#log(note.level, note.line)
        if (note.kind === 'drained') onDrained()
      },
    })
    return { thread, drained }
  }
}

function order(worker: Worker, what: NetworkOrder): void {
  worker.postMessage(what)
}
