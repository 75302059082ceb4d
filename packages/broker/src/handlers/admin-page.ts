/**
 * Pages of the topic and group tables (21, 201), rocketmq-remoting.md §3.4. Owns the order that
 * pages are cut from: by name, so that a page means the same while the table's version does.
 */
import { LedgerError } from '@ringledger/base'
import { asJsonObject, type DataVersion, extInt, parseLenientJson } from '@ringledger/protocol'
import { readDataVersion } from '../state/configs.ts'

const MAX_PAGE_ENTRIES = 2_000

/** Names of the ext fields that say where a page starts and how many entries it may have. */
export interface PageFields {
  readonly first: string
  readonly most: string
}

/**
 * Everything for a client that does not know of pages. One whose version is not the table's starts
 * again at the beginning.
 */
export function pageOf<T>(
  ext: Readonly<Record<string, string>>,
  fields: PageFields,
  version: DataVersion,
  entries: () => (readonly [name: string, value: T])[],
): (readonly [name: string, value: T])[] {
  const sorted = entries().sort(([left], [right]) => (left < right ? -1 : 1))
  const known = ext.dataVersion
  const isPaged =
    ext[fields.first] !== undefined || ext[fields.most] !== undefined || known !== undefined
  if (!isPaged) return sorted
  const wanted = extInt(ext, fields.most, MAX_PAGE_ENTRIES)
  const most = wanted <= 0 ? MAX_PAGE_ENTRIES : Math.min(wanted, MAX_PAGE_ENTRIES)
  const asked = Math.max(extInt(ext, fields.first, 0), 0)
  const first = asked > 0 && !isVersion(known, version) ? 0 : asked
  return sorted.slice(first, first + most)
}

function isVersion(text: string | undefined, version: DataVersion): boolean {
  if (text === undefined || text === '') return true
  let known: DataVersion
  try {
    known = readDataVersion(asJsonObject(parseLenientJson(text), 'dataVersion'))
  } catch (error) {
    if (error instanceof LedgerError) return false
    throw error
  }
  return known.counter === version.counter && known.stateVersion === version.stateVersion
}
