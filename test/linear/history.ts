/**
 * The lines of a history as clients write and the checker reads them (checker/history.go). Owns the
 * rule that an operation's line is written the moment its answer is known, so that lines stand in
 * the order of their returns.
 */

/** `failed`: it must never have an effect. `unknown`: it may have one, at any time. */
export type Outcome = 'ok' | 'failed' | 'unknown'

export interface OperationLine {
  readonly kind: 'op'
  /** `register/N`, `log/N`, `ledger`, `queue/N`. */
  readonly object: string
  readonly client: number
  readonly node: string
  readonly op: OperationName
  /** ns of the machine's monotonic clock. */
  readonly call: number
  readonly return: number
  readonly outcome: Outcome
  readonly value?: number
  readonly expected?: number
  readonly position?: number
  readonly linear?: boolean
  readonly result?: number
  readonly applied?: boolean
  readonly length?: number
  readonly values?: readonly number[]
  readonly index?: number
  readonly term?: number
}

export type OperationName =
  | 'write'
  | 'cas'
  | 'read'
  | 'append'
  | 'last'
  | 'all'
  | 'get'
  | 'send'
  | 'pull'

/** Everything that is not an operation. */
export interface EventLine {
  /**
   * `close`: the object's operations are all recorded. `sweep` … `complete`: everything that was
   * acknowledged is read again between them. `start`: a process of the node is gone, another one
   * begins. `fault`: for people.
   */
  readonly kind: 'close' | 'sweep' | 'complete' | 'start' | 'fault'
  readonly words?: string
  readonly object?: string
  readonly node?: string
  readonly call?: number
}

/** Not part of a history: what the clients tell the run. */
export interface NoticeLine {
  readonly kind: 'leader' | 'ended'
  readonly node?: string
  /** At the end everything that was acknowledged could be read again. */
  readonly complete?: boolean
}

export type Line = OperationLine | EventLine | NoticeLine

export function nowNs(): number {
  return Number(process.hrtime.bigint())
}

/** Operations that may have changed something. */
export const CHANGES: ReadonlySet<OperationName> = new Set(['write', 'cas', 'append', 'send'])
