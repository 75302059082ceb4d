/** Errors of a ledger that say more than their code. */
import { type ErrorCode, LedgerError } from '@ringledger/base'

/**
 * Why an entry was not acknowledged. `mayCommit`: it may be in the log nevertheless, now or later.
 */
export class AppendError extends LedgerError {
  readonly mayCommit: boolean
  /** With `NOT_LEADER`: who leads, if that is known. */
  readonly leaderId: string | undefined

  constructor(code: ErrorCode, message: string, mayCommit: boolean, leaderId?: string) {
    super(code, message)
    this.mayCommit = mayCommit
    this.leaderId = leaderId
  }

  override get mayStillCommit(): boolean {
    return this.mayCommit
  }
}

/** The wanted entry was trimmed here: a snapshot of the caller's holds what it did. */
export class TrimmedError extends LedgerError {
  /** The oldest index that is kept. */
  readonly firstIndex: number

  constructor(firstIndex: number) {
    super('TRIMMED', `the log begins at index ${firstIndex} here; what was before is in snapshots`)
    this.firstIndex = firstIndex
  }
}
