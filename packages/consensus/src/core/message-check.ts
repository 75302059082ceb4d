/**
 * Is this value, decoded from a peer's bytes, a message of this protocol? The machine compares and
 * adds what is in it, so nothing may enter it unchecked.
 */
import { type PeerMessage, VoteRefusal } from './messages.ts'

type Fields = Record<string, unknown>

const REFUSALS: ReadonlySet<unknown> = new Set(Object.values(VoteRefusal))
/** More terms than a batch of entries can hold; a bound for what a broken peer may send. */
const MAX_SPANS = 65_536

function isCount(value: unknown, low: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= low
}

function isSpan(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const span = value as Fields
  return isCount(span.term, 0) && isCount(span.firstPosition, 0) && isCount(span.firstIndex, 0)
}

const CHECKS: Record<PeerMessage['type'], (fields: Fields) => boolean> = {
  preVote: (fields) =>
    isCount(fields.nextTerm, 1) &&
    isCount(fields.lastTerm, -1) &&
    isCount(fields.endPosition, 0) &&
    typeof fields.priority === 'number' &&
    fields.priority >= 0 &&
    fields.priority < 1 &&
    isCount(fields.askedTick, 0),
  preVoteReply: (fields) =>
    isCount(fields.nextTerm, 1) &&
    isCount(fields.askedTick, 0) &&
    typeof fields.granted === 'boolean' &&
    REFUSALS.has(fields.reason),
  vote: (fields) =>
    isCount(fields.lastTerm, -1) &&
    isCount(fields.endPosition, 0) &&
    typeof fields.transfer === 'boolean',
  voteReply: (fields) => typeof fields.granted === 'boolean' && REFUSALS.has(fields.reason),
  append: (fields) =>
    isCount(fields.prevPosition, 0) &&
    isCount(fields.prevTerm, -1) &&
    isCount(fields.endPosition, 0) &&
    isCount(fields.lastIndex, -1) &&
    isCount(fields.commitPosition, 0) &&
    isCount(fields.round, 0) &&
    Array.isArray(fields.spans) &&
    fields.spans.length <= MAX_SPANS &&
    fields.spans.every(isSpan),
  appendReply: (fields) =>
    typeof fields.accepted === 'boolean' &&
    isCount(fields.matchPosition, 0) &&
    isCount(fields.endPosition, 0) &&
    isCount(fields.conflictTerm, -1) &&
    isCount(fields.round, -1) &&
    typeof fields.diskFull === 'boolean',
  install: (fields) =>
    isCount(fields.firstPosition, 0) && isCount(fields.firstIndex, 0) && isCount(fields.round, 0),
  timeoutNow: () => true,
}

/** True when every field is there, of its type and in its range. */
export function isPeerMessage(value: unknown): value is PeerMessage {
  if (typeof value !== 'object' || value === null) return false
  const fields = value as Fields
  if (typeof fields.from !== 'string' || typeof fields.to !== 'string') return false
  if (!isCount(fields.term, 0) || typeof fields.type !== 'string') return false
  if (!Object.hasOwn(CHECKS, fields.type)) return false
  return CHECKS[fields.type as PeerMessage['type']](fields)
}
