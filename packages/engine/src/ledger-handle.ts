/**
 * A ledger as its importer has it: requests through rings, reads out of shared memory and files,
 * rare things by message. Owns what becomes of every promise when the ledger closes, halts or one
 * of its threads dies.
 */
import { LedgerError } from '@ringledger/base'
import type { Doorbell } from 'sharedarraybuffer-ringbuffer'
import type {
  Appended,
  Ledger,
  LedgerEntry,
  LedgerFailure,
  LedgerHandlers,
  LedgerRole,
  LedgerStatus,
  LogPoint,
  ReadOptions,
} from './ledger.ts'
import { AppendError } from './ledger-errors.ts'
import type { LedgerNote, LedgerOrder } from './ledger-notes.ts'
import { type LedgerStateReader, StateWord } from './ledger-state.ts'
import { makeStatus } from './ledger-status.ts'
import type { LogReads } from './log-reads.ts'
import type { RequestQueue } from './request-queue.ts'
import type { LedgerSettings } from './settings.ts'

export interface LedgerHandleParts {
  readonly settings: LedgerSettings
  readonly log: (level: 'info' | 'warn' | 'error', line: string) => void
  readonly queue: RequestQueue
  readonly reads: LogReads
  readonly state: LedgerStateReader
  /** Of the importer's thread. */
  readonly bell: Doorbell
  durablePosition(): number
  order(order: LedgerOrder): void
  /** Resolves when both threads have ended in order. */
  readonly ended: Promise<void>
  /** Ends both threads where they are. */
  terminate(): Promise<void>
}

interface Waiting<Value> {
  resolve(value: Value): void
  reject(error: unknown): void
}

/** A net under the doorbell's protocol, which loses no ring. */
const RECHECK_MS = 250

export class LedgerHandle implements Ledger {
  readonly #parts: LedgerHandleParts
  readonly #handlers = new Set<LedgerHandlers>()
  readonly #listening: { close(): void }
  #failure: LedgerFailure | undefined
  #storageFailure: LedgerFailure | undefined
  #transfer: Waiting<void> | undefined
  #trim: Waiting<{ firstIndex: number }> | undefined
  /** Trims follow one another. */
  #trims: Promise<unknown> = Promise.resolve()
  /** Readers that wait until the log has begun anew. */
  #awaitBeginning: (() => void)[] = []
  #toldPosition: number
  #closing: Promise<void> | undefined
  #closed: (() => void) | undefined
  #broken = false
  readonly #leaderWaits = new Set<() => void>()

  constructor(parts: LedgerHandleParts) {
    this.#parts = parts
    this.#toldPosition = parts.reads.committed.position
    this.#listening = parts.bell.listen(() => this.#onWake(), RECHECK_MS)
  }

  append(body: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Appended> {
    return this.#parts.queue.append(body, options?.signal)
  }

  appendBatch(bodies: readonly Uint8Array[]): Promise<Appended[]> {
    return this.#parts.queue.appendBatch(bodies)
  }

  read(
    from: { readonly index: number } | { readonly position: number },
    options?: ReadOptions,
  ): AsyncGenerator<LedgerEntry, void, undefined> {
    return this.#parts.reads.read(from, options)
  }

  get(index: number): Promise<LedgerEntry | undefined> {
    return this.#parts.reads.get(index)
  }

  readIndex(): Promise<LogPoint> {
    return this.#parts.queue.read()
  }

  async waitForLeader(options?: { readonly signal?: AbortSignal }): Promise<string> {
    const signal = options?.signal
    for (;;) {
      this.#requireLife()
      if (signal?.aborted) throw abortedError()
      const { leaderId } = this.status()
      if (leaderId !== undefined) return leaderId
      await new Promise<void>((resolve) => {
        this.#leaderWaits.add(resolve)
        signal?.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  subscribe(handlers: LedgerHandlers): () => void {
    const own = { ...handlers }
    this.#handlers.add(own)
    this.wantCommits()
    return () => {
      this.#handlers.delete(own)
      this.wantCommits()
    }
  }

  async transferLeadership(targetId?: string): Promise<void> {
    this.#requireLife()
    const { settings, order } = this.#parts
    const others = settings.members.filter(({ id }) => id !== settings.selfId)
    if (targetId !== undefined && !others.some(({ id }) => id === targetId)) {
      throw new LedgerError('BAD_REQUEST', `${targetId} is not another member of the group`)
    }
    const { role, leaderId } = this.status()
    if (role !== 'leader') {
      throw new AppendError('NOT_LEADER', 'this node does not lead', false, leaderId)
    }
    if (others.length === 0) throw new LedgerError('BAD_REQUEST', 'the group has no other member')
    if (this.#transfer !== undefined) throw new LedgerError('BUSY', 'a transfer is under way')
    await new Promise<void>((resolve, reject) => {
      this.#transfer = { resolve, reject }
      order({ kind: 'transfer', targetId })
    })
  }

  status(): LedgerStatus {
    const { settings, state, durablePosition } = this.#parts
    return makeStatus(settings, state, durablePosition(), this.#failure)
  }

  trimPrefix(throughIndex: number): Promise<{ firstIndex: number }> {
    const done = this.#trims.then(() => this.#trimNow(throughIndex))
    this.#trims = done.catch(() => {})
    return done
  }

  /** Resolves when the log's beginning stands still: no trim, and no new beginning. */
  async trimsSettled(): Promise<void> {
    await this.#trims
    this.#parts.state.refresh()
    if (this.#parts.state.get(StateWord.resetting) === 0) return
    await new Promise<void>((resolve) => this.#awaitBeginning.push(resolve))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Says to the consensus thread whether commits are waited for here. */
  wantCommits(): void {
    const { reads, state } = this.#parts
    const watched = [...this.#handlers].some(({ onCommit }) => onCommit !== undefined)
    state.wantCommits(watched || reads.wantsCommits)
  }

  onNote(note: LedgerNote): void {
    this.#parts.state.noteTaken()
    switch (note.kind) {
      case 'log':
        this.#parts.log(note.level, note.line)
        return
      case 'role':
        this.#onRole(note)
        return
      case 'storageFailed':
        this.#storageFailure = { file: note.file, error: note.error }
        return
      case 'halted':
        this.#onHalted(note.reason)
        return
      case 'diskFull':
        for (const { onDiskFull } of this.#handlers) onDiskFull?.(note.full)
        return
      case 'transferred':
        this.#onTransferred(note.done, note.reason)
        return
      case 'trimmed':
        this.#trim?.resolve({ firstIndex: note.firstIndex })
        this.#trim = undefined
        return
      case 'snapshotNeeded':
        this.#begun()
        for (const { onSnapshotNeeded } of this.#handlers) onSnapshotNeeded?.(note.firstIndex)
        return
      case 'closed':
        this.#closed?.()
        return
      default:
        return
    }
  }

  /** A thread has died: nothing will be answered any more. */
  onThreadFailed(reason: string): void {
    if (this.#broken) return
    this.#broken = true
    this.#onHalted(reason)
    this.#parts.queue.abandon()
    this.#closed?.()
  }

  async #close(): Promise<void> {
    const { queue, reads, order, ended, terminate } = this.#parts
    queue.end((mayCommit) => new AppendError('CLOSED', 'the ledger was closed', mayCommit))
    if (!this.#broken) {
      await new Promise<void>((resolve) => {
        this.#closed = resolve
        order({ kind: 'close' })
      })
    }
    this.#onWake()
    queue.abandon()
    reads.close()
    this.#failOrders(new LedgerError('CLOSED', 'the ledger was closed'))
    this.#listening.close()
    if (this.#broken) await terminate()
    else await ended
  }

  #onWake(): void {
    const { queue, reads } = this.#parts
    if (!this.#broken) queue.drain()
    reads.onCommit()
    const end = reads.committed
    if (end.position === this.#toldPosition) return
    this.#toldPosition = end.position
    for (const { onCommit } of this.#handlers) onCommit?.(end)
  }

  #onRole(note: { role: string; term: number; leaderId: string; reason: string }): void {
    const role = (note.role === 'preCandidate' ? 'candidate' : note.role) as LedgerRole
    const leaderId = note.leaderId === '' ? undefined : note.leaderId
    const event = { role, term: note.term, leaderId, reason: note.reason }
    for (const { onRole } of this.#handlers) onRole?.(event)
    this.#lookForLeader()
  }

  #onHalted(reason: string): void {
    if (this.#failure !== undefined) return
    this.#failure = this.#storageFailure ?? { file: '', error: reason }
    const message = `this node has left its group: ${reason}`
    this.#parts.queue.end((mayCommit) => new AppendError('HALTED', message, mayCommit))
    this.#failOrders(new LedgerError('HALTED', message))
    this.#parts.log('error', message)
    for (const { onHalted } of this.#handlers) onHalted?.(reason)
  }

  #onTransferred(done: boolean, reason: string): void {
    const transfer = this.#transfer
    this.#transfer = undefined
    if (done) transfer?.resolve()
    else transfer?.reject(new LedgerError('TIMEOUT', `leadership stays here: ${reason}`))
  }

  async #trimNow(throughIndex: number): Promise<{ firstIndex: number }> {
    this.#requireLife()
    const { reads, order } = this.#parts
    const { index } = reads.committed
    if (!Number.isSafeInteger(throughIndex) || throughIndex < -1 || throughIndex > index) {
      const message = `only committed entries can be trimmed: up to ${index}, not ${throughIndex}`
      throw new LedgerError('BAD_REQUEST', message)
    }
    const firstIndex = this.status().first.index
    if (throughIndex < firstIndex) return { firstIndex }
    return new Promise((resolve, reject) => {
      this.#trim = { resolve, reject }
      order({ kind: 'trim', throughIndex })
    })
  }

  #requireLife(): void {
    if (this.#failure !== undefined) {
      throw new AppendError('HALTED', `this node has left its group: ${this.#failure.error}`, false)
    }
    if (this.#closing !== undefined) throw new AppendError('CLOSED', 'the ledger was closed', false)
  }

  #begun(): void {
    const waiting = this.#awaitBeginning
    this.#awaitBeginning = []
    for (const resolve of waiting) resolve()
  }

  #failOrders(error: LedgerError): void {
    this.#begun()
    this.#transfer?.reject(error)
    this.#transfer = undefined
    this.#trim?.reject(error)
    this.#trim = undefined
    this.#lookForLeader()
  }

  #lookForLeader(): void {
    for (const look of this.#leaderWaits) look()
    this.#leaderWaits.clear()
  }
}

function abortedError(): AppendError {
  return new AppendError('ABORTED', 'the signal given fired', false)
}
