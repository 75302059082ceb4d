/**
 * Opens a ledger: the IO thread first, since nobody may look at the log before its end is known,
 * then the consensus thread. Owns the order of a start, and what becomes of a start that fails.
 */
import { rmSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { LedgerError, workerUrl } from '@ringledger/base'
import { type Recovered, startIoWorker, storeLayout } from '@ringledger/io'
import { Doorbell, LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type { Ledger, LedgerLog, LedgerOptions } from './ledger.ts'
import { allocateRings, type LedgerRings } from './ledger-frames.ts'
import { LedgerHandle } from './ledger-handle.ts'
import type { LedgerNote, LedgerOrder, LedgerWorkerData } from './ledger-notes.ts'
import { settingsOf } from './ledger-options.ts'
import { allocateLedgerState, LedgerStateReader, type LedgerStateShared } from './ledger-state.ts'
import { LogBlocks } from './log-blocks.ts'
import { LogReads } from './log-reads.ts'
import { RequestQueue } from './request-queue.ts'
import type { LedgerSettings } from './settings.ts'
import { allocateLedgerShared, type LedgerShared } from './shared.ts'

/** An entry's header. */
const HEADER_BYTES = 48

/**
 * Opens a log, making its directory if there is none, and joins its group. Resolves once the log is
 * recovered and the port open; who leads is decided after that (`waitForLeader`). A group of one
 * leads by then. Consensus
 * and disk run in two threads of their own, so that a caller that blocks its event loop keeps its
 * leadership. The ledger keeps the process alive until it is closed.
 *
 * @throws LedgerError `BAD_CONFIG`; `PORT_BUSY`; `CORRUPT` when stored data that was acknowledged
 * is not readable (nothing is changed then); `BAD_REQUEST` when another ledger has the directory;
 * `DISK_FAILED`, `DISK_FULL`
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const settings = settingsOf(options)
  const log: LedgerLog = options.log ?? (() => {})
  const shared = allocateLedgerShared(settings)
  const io = await startIoWorker({
    config: settings.store,
    arena: shared.arena,
    port: shared.ioPort,
    coreDoorbell: shared.coreBell,
  })
  for (const line of io.recovered.report) log('info', line)
  const opening = new Opening(settings, shared, io.worker, io.recovered, log)
  const ledger = await opening.start()
  if (settings.members.length <= 1) await ledger.waitForLeader()
  return ledger
}

class Opening {
  readonly #settings: LedgerSettings
  readonly #shared: LedgerShared
  readonly #io: Worker
  readonly #core: Worker
  readonly #rings: LedgerRings
  readonly #state: LedgerStateShared
  readonly #log: LedgerLog
  #client: LedgerHandle | undefined
  /** The threads were told to end. */
  #ending = false

  constructor(
    settings: LedgerSettings,
    shared: LedgerShared,
    io: Worker,
    recovered: Recovered,
    log: LedgerLog,
  ) {
    this.#settings = settings
    this.#shared = shared
    this.#io = io
    this.#log = log
    this.#rings = allocateRings(settings.maxEntryBytes)
    this.#state = allocateLedgerState(Math.max(0, settings.members.length - 1))
    const { selfId } = settings
    this.#core = new Worker(workerUrl('./ledger.worker.ts', import.meta.url), {
      name: `ledger ${selfId}`,
      workerData: {
        settings,
        shared,
        rings: this.#rings,
        state: this.#state,
        recovered,
      } satisfies LedgerWorkerData,
    })
  }

  async start(): Promise<Ledger> {
    const ended = Promise.all([whenEnded(this.#io), whenEnded(this.#core)])
    const early: LedgerNote[] = []
    try {
      await new Promise<void>((resolve, reject) => {
        this.#core.on('message', (note: LedgerNote) => {
          if (this.#client === undefined) early.push(note)
          else this.#client.onNote(note)
          if (note.kind === 'joined') resolve()
        })
        this.#watch(this.#io, 'IO', reject)
        this.#watch(this.#core, 'consensus', reject)
      })
    } catch (error) {
      this.#ending = true
      // A consensus thread that fails has the store closed, which ends the IO thread.
      await Promise.race([ended, whenEnded(this.#io).then(() => this.#core.terminate())])
      throw error
    }
    const client = this.#makeClient(ended.then(() => {}))
    this.#client = client
    for (const note of early) client.onNote(note)
    return client
  }

  #makeClient(ended: Promise<void>): LedgerHandle {
    const settings = this.#settings
    const state = new LedgerStateReader(this.#state)
    const arena = new LogArena(this.#shared.arena)
    const { store, segmentBytes } = settings
    const trims = async (): Promise<void> => this.#client?.trimsSettled()
    const onDamage = (position: number): void => {
      this.#core.postMessage({ kind: 'check', position } satisfies LedgerOrder)
    }
    const blocks = new LogBlocks({ arena, state, store, segmentBytes, trims, onDamage })
    const reads = new LogReads(blocks, state, () => this.#client?.wantCommits())
    const memberIds =
      settings.members.length === 0 ? [settings.selfId] : settings.members.map(({ id }) => id)
    const queue = new RequestQueue({
      requests: new SpscRing(this.#rings.requests),
      answers: new SpscRing(this.#rings.answers),
      coreBell: new Doorbell(this.#shared.coreBell),
      memberIds,
      maxBodyBytes: settings.maxEntryBytes - HEADER_BYTES,
    })
    return new LedgerHandle({
      settings,
      log: this.#log,
      queue,
      reads,
      state,
      bell: new Doorbell(this.#rings.bell),
      durablePosition: () => arena.durable,
      order: (order: LedgerOrder) => {
        if (order.kind === 'close') this.#ending = true
        this.#core.postMessage(order)
      },
      ended,
      terminate: () => this.#terminate(),
    })
  }

  #watch(worker: Worker, name: string, reject: (error: Error) => void): void {
    const failed = (error: Error): void => {
      reject(error)
      this.#client?.onThreadFailed(`the ${name} thread: ${error.message}`)
    }
    worker.once('error', (error) => failed(asLedgerError(error)))
    worker.once('exit', (exitCode) => {
      if (this.#ending && exitCode === 0) return
      failed(new LedgerError('CLOSED', `it ended with ${exitCode}`))
    })
  }

  /** After the death of one of the threads. The store is left as by a killed process. */
  async #terminate(): Promise<void> {
    await Promise.all([this.#io.terminate(), this.#core.terminate()])
    // This process lives on, and would hold the store for ever.
    rmSync(storeLayout(this.#settings.store).lockPath, { force: true })
  }
}

function whenEnded(worker: Worker): Promise<void> {
  return new Promise((resolve) => worker.once('exit', () => resolve()))
}

/** An error loses its class on the way between threads; its fields stay. */
function asLedgerError(error: unknown): Error {
  const { code, message } = error as { code?: unknown; message: string }
  if (error instanceof LedgerError || typeof code !== 'string') return error as Error
  return new LedgerError(code as LedgerError['code'], message, { cause: error })
}
