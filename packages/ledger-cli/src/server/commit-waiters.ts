/**
 * Requests that wait at the end of the log for the next entry. Owns the invariant that each ends
 * exactly once: by an entry, its time limit, or the end of this node's leadership.
 */
import { LedgerError } from '@ringledger/base'
import type { Ledger, LogPoint } from '@ringledger/engine'

interface Waiter {
  readonly index: number
  readonly resolve: (endIndex: number) => void
  readonly reject: (error: LedgerError) => void
  readonly timer: NodeJS.Timeout
}

export class CommitWaiters {
  readonly #waiters = new Set<Waiter>()
  readonly #unsubscribe: () => void
  #endIndex: number

  constructor(ledger: Ledger) {
    this.#endIndex = ledger.status().committed.index
    this.#unsubscribe = ledger.subscribe({
      onCommit: (end) => this.#onCommit(end),
      onRole: ({ role, leaderId }) => {
        if (role !== 'leader') this.#failAll(notLeader(leaderId))
      },
      onHalted: (reason) => this.#failAll(new LedgerError('HALTED', reason)),
    })
  }

  /**
   * Resolves with the last committed index once it is at least `index`, or when `waitMs` is over.
   * @throws LedgerError NOT_LEADER, HALTED, CLOSED
   */
  reach(index: number, waitMs: number): Promise<number> {
    if (this.#endIndex >= index) return Promise.resolve(this.#endIndex)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        resolve(this.#endIndex)
      }, waitMs)
      const waiter: Waiter = { index, resolve, reject, timer }
      this.#waiters.add(waiter)
    })
  }

  close(): void {
    this.#unsubscribe()
    this.#failAll(new LedgerError('CLOSED', 'the server stops'))
  }

  #onCommit({ index }: LogPoint): void {
    this.#endIndex = index
    for (const waiter of this.#waiters) {
      if (waiter.index > index) continue
      this.#waiters.delete(waiter)
      clearTimeout(waiter.timer)
      waiter.resolve(index)
    }
  }

  #failAll(error: LedgerError): void {
    for (const { timer, reject } of this.#waiters) {
      clearTimeout(timer)
      reject(error)
    }
    this.#waiters.clear()
  }
}

function notLeader(leaderId: string | undefined): LedgerError {
  const who = leaderId === undefined ? 'none is known' : `it is ${leaderId}`
  return new LedgerError('NOT_LEADER', `this node does not lead any more; ${who}`)
}
