/**
 * A request as handlers see it, and the answers they give.
 * Invariant: a ticket is answered at most once; a one-way ticket never.
 */

/**
 * What is needed to answer later: keep this, never the request (its body is only valid during the
 * call).
 */
export interface Ticket {
  readonly connectionId: number
  readonly opaque: number
  readonly oneWay: boolean
  readonly code: number
}

export interface BrokerRequest {
  readonly ticket: Ticket
  readonly code: number
  /** Version ordinal of the sender, rocketmq-remoting.md §1.5. */
  readonly version: number
  /** Upper-case name: JAVA, GO, … */
  readonly language: string
  readonly ext: Readonly<Record<string, string>>
  /** Valid only while the handler runs; copy what must live longer. */
  readonly body: Buffer
}

export interface Answer {
  /** A ResponseCode; 0 is success. */
  readonly code: number
  readonly remark?: string
  readonly ext?: Readonly<Record<string, string>>
  readonly body?: Buffer
}

export const SUCCESS: Answer = { code: 0 }

/** Thrown by a handler to answer with a RocketMQ error code; nothing is logged. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly code: number

  constructor(code: number, remark: string) {
    super(remark)
    this.code = code
  }
}
