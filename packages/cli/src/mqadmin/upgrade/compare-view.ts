/** The verdict over copies of a group, in words that say what to do. */
import {
  type Comparison,
  type CopyComparison,
  type Difference,
  findDifference,
  type StoreReport,
} from '@ringledger/upgrade'
import type { Section, View } from '../view.ts'
import { messageText, problemLines } from './check-view.ts'

/** Exit codes; `commands.ts` says to operators what they mean. */
export const UpgradeExit = { READY: 0, INCOMPLETE: 2, DIFFERENT: 3, UNDECIDED: 4 } as const

const SHOWN_ENTRIES = 5
const COMPLETED = ': its member gets that at its first start in the group.'

/** For stores at hand: the message from which each copy differs. `paths` by the store's name. */
export function findDifferences(
  { reference, copies }: Comparison,
  paths: ReadonlyMap<string, string>,
): Map<string, Difference> {
  const found = new Map<string, Difference>()
  const referencePath = paths.get(reference)
  for (const { store, verdict } of copies) {
    const path = paths.get(store)
    if (verdict.kind !== 'different' || path === undefined || referencePath === undefined) continue
    const difference = findDifference({ root: referencePath }, { root: path }, verdict.file)
    if (difference !== undefined) found.set(store, difference)
  }
  return found
}

/** What scripts go by: the worst of all copies. */
export function verdictExit({ copies }: Comparison, reports: readonly StoreReport[]): number {
  const blocked = reports.some(({ problems }) => problems.some(({ blocks }) => blocks))
  const kinds = copies.map(({ verdict }) => verdict.kind)
  if (blocked || kinds.some((kind) => kind === 'different' || kind === 'otherSegments')) {
    return UpgradeExit.DIFFERENT
  }
  if (kinds.includes('undecided')) return UpgradeExit.UNDECIDED
  const equal = copies.every(
    ({ verdict, tables }) => verdict.kind === 'same' && tables.length === 0,
  )
  return equal ? UpgradeExit.READY : UpgradeExit.INCOMPLETE
}

export function compareView(
  comparison: Comparison,
  reports: readonly StoreReport[],
  differences: ReadonlyMap<string, Difference>,
): View {
  const sections: Section[] = [
    { kind: 'text', text: `Measured against ${comparison.reference}, which has the longest log.` },
    ...comparison.copies.map((copy) => copySection(copy, differences.get(copy.store))),
    ...reports.flatMap(problemSection),
    { kind: 'text', text: conclusion(verdictExit(comparison, reports)) },
  ]
  return {
    json: { ...comparison, differences: Object.fromEntries(differences) },
    sections,
  }
}

function copySection(copy: CopyComparison, difference: Difference | undefined): Section {
  const lines = [`${copy.store}: ${verdictText(copy, difference)}`]
  for (const { name, onlyHere, onlyInReference } of copy.tables) {
    lines.push(`  config/${name} differs:`)
    lines.push(...entries('only here', onlyHere), ...entries('missing here', onlyInReference))
  }
  return { kind: 'text', text: lines.join('\n') }
}

function entries(title: string, list: readonly string[]): string[] {
  const shown = list.slice(0, SHOWN_ENTRIES).map((entry) => `    ${title}: ${entry}`)
  const more = list.length - shown.length
  return more > 0 ? [...shown, `    ${title}: ${more} more`] : shown
}

function verdictText({ verdict }: CopyComparison, difference: Difference | undefined): string {
  switch (verdict.kind) {
    case 'same':
      return 'the same, byte for byte up to the end of data.'
    case 'empty':
      return `empty${COMPLETED}`
    case 'prefix': {
      const messages = verdict.missingMessages
      const count = messages === undefined ? '' : `${messages} messages, `
      return `the beginning of the reference; it lacks the last ${count}${verdict.missingBytes} bytes${COMPLETED}`
    }
    case 'incomplete':
      return `equal where it has data, but it lacks ${verdict.missingFiles.join(', ')}${COMPLETED}`
    case 'otherSegments':
      return 'its files have another size (mappedFileSizeCommitLog). It cannot be a member of this group: copy the whole store of the reference.'
    case 'undecided':
      return `equal as far as the digests reach. Run "mqadmin upgrade check <reference's store> --digest-at ${verdict.atOffset} -o …" and compare again.`
    case 'different':
      return differenceText(verdict, difference)
  }
}

function differenceText(
  verdict: CopyComparison['verdict'] & { kind: 'different' },
  difference: Difference | undefined,
): string {
  const choose =
    "Decide which copy is right (as a rule the master's), and put it in the place of the other: mqadmin upgrade adopt."
  if (difference === undefined) {
    const rangeBytes = verdict.beforeOffset - verdict.fromOffset
    const where =
      rangeBytes <= 1
        ? `from the message at offset ${verdict.fromOffset} on`
        : `between offset ${verdict.fromOffset} and ${verdict.beforeOffset} (compare the stores themselves to see the message)`
    return `DIFFERENT in ${verdict.file}, ${where}. ${choose}`
  }
  const { first, second, offset, part } = difference
  const lines = [`DIFFERENT in ${verdict.file} from offset ${offset} on (${part}).`]
  lines.push(`  reference: ${first === undefined ? 'no message' : messageText(first)}`)
  lines.push(`  this copy: ${second === undefined ? 'no message' : messageText(second)}`)
  return `${lines.join('\n')}\n  ${choose}`
}

function problemSection(report: StoreReport): Section[] {
  if (report.problems.length === 0) return []
  return [{ kind: 'text', text: [`${report.store}:`, ...problemLines(report)].join('\n') }]
}

function conclusion(exit: number): string {
  if (exit === UpgradeExit.READY) {
    return 'All copies are the same: the group may be started on them.'
  }
  if (exit === UpgradeExit.INCOMPLETE) {
    return 'The group may be started: its members complete the copies named above.'
  }
  if (exit === UpgradeExit.UNDECIDED) return 'More digests are needed, see above.'
  return 'Do not start a group on these copies.'
}
