/**
 * What members say to each other about their copies of the old commit log, over the connections of
 * the group. Owns the check of what comes from a peer.
 */
import type { ForeignMessage } from '@ringledger/engine'

/** What may be asked for; the answer's bytes are its payload. */
export const CopyQuestion = {
  /** JSON: a `CopyState`, with digests at `digestAt`. */
  STATE: 'state',
  /** The log's bytes from `position` on, within one file. */
  READ: 'read',
  /** JSON: the tables of `config/`, by name. */
  TABLES: 'tables',
} as const
export type CopyQuestion = (typeof CopyQuestion)[keyof typeof CopyQuestion]

export interface CopyAsk extends ForeignMessage {
  readonly type: 'oldLogAsk'
  /** Comes back with the answer. */
  readonly id: number
  readonly question: CopyQuestion
  readonly position: number
  readonly sizeBytes: number
  readonly digestAt: readonly number[]
}

export interface CopyAnswer extends ForeignMessage {
  readonly type: 'oldLogAnswer'
  readonly id: number
  /** Why there is no answer; empty when there is. */
  readonly refusal: string
}

/** At most so much is read at once. */
export const MAX_READ_BYTES: number = 4 * 1024 * 1024
const MAX_DIGESTS = 64
const QUESTIONS: readonly unknown[] = Object.values(CopyQuestion)

export function isCopyAsk(message: ForeignMessage): message is CopyAsk {
  const { type, id, question, position, sizeBytes, digestAt } = message as Partial<CopyAsk>
  return (
    type === 'oldLogAsk' &&
    isCount(id) &&
    QUESTIONS.includes(question) &&
    isCount(position) &&
    isCount(sizeBytes) &&
    sizeBytes <= MAX_READ_BYTES &&
    Array.isArray(digestAt) &&
    digestAt.length <= MAX_DIGESTS &&
    digestAt.every(isCount)
  )
}

export function isCopyAnswer(message: ForeignMessage): message is CopyAnswer {
  const { type, id, refusal } = message as Partial<CopyAnswer>
  return type === 'oldLogAnswer' && isCount(id) && typeof refusal === 'string'
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
