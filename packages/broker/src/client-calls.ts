/**
 * Requests that the broker sends to clients and waits for (running info, direct consumption). Owns
 * the invariant that every call ends once: with the client's answer, at its deadline, or when the
 * connection closes.
 */
import type { RemotingCommand } from '@ringledger/protocol'
import { type Deadlined, DeadlineHeap } from './deadline-heap.ts'

/** Undefined: no answer came in time, or the connection is gone. */
export type OnClientAnswer = (answer: RemotingCommand | undefined) => void

interface Call extends Deadlined {
  readonly connectionId: number
  readonly opaque: number
  readonly onAnswer: OnClientAnswer
}

const MAX_CALLS = 10_000

export class ClientCalls {
  readonly #calls = new Map<number, Call>()
  readonly #deadlines = new DeadlineHeap<Call>()

  get nextDeadlineMs(): number {
    return this.#deadlines.nextMs
  }

  /** False: too many calls are waiting. `opaque` must be new. */
  expect(
    connectionId: number,
    opaque: number,
    deadlineMs: number,
    onAnswer: OnClientAnswer,
  ): boolean {
    if (this.#calls.size >= MAX_CALLS) return false
    const call: Call = { connectionId, opaque, deadlineMs, heapIndex: -1, onAnswer }
    this.#calls.set(opaque, call)
    this.#deadlines.add(call)
    return true
  }

  /** A response frame of a client. One that nobody waits for is ignored. */
  onAnswer(connectionId: number, answer: RemotingCommand): void {
    const call = this.#calls.get(answer.opaque)
    if (call?.connectionId !== connectionId) return
    this.#end(call, answer)
  }

  expire(nowMs: number): void {
    for (let due = this.#deadlines.takeDue(nowMs); due !== undefined; ) {
      this.#end(due, undefined)
      due = this.#deadlines.takeDue(nowMs)
    }
  }

  dropConnection(connectionId: number): void {
    for (const call of [...this.#calls.values()]) {
      if (call.connectionId === connectionId) this.#end(call, undefined)
    }
  }

  #end(call: Call, answer: RemotingCommand | undefined): void {
    this.#calls.delete(call.opaque)
    this.#deadlines.remove(call)
    call.onAnswer(answer)
  }
}
