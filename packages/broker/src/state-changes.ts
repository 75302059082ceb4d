/**
 * Proposes state records and tells when they took effect. Owns the rule that a change counts as
 * done only after its record has committed *and* was applied on this node. Of a plain log, which
 * has no records, it takes effect in the next duty, and is saved with the tables as Apache saves
 * it.
 */
import { type Clock, type ErrorCode, LedgerError } from '@ringledger/base'
import type { AppendResult, CorePort } from './core-port-api.ts'
import { encodeStateMessage, type StateRecord } from './state/records.ts'

/** Undefined: applied. Otherwise why not; LEADERSHIP_LOST and CLOSED may still take effect. */
export type ChangeFailure = { readonly code: ErrorCode; readonly message: string } | undefined
export type OnChange = (failure: ChangeFailure) => void

interface Waiting {
  readonly endPosition: number
  /** Not in a log: takes effect when it is settled. */
  readonly record?: StateRecord
  readonly onDone: OnChange
}

/** Changes that may be under way at once. */
const MAX_PENDING = 10_000
const BUSY: ChangeFailure = { code: 'BUSY', message: 'too many changes are under way' }

export interface StateChangesOptions {
  readonly port: CorePort
  readonly clock: Clock
  readonly storeHost: Buffer
  /** Refuses a record that would break a limit. */
  check(record: StateRecord): void
  /** Of a plain log, where records are in no log: one takes effect now. */
  applyHere?: ((record: StateRecord) => void) | undefined
  /** Position up to which this node has applied the log. */
  dispatchedPosition(): number
}

export class StateChanges {
  readonly #options: StateChangesOptions
  /** In log order, because appends complete in the order of the log. */
  #waiting: Waiting[] = []
  #pending = 0

  constructor(options: StateChangesOptions) {
    this.#options = options
  }

  /** There is something that `settle` need not wait for. */
  get ready(): boolean {
    return this.#options.applyHere !== undefined && this.#waiting.length > 0
  }

  get size(): number {
    return this.#pending
  }

  /**
   * A failure that is returned means that nothing was written and `onDone` will not be called.
   * Otherwise `onDone` is called once, during a later duty.
   */
  propose(record: StateRecord, onDone: OnChange): ChangeFailure {
    const { port, clock, storeHost, applyHere } = this.#options
    const refusal = this.#refusal(record)
    if (refusal !== undefined) return refusal
    if (this.#pending >= MAX_PENDING) return BUSY
    if (applyHere !== undefined) {
      this.#pending += 1
      this.#waiting.push({ endPosition: 0, record, onDone })
      return undefined
    }
    const message = encodeStateMessage(record, storeHost, clock.wallMs())
    if (!port.append(-1, message, (result) => this.#onAppended(result, onDone))) return BUSY
    this.#pending += 1
    return undefined
  }

  /** Tells those whose record has been applied. True if there were any. */
  settle(): boolean {
    const position = this.#options.dispatchedPosition()
    let settled = 0
    for (const waiting of this.#waiting) {
      if (waiting.endPosition > position) break
      settled += 1
    }
    if (settled === 0) return false
    const done = this.#waiting.slice(0, settled)
    this.#waiting = this.#waiting.slice(settled)
    this.#pending -= settled
    for (const { record, onDone } of done) {
      if (record !== undefined) this.#options.applyHere?.(record)
      onDone(undefined)
    }
    return true
  }

  #onAppended(result: AppendResult, onDone: OnChange): void {
    if (result.ok) {
      this.#waiting.push({ endPosition: result.endPosition, onDone })
      return
    }
    this.#pending -= 1
    // What was ordered before leadership moved may be in the new leader's log.
    const lost = result.code === 'LEADERSHIP_LOST' || result.code === 'CLOSED'
    const message = lost
      ? `leadership moved during the change; it may or may not take effect: ${result.code}`
      : `the change was not written: ${result.code}`
    onDone({ code: result.code, message })
  }

  #refusal(record: StateRecord): ChangeFailure {
    try {
      this.#options.check(record)
    } catch (error) {
      if (error instanceof LedgerError) return { code: error.code, message: error.message }
      throw error
    }
    return undefined
  }
}
