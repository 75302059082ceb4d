/**
 * What a member does with its copy of the old commit log, from what all of them say of theirs.
 * Pure, and the same for every member that heard the same. Owns the rules: a group begins on the
 * copy that most of the given copies are equal to or a beginning of, and never on a shorter one; it
 * begins when all members were heard; a copy that differs never joins.
 */
import { type CopyVerdict, compareReports } from '@ringledger/upgrade'
import type { CopyState } from './copy.ts'

export type OldLogDecision =
  | { readonly kind: 'wait'; readonly for: readonly string[] }
  /** This copy is whole, or nobody has any. */
  | { readonly kind: 'start' }
  /** Get the rest from one of `sources`, whose copies are equal to `reference`. */
  | {
      readonly kind: 'complete'
      readonly reference: CopyState
      readonly sources: readonly string[]
    }
  /** `than`: the member whose copy this one cannot be joined with. */
  | { readonly kind: 'refuse'; readonly than: string; readonly verdict: Relation }

/** How a copy stands to another one. */
export type Relation = CopyVerdict | { readonly kind: 'ahead' }

const BEHIND: ReadonlySet<string> = new Set(['empty', 'prefix', 'incomplete'])

/** `copies`: of every member that was heard, `selfId` among them. */
export function decideOldLog(
  selfId: string,
  copies: ReadonlyMap<string, CopyState>,
  unheard: readonly string[],
): OldLogDecision {
  const formed = [...copies].filter(([id, copy]) => copy.formed && id !== selfId)
  if (formed.length > 0) return join(selfId, copies, longest(formed))
  if (unheard.length > 0) return { kind: 'wait', for: unheard }
  const given = [...copies].filter(([, { report }]) => report.messages > 0)
  if (given.length === 0) return { kind: 'start' }
  const reference = chooseReference(given)
  if (reference === undefined) {
    const own = copies.get(selfId) as CopyState
    const other = given.find(([id, copy]) => id !== selfId && !isUsable(relation(own, copy)))
    const [than, against] = other ?? given[0]!
    return { kind: 'refuse', than, verdict: relation(own, against) }
  }
  return join(selfId, copies, reference)
}

/** The copy that a strict majority of the given ones is equal to or a beginning of. */
function chooseReference(
  given: readonly (readonly [string, CopyState])[],
): readonly [string, CopyState] | undefined {
  let best: { member: readonly [string, CopyState]; supporters: number } | undefined
  for (const member of given) {
    const supporters = given.filter(([, copy]) => isUsable(relation(copy, member[1]))).length
    const isBetter =
      best === undefined ||
      supporters > best.supporters ||
      (supporters === best.supporters &&
        member[1].report.endOffset > best.member[1].report.endOffset)
    if (isBetter) best = { member, supporters }
  }
  return best !== undefined && best.supporters * 2 > given.length ? best.member : undefined
}

function join(
  selfId: string,
  copies: ReadonlyMap<string, CopyState>,
  [than, reference]: readonly [string, CopyState],
): OldLogDecision {
  const own = copies.get(selfId) as CopyState
  const verdict = relation(own, reference)
  if (verdict.kind === 'same') return { kind: 'start' }
  if (!BEHIND.has(verdict.kind)) return { kind: 'refuse', than, verdict }
  const sources = [...copies]
    .filter(([id, copy]) => id !== selfId && relation(copy, reference).kind === 'same')
    .map(([id]) => id)
  return { kind: 'complete', reference, sources }
}

function longest(members: readonly (readonly [string, CopyState])[]): readonly [string, CopyState] {
  return members.reduce((best, next) =>
    next[1].report.endOffset > best[1].report.endOffset ? next : best,
  )
}

function isUsable({ kind }: Relation): boolean {
  return kind === 'same' || BEHIND.has(kind)
}

/** How `copy` stands to `reference`. */
export function relation(copy: CopyState, reference: CopyState): Relation {
  if (copy.report === reference.report) return { kind: 'same' }
  const compared = compareReports([copy.report, reference.report])
  const verdict = compared.copies[0]?.verdict ?? { kind: 'same' }
  const isMeasured = isReference(copy, reference)
  if (!isMeasured) return verdict
  if (verdict.kind === 'same') return verdict
  // What the reference's retention took away is no loss.
  const coversIt = copy.report.endOffset === reference.report.endOffset
  if (verdict.kind === 'incomplete' && coversIt) return { kind: 'same' }
  return BEHIND.has(verdict.kind) ? { kind: 'ahead' } : verdict
}

/** Whether a comparison measures the other copy against `copy`. */
function isReference(copy: CopyState, other: CopyState): boolean {
  const [left, right] = [copy.report, other.report]
  if (left.endOffset !== right.endOffset) return left.endOffset > right.endOffset
  return left.messages >= right.messages
}
