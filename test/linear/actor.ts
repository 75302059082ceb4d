/**
 * One client of a history: it does one thing at a time and records it. Owns the times: a call's is
 * taken before its first byte is sent, a return's after its answer was read.
 */
import type { Random } from '@ringledger/base'
import {
  CHANGES,
  type Line,
  nowNs,
  type OperationLine,
  type OperationName,
  type Outcome,
} from './history.ts'
import type { NodeAnswer } from './line-link.ts'

export interface Operation {
  readonly object: string
  readonly op: OperationName
  readonly value?: number
  readonly expected?: number
  readonly position?: number
  readonly count?: number
  readonly linear?: boolean
}

/** Asks one node; the answer has `outcome` and the fields of a history's line. */
export type Perform = (nodeId: string, operation: Operation, limitMs: number) => Promise<NodeAnswer>

export interface ActorOptions {
  readonly number: number
  readonly nodeIds: readonly string[]
  readonly random: Random
  readonly perform: Perform
  readonly say: (line: Line) => void
  /** Shared by all actors. */
  readonly belief: Belief
}

/** Who did last what only a leader does; undefined when it refused since. */
export interface Belief {
  leader: string | undefined
}

const PATIENT_LIMIT_MS = 3500
const LIMIT_MS = 600
/** Of ten operations, so many go to the node that seems to lead. */
const TO_LEADER = 0.65
/** Reads that only a leader answers. */
const LED: ReadonlySet<OperationName> = new Set(['read', 'last', 'all'])
const ANSWER_FIELDS = [
  'position',
  'length',
  'result',
  'applied',
  'values',
  'index',
  'term',
] as const

export class Actor {
  readonly #options: ActorOptions

  constructor(options: ActorOptions) {
    this.#options = options
  }

  get random(): Random {
    return this.#options.random
  }

  /** Some node: mostly the one that leads, often enough one that may still think it does. */
  someNode(): string {
    const { random, nodeIds, belief } = this.#options
    if (belief.leader !== undefined && random() < TO_LEADER) return belief.leader
    return oneOf(nodeIds, random)
  }

  async do(operation: Operation, nodeId: string = this.someNode()): Promise<OperationLine> {
    const { number, perform, say, belief } = this.#options
    // A third of the clients waits for answers of nodes that stood still: those are the stale ones.
    const limitMs = number % 3 === 0 ? PATIENT_LIMIT_MS : LIMIT_MS
    const call = nowNs()
    const answer = await perform(nodeId, operation, limitMs)
    const { count: _, ...asked } = operation
    const outcome = answer.outcome as Outcome
    const line: OperationLine = {
      kind: 'op',
      client: number,
      node: nodeId,
      ...asked,
      ...(outcome === 'ok' ? fieldsOf(answer) : {}),
      outcome,
      call,
      return: nowNs(),
    }
    // Reads without an answer, and those that a node refused, say nothing.
    const changes = CHANGES.has(operation.op)
    if (changes || outcome === 'ok') say(line)
    if (outcome === 'ok' && (changes || LED.has(operation.op) || operation.linear === true)) {
      this.#believe(nodeId)
    } else if (outcome === 'failed' && belief.leader === nodeId) belief.leader = undefined
    return line
  }

  #believe(nodeId: string): void {
    const { belief, say } = this.#options
    if (belief.leader === nodeId) return
    belief.leader = nodeId
    say({ kind: 'leader', node: nodeId })
  }
}

function fieldsOf(answer: NodeAnswer): Partial<OperationLine> {
  const known = ANSWER_FIELDS.filter((name) => answer[name] !== undefined)
  return Object.fromEntries(known.map((name) => [name, answer[name]]))
}

export function oneOf<Value>(values: readonly Value[], random: Random): Value {
  const value = values[Math.floor(random() * values.length)]
  if (value === undefined) throw new Error('nothing to choose from')
  return value
}
