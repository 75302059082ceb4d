/**
 * Snapshots of the replicated tables, in the log itself: a leader writes one now and then as a run
 * of records, so that the records below it may be deleted and a member whose log begins behind them
 * still gets the whole state. Rows may be newer than the position a snapshot is of; the records
 * from that position on, applied once more, make the tables right. Invariant: only a run of parts
 * without a gap counts.
 */
import type { DataVersion, GroupConfig, TopicConfig } from './configs.ts'
import { isCount, isObject, readDataVersion, readGroupConfig, readTopicConfig } from './configs.ts'
import type { StateContent } from './replicated-state.ts'

export type OffsetRow = [topic: string, group: string, queueId: number, offset: number]
export type QueueRow = [topic: string, queueId: number, nextOffset: number]
export type DelayRow = [level: number, offset: number]

export interface SnapshotRows {
  readonly topics: TopicConfig[]
  readonly groups: GroupConfig[]
  readonly offsets: OffsetRow[]
  readonly delay: DelayRow[]
  /** Next offset of each consume queue. */
  readonly queues: QueueRow[]
}

export interface SnapshotVersions {
  readonly topics: DataVersion
  readonly groups: DataVersion
  readonly offsets: DataVersion
  readonly delay: DataVersion
}

export interface SnapshotPart extends Partial<SnapshotRows> {
  readonly kind: 'snapshot'
  /** The end of an entry: every record below it is in the snapshot. */
  readonly position: number
  /** 0, 1, 2 … */
  readonly part: number
  readonly isLast: boolean
  /** Of the leader that writes it. */
  readonly term: number
  readonly versions: SnapshotVersions
}

type SnapshotHead = Pick<SnapshotPart, 'position' | 'term'>

/** JSON text of the rows of one part; a single row may be longer. */
const PART_CHARACTERS: number = 64 * 1024

/**
 * Made as they are asked for, so that nobody waits for all of it; the tables may change meanwhile.
 */
export function* snapshotParts(
  head: SnapshotHead,
  content: StateContent,
  queues: Iterable<QueueRow>,
): Generator<SnapshotPart> {
  const versions: SnapshotVersions = {
    topics: content.topicsVersion,
    groups: content.groupsVersion,
    offsets: content.offsetsVersion,
    delay: content.delayVersion,
  }
  let rows: Partial<SnapshotRows> = {}
  let characters = 0
  let part = 0
  for (const [table, row] of allRows(content, queues)) {
    const ofTable = (rows[table] ?? []) as unknown[]
    ofTable.push(row)
    rows = { ...rows, [table]: ofTable }
    characters += JSON.stringify(row).length
    if (characters < PART_CHARACTERS) continue
    yield { kind: 'snapshot', ...head, part: part++, isLast: false, versions, ...rows }
    rows = {}
    characters = 0
  }
  yield { kind: 'snapshot', ...head, part, isLast: true, versions, ...rows }
}

function* allRows(
  content: StateContent,
  queues: Iterable<QueueRow>,
): Generator<[keyof SnapshotRows, unknown]> {
  for (const row of content.topics) yield ['topics', row]
  for (const row of content.groups) yield ['groups', row]
  for (const row of content.offsets) yield ['offsets', row]
  for (const row of content.delayOffsets) yield ['delay', row]
  for (const row of queues) yield ['queues', row]
}

/** Follows the parts as they come by in the log. */
export class SnapshotTracker {
  #position = -1
  #term = -1
  #nextPart = 0

  /** The position of the snapshot that this part completes, else -1. */
  see({ position, term, part, isLast }: SnapshotPart): number {
    const isNext = position === this.#position && term === this.#term && part === this.#nextPart
    if (part !== 0 && !isNext) {
      this.#position = -1
      return -1
    }
    this.#position = position
    this.#term = term
    this.#nextPart = part + 1
    if (!isLast) return -1
    this.#position = -1
    return position
  }
}

/** The part in `value`, or a text that says what is wrong with it. */
export function readSnapshotPart(value: Record<string, unknown>): SnapshotPart | string {
  const { position, part, term, versions } = value
  if (!isCount(position) || !isCount(part) || !isCount(term)) {
    return 'a snapshot has position, part and term'
  }
  if (!isObject(versions)) return 'a snapshot has versions'
  const rows: Partial<SnapshotRows> = {}
  for (const [table, read] of Object.entries(READERS)) {
    if (value[table] === undefined) continue
    const known = readRows(value[table], read)
    if (typeof known === 'string') return `${table}: ${known}`
    Object.assign(rows, { [table]: known })
  }
  return {
    kind: 'snapshot',
    position,
    part,
    isLast: value.isLast === true,
    term,
    versions: {
      topics: readDataVersion(versions.topics),
      groups: readDataVersion(versions.groups),
      offsets: readDataVersion(versions.offsets),
      delay: readDataVersion(versions.delay),
    },
    ...rows,
  }
}

const READERS: Readonly<Record<keyof SnapshotRows, (row: unknown) => unknown>> = {
  topics: readTopicConfig,
  groups: readGroupConfig,
  offsets: (row) => rowOf(row, ['name', 'name', 'count', 'count']),
  delay: (row) => rowOf(row, ['count', 'count']),
  queues: (row) => rowOf(row, ['name', 'count', 'count']),
}

function readRows(rows: unknown, read: (row: unknown) => unknown): unknown[] | string {
  if (!Array.isArray(rows)) return 'no list'
  const known = rows.map(read)
  const problem = known.find((row) => typeof row === 'string')
  return problem === undefined ? known : String(problem)
}

function rowOf(row: unknown, kinds: readonly ('name' | 'count')[]): unknown {
  const fits =
    Array.isArray(row) &&
    row.length === kinds.length &&
    kinds.every((kind, at) => {
      const field: unknown = row[at]
      return kind === 'count' ? isCount(field) : typeof field === 'string' && field !== ''
    })
  return fits ? row : `a row is [${kinds.join(', ')}]`
}
