/** What the upkeep of a store works on; all of it belongs to the IO thread. */
import type { EntryPlaces } from './entry-places.ts'
import type { EntryScan } from './entry-scan.ts'
import type { FillerMender } from './filler-mender.ts'
import type { HoleList } from './hole-list.ts'
import type { IndexTable } from './index-table.ts'
import type { LogEnd } from './resume-mark.ts'
import type { SegmentFiles } from './segment-files.ts'

/** One thing that was not as it must be. */
export interface Finding {
  readonly path: string
  /** In the log; -1 when the damage is not in the log. */
  readonly position: number
  readonly index: number
  readonly reason: string
  /** It is whole again already. */
  readonly repaired: boolean
}

export interface CareParts {
  readonly data: SegmentFiles
  readonly index: SegmentFiles
  readonly table: IndexTable
  readonly scan: EntryScan
  readonly places: EntryPlaces
  readonly filler: FillerMender
  readonly holes: HoleList
  /** End of what is durable. */
  end(): LogEnd
  /** The first entry that is kept. */
  first(): { readonly position: number; readonly index: number }
  /** Rewrites damaged copies of term, vote and mark from memory; paths of those that were. */
  mendSlots(): string[]
  found(finding: Finding): void
}
