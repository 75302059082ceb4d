/**
 * The one request at a time that wants another node to lead: asks the core thread, and answers when
 * the new leader is known. Invariant: the ticket is answered once, at the latest after its time.
 */
import type { Clock } from '@ringledger/base'
import { ResponseCode } from '@ringledger/protocol'
import type { CorePort } from './core-port-api.ts'
import { followerBrokerId } from './node-settings.ts'
import { type Answer, RequestError, type Ticket } from './request.ts'

/** The core thread gives up far earlier. */
const LIMIT_MS = 3_000

export interface LeaderTransferParts {
  readonly port: CorePort
  readonly clock: Clock
  answer(ticket: Ticket, answer: Answer): void
}

interface Waiting {
  readonly ticket: Ticket
  /** -1: any. */
  readonly brokerId: number
  readonly deadlineMs: number
}

export class LeaderTransfer {
  readonly #parts: LeaderTransferParts
  #waiting: Waiting | undefined

  constructor(parts: LeaderTransferParts) {
    this.#parts = parts
  }

  /**
   * The ticket is answered later. @throws RequestError CONTROLLER_ELECT_MASTER_FAILED while another
   * one waits.
   */
  start(ticket: Ticket, brokerId: number): void {
    if (this.#waiting !== undefined) throw failed('another transfer is under way')
    const { port, clock } = this.#parts
    this.#waiting = { ticket, brokerId, deadlineMs: clock.monotonicMs() + LIMIT_MS }
    port.transfer(brokerId)
  }

  /** A leader that is gone is followed by the role that names the next one. */
  onEnded(done: boolean, reason: string): void {
    if (!done) this.#fail(reason)
  }

  /** This node follows `leaderId` in `term`. */
  onFollows(leaderId: string, term: number): void {
    const waiting = this.#waiting
    if (waiting === undefined || leaderId === '') return
    const leader = followerBrokerId(leaderId)
    if (waiting.brokerId >= 0 && waiting.brokerId !== leader) {
      this.#fail(`${leaderId} leads now, which was not wanted`)
      return
    }
    this.#waiting = undefined
    this.#parts.answer(waiting.ticket, electedAnswer(leader, term))
  }

  expire(nowMs: number): void {
    const limit = this.#waiting?.deadlineMs ?? Number.POSITIVE_INFINITY
    if (nowMs >= limit) this.#fail(`no leader was seen for ${LIMIT_MS} ms`)
  }

  #fail(reason: string): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    const { code, message } = failed(reason)
    this.#parts.answer(waiting.ticket, { code, remark: message })
  }
}

/** Who leads, as a controller of RocketMQ answers; the epoch is the Raft term. */
export function electedAnswer(brokerId: number, term: number): Answer {
  const ext = {
    masterBrokerId: String(brokerId),
    masterEpoch: String(term),
    syncStateSetEpoch: String(term),
  }
  return { code: ResponseCode.SUCCESS, ext }
}

function failed(reason: string): RequestError {
  return new RequestError(
    ResponseCode.CONTROLLER_ELECT_MASTER_FAILED,
    `leadership was not handed over: ${reason}`,
  )
}
