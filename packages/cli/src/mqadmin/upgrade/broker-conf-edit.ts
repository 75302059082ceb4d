/**
 * Turns the configuration of a Master/Slave broker into that of a group's member: its lines, order
 * and comments stay. Owns which keys are set and which go.
 */
import { parseProperties } from '../../config/properties-file.ts'

/** The values of `dLegerGroup`, `dLegerPeers`, `dLegerSelfId` and `preferredLeaderId`. */
export interface GroupKeys {
  readonly group: string
  readonly peers: string
  readonly self: string
  readonly preferredLeader?: string
}

/**
 * Of Master/Slave replication: members find their roles by election, and get their ids from their
 * names.
 */
const GONE: ReadonlySet<string> = new Set([
  'brokerRole',
  'brokerId',
  'haListenPort',
  'haMasterAddress',
  'haSendHeartbeatInterval',
  'haHousekeepingInterval',
  'haTransferBatchSize',
  'haSlaveFallbehindMax',
  'slaveTimeout',
  'inSyncReplicas',
  'minInSyncReplicas',
  'enableAutoInSyncReplicas',
  'allAckInSyncStateSet',
])
const TITLE = '# Member of a DLedger group (mqadmin upgrade apply)'

/** The new text of the file. */
export function withGroup(text: string, keys: GroupKeys): string {
  const wanted = new Map([
    ['enableDLegerCommitLog', 'true'],
    ['dLegerGroup', keys.group],
    ['dLegerPeers', keys.peers],
    ['dLegerSelfId', keys.self],
  ])
  if (keys.preferredLeader !== undefined) wanted.set('preferredLeaderId', keys.preferredLeader)
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  const lines = text.split(/\r\n|\n|\r/)
  const { entries } = parseProperties(Buffer.from(text))
  const lastOf = new Map(entries.map((entry) => [entry.key, entry]))
  const replaced = new Map<number, string | undefined>()
  for (const entry of entries) {
    const value = wanted.get(entry.key)
    if (value === undefined && !GONE.has(entry.key)) continue
    const from = entry.line - 1
    for (let at = from; at <= lastLine(lines, from); at++) replaced.set(at, undefined)
    // The last one counts in Java too.
    const isLast = lastOf.get(entry.key) === entry
    if (value === undefined || !isLast) continue
    replaced.set(from, entry.value === value ? lines[from] : `${entry.key}=${value}`)
  }
  const kept = lines.flatMap((line, at) => (replaced.has(at) ? (replaced.get(at) ?? []) : line))
  while (kept.at(-1) === '') kept.pop()
  const added = [...wanted].filter(([key]) => !lastOf.has(key))
  if (added.length > 0) kept.push('', TITLE, ...added.map((pair) => pair.join('=')))
  return `${kept.join(newline)}${newline}`
}

/** A line that ends in an odd number of backslashes goes on. */
function lastLine(lines: readonly string[], from: number): number {
  let at = from
  while (at + 1 < lines.length && /(?:^|[^\\])(?:\\\\)*\\$/.test(lines[at]!)) at++
  return at
}
