/**
 * Reads of the importer: one entry, a run of them, the tail as it grows. Invariant: what is given
 * out is committed, in order and without a gap; entries that open a term are passed over.
 */
import { LedgerError } from '@ringledger/base'
import {
  CHANNEL_NORMAL,
  ENTRY_HEADER_BYTES,
  entryChannel,
  entrySize,
  entryTerm,
} from '@ringledger/protocol'
import type { LedgerEntry, LogPoint, ReadOptions } from './ledger.ts'
import { AppendError } from './ledger-errors.ts'
import { type LedgerStateReader, StateWord } from './ledger-state.ts'
import type { LogBlock, LogBlocks, ReadPlace } from './log-blocks.ts'

/** What reading a file says that is deleted, cut or begun anew at that moment. */
const MAY_BE_TRIMMED: ReadonlySet<string> = new Set(['CORRUPT', 'DISK_FAILED', 'BAD_REQUEST'])

interface Waiter {
  /** Goes on once readers see the log beyond this position and index. */
  readonly position: number
  readonly index: number
  resolve(): void
  reject(error: unknown): void
}

export class LogReads {
  readonly #blocks: LogBlocks
  readonly #state: LedgerStateReader
  /** Somebody waits for commits, or no more. */
  readonly #onWanted: () => void
  #waiters: Waiter[] = []
  #closed = false

  constructor(blocks: LogBlocks, state: LedgerStateReader, onWanted: () => void) {
    this.#blocks = blocks
    this.#state = state
    this.#onWanted = onWanted
  }

  get wantsCommits(): boolean {
    return this.#waiters.length > 0
  }

  get committed(): LogPoint {
    this.#state.refresh()
    return {
      index: this.#state.get(StateWord.committedIndex),
      position: this.#state.get(StateWord.committedPosition),
    }
  }

  /** Readers see more of the log. */
  onCommit(): void {
    if (this.#waiters.length === 0) return
    const { index, position } = this.committed
    const met = this.#waiters.filter((one) => position > one.position && index > one.index)
    if (met.length === 0) return
    this.#waiters = this.#waiters.filter((one) => !met.includes(one))
    for (const waiter of met) waiter.resolve()
    this.#onWanted()
  }

  close(): void {
    this.#closed = true
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(closedError())
    this.#blocks.close()
  }

  async get(index: number): Promise<LedgerEntry | undefined> {
    requireWhole('index', index)
    this.#requireOpen()
    const { committed } = this
    if (index > committed.index) return undefined
    try {
      const position = await this.#blocks.positionOf(index)
      const place: ReadPlace = { position, index, chainCrc: undefined }
      const block = await this.#blocks.load(place, committed.position, true)
      this.#requireOpen()
      if (block === undefined || !this.#blocks.next(block, place)) {
        throw new LedgerError('CORRUPT', `entry ${index} is not whole`)
      }
      return entryAt(block, place)
    } catch (error) {
      return await this.#judge(error, index)
    }
  }

  async *read(
    from: { readonly index: number } | { readonly position: number },
    options: ReadOptions = {},
  ): AsyncGenerator<LedgerEntry, void, undefined> {
    const { untilIndex = Number.POSITIVE_INFINITY, follow = false, signal } = options
    const place = await this.#start(from, follow, signal)
    if (place === undefined) return
    const blocks = this.#blocks
    while (place.index <= untilIndex) {
      this.#goOn(signal)
      const { committed } = this
      if (place.position >= committed.position) {
        if (!follow) return
        await this.#beyond(place.position, -1, signal)
        continue
      }
      const block = await this.#load(place, committed.position)
      if (block === undefined) {
        if (!follow) return
        await this.#beyond(committed.position, -1, signal)
        continue
      }
      while (place.index <= untilIndex) {
        try {
          if (!blocks.next(block, place)) break
        } catch (error) {
          return await this.#judge(error, place.index)
        }
        const entry = entryAt(block, place)
        blocks.pass(block, place)
        if (entry === undefined) continue
        yield entry
        this.#goOn(signal)
      }
    }
  }

  async #load(place: ReadPlace, limit: number): Promise<LogBlock | undefined> {
    try {
      return await this.#blocks.load(place, limit, false)
    } catch (error) {
      return await this.#judge(error, place.index)
    }
  }

  /** What cannot be read may have been trimmed away meanwhile: then that is what is said. */
  async #judge(error: unknown, index: number): Promise<never> {
    if (error instanceof LedgerError && MAY_BE_TRIMMED.has(error.code)) {
      await this.#blocks.settle(index)
    }
    throw error
  }

  /** Undefined: there is nothing to read, and nothing is waited for. */
  async #start(
    from: { readonly index: number } | { readonly position: number },
    follow: boolean,
    signal: AbortSignal | undefined,
  ): Promise<ReadPlace | undefined> {
    this.#goOn(signal)
    if ('index' in from) {
      requireWhole('index', from.index)
      this.#blocks.requireKept(from.index)
      if (from.index > this.committed.index) {
        if (!follow) return undefined
        await this.#beyond(-1, from.index - 1, signal)
      }
      const position = await this.#blocks.positionOf(from.index)
      return { position, index: from.index, chainCrc: undefined }
    }
    requireWhole('position', from.position)
    if (from.position >= this.committed.position) {
      if (!follow) return undefined
      await this.#beyond(from.position, -1, signal)
    }
    const index = await this.#blocks.indexAt(from.position)
    return { position: await this.#blocks.positionOf(index), index, chainCrc: undefined }
  }

  #goOn(signal: AbortSignal | undefined): void {
    this.#requireOpen()
    if (signal?.aborted) throw abortedError()
  }

  #requireOpen(): void {
    if (this.#closed) throw closedError()
  }

  #beyond(position: number, index: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter)
        this.#onWanted()
        reject(abortedError())
      }
      const done = (): void => signal?.removeEventListener('abort', onAbort)
      const waiter: Waiter = {
        position,
        index,
        resolve: () => {
          done()
          resolve()
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      this.#waiters.push(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#onWanted()
      // What was committed before the wish was known came without a ring of the bell.
      this.onCommit()
    })
  }
}

/** Undefined for an entry that opens a term. */
function entryAt(block: LogBlock, place: ReadPlace): LedgerEntry | undefined {
  const { view, bytes } = block
  const offset = place.position - block.position
  if (entryChannel(view, offset) !== CHANNEL_NORMAL) return undefined
  return {
    index: place.index,
    term: entryTerm(view, offset),
    position: place.position,
    body: bytes.subarray(offset + ENTRY_HEADER_BYTES, offset + entrySize(view, offset)),
  }
}

function requireWhole(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw new LedgerError('BAD_REQUEST', `${name} must be a whole number from 0 on, not ${value}`)
}

function closedError(): AppendError {
  return new AppendError('CLOSED', 'the ledger was closed', false)
}

function abortedError(): AppendError {
  return new AppendError('ABORTED', 'the signal given with the read fired', false)
}
