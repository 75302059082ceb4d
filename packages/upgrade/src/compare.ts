/**
 * Compares copies of a group's log by their reports. Owns the verdict: the same, one is the
 * beginning of the other, they differ from somewhere on, or the reports cannot tell. It never
 * guesses: equal digests prove equality, unequal ones difference, and nothing else proves anything.
 */
import type { FileReport, Mark, StoreReport } from './report.ts'

export type CopyVerdict =
  /** Byte for byte the same data. */
  | { readonly kind: 'same' }
  /** This copy is the beginning of the reference. */
  | {
      readonly kind: 'prefix'
      readonly missingBytes: number
      /** Undefined when the reports do not say how many messages there are behind its end. */
      readonly missingMessages?: number
    }
  /** Nothing is there: an empty server. */
  | { readonly kind: 'empty' }
  /** What both have is equal, but this copy lacks the beginning or a file in the middle. */
  | { readonly kind: 'incomplete'; readonly missingFiles: readonly string[] }
  /** The data differs, at the earliest at `fromOffset` and before `beforeOffset`. */
  | {
      readonly kind: 'different'
      readonly file: string
      readonly fromOffset: number
      readonly beforeOffset: number
    }
  /** Files of another size: the copies cannot be members of one group. */
  | { readonly kind: 'otherSegments' }
  /** Equal as far as the digests reach; a digest of the reference at `atOffset` would decide. */
  | { readonly kind: 'undecided'; readonly atOffset: number }

/** A table under `config/` that is not equal to the reference's. */
export interface TableDifference {
  readonly name: string
  readonly onlyHere: readonly string[]
  readonly onlyInReference: readonly string[]
}

export interface CopyComparison {
  readonly store: string
  readonly verdict: CopyVerdict
  readonly tables: readonly TableDifference[]
}

export interface Comparison {
  /** The copy with the longest log; the others are measured against it. */
  readonly reference: string
  readonly copies: readonly CopyComparison[]
}

/** Compares two reports or more. The first of several equally long copies is the reference. */
export function compareReports(reports: readonly StoreReport[]): Comparison {
  const [first, ...rest] = reports
  if (first === undefined) throw new RangeError('there is nothing to compare')
  const reference = rest.reduce((best, next) => (isBetter(next, best) ? next : best), first)
  return {
    reference: reference.store,
    copies: reports
      .filter((report) => report !== reference)
      .map((report) => ({
        store: report.store,
        verdict: compareLogs(report, reference),
        tables: isEmpty(report) ? [] : compareTables(report, reference),
      })),
  }
}

/** More of the log; of two that reach as far, the one that begins earlier. */
function isBetter(next: StoreReport, best: StoreReport): boolean {
  if (next.endOffset !== best.endOffset) return next.endOffset > best.endOffset
  return next.messages > best.messages
}

function isEmpty(report: StoreReport): boolean {
  return report.messages === 0
}

function compareLogs(copy: StoreReport, reference: StoreReport): CopyVerdict {
  if (isEmpty(copy)) return isEmpty(reference) ? { kind: 'same' } : { kind: 'empty' }
  if (copy.segmentBytes !== reference.segmentBytes) return { kind: 'otherSegments' }
  const missingFiles: string[] = []
  for (const file of reference.files) {
    if (file.messages === 0 || file.offset >= copy.endOffset) continue
    const own = copy.files.find(({ offset }) => offset === file.offset)
    if (own === undefined) {
      missingFiles.push(file.name)
      continue
    }
    const verdict = compareFiles(own, file, copy, reference)
    if (verdict !== undefined) return verdict
  }
  if (missingFiles.length > 0) return { kind: 'incomplete', missingFiles }
  if (copy.endOffset === reference.endOffset) return { kind: 'same' }
  return prefixOf(copy, reference)
}

/** Undefined: equal as far as the copy reaches. */
function compareFiles(
  own: FileReport,
  other: FileReport,
  copy: StoreReport,
  reference: StoreReport,
): CopyVerdict | undefined {
  if (own.endOffset === other.endOffset && own.digest === other.digest) return undefined
  const [low, high] = differingRange(own, other)
  const different = { kind: 'different', file: own.name } as const
  if (high < Math.min(own.endOffset, other.endOffset)) {
    return { ...different, fromOffset: low, beforeOffset: high }
  }
  const unequal = firstUnequalMessage(own, other, low)
  if (unequal !== undefined && unequal < own.endOffset) {
    return { ...different, fromOffset: unequal, beforeOffset: unequal + 1 }
  }
  const isLast = own.offset + reference.segmentBytes >= copy.endOffset
  if (own.endOffset === other.endOffset || !isLast || own.endOffset > other.endOffset) {
    const beforeOffset = Math.max(own.endOffset, other.endOffset)
    return { ...different, fromOffset: low, beforeOffset }
  }
  if (unequal !== undefined) return undefined
  const mark = other.marks.find(({ offset }) => offset === own.endOffset)
  if (mark === undefined) return { kind: 'undecided', atOffset: own.endOffset }
  if (mark.digest === own.digest) return undefined
  return { ...different, fromOffset: low, beforeOffset: own.endOffset }
}

/**
 * Where the first message begins that the two do not share; the copy's end when it has none.
 * Undefined when the newest messages of both, listed one by one, do not reach down to `low`.
 */
function firstUnequalMessage(own: FileReport, other: FileReport, low: number): number | undefined {
  const [ownFirst, otherFirst] = [own.tail?.[0], other.tail?.[0]]
  if (own.tail === undefined || other.tail === undefined) return undefined
  if (ownFirst === undefined || otherFirst === undefined) return undefined
  if (Math.max(ownFirst.offset, otherFirst.offset) > low) return undefined
  const theirs = new Map(other.tail.map(({ offset, digest }) => [offset, digest]))
  const from = otherFirst.offset
  const unequal = own.tail.find(({ offset, digest }) => {
    return offset >= from && theirs.get(offset) !== digest
  })
  return unequal?.offset ?? own.endOffset
}

/** Digests are of everything before: between the last equal and the first unequal one it is. */
function differingRange(own: FileReport, other: FileReport): [low: number, high: number] {
  let low = own.offset
  for (const { offset, digest } of own.marks) {
    const same = other.marks.find((mark: Mark) => mark.offset === offset)
    if (same === undefined) continue
    if (same.digest !== digest) return [low, offset]
    low = offset
  }
  return [low, Number.POSITIVE_INFINITY]
}

function prefixOf(copy: StoreReport, reference: StoreReport): CopyVerdict {
  const missingBytes = reference.endOffset - copy.endOffset
  const complete = copy.firstOffset === reference.firstOffset
  return complete
    ? { kind: 'prefix', missingBytes, missingMessages: reference.messages - copy.messages }
    : { kind: 'prefix', missingBytes }
}

function compareTables(copy: StoreReport, reference: StoreReport): TableDifference[] {
  return reference.config.flatMap(({ name, entries }) => {
    const own = new Set(copy.config.find((table) => table.name === name)?.entries ?? [])
    const theirs = new Set(entries)
    const onlyHere = [...own].filter((entry) => !theirs.has(entry))
    const onlyInReference = [...theirs].filter((entry) => !own.has(entry))
    if (onlyHere.length + onlyInReference.length === 0) return []
    return [{ name, onlyHere, onlyInReference }]
  })
}
