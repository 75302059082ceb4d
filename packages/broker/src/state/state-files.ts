/**
 * The replicated tables on disk: Apache's four config files (rocketmq-store.md §2.7), readable by
 * it and by us from it, and `ringledger-state.json`, which says what they contain. Owns the
 * invariant: on disk the tables are at least as new as `appliedPosition` there; records from that
 * position on may be applied again.
 */
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { parseLenientJson } from '@ringledger/protocol'
import { formatChecksummed, verifyChecksummed } from './checksummed-json.ts'
import { readText, replaceText } from './config-file.ts'
import {
  type DataVersion,
  type GroupConfig,
  isCount,
  isObject,
  readDataVersion,
  readGroupConfig,
  readTopicConfig,
  type TopicConfig,
} from './configs.ts'
import type { ReplicatedState, StateContent } from './replicated-state.ts'

const TOPICS = 'topics.json'
const GROUPS = 'subscriptionGroup.json'
const OFFSETS = 'consumerOffset.json'
/** Replaces the file above in a store of Apache's that ran with enableLmq. */
const LMQ_OFFSETS = 'lmqConsumerOffset.json'
const DELAY = 'delayOffset.json'
const STATE = 'ringledger-state.json'

const VERSION_NAMES = ['topicsVersion', 'groupsVersion', 'offsetsVersion', 'delayVersion'] as const
type VersionName = (typeof VERSION_NAMES)[number]
type Versions = Record<VersionName, DataVersion>
type Fields = Record<string, unknown>

const NO_RECORDS = { term: 0, snapshotPosition: 0, takenOver: false } as const

export class StateFiles {
  readonly #directory: string
  readonly #log: (line: string) => void
  #saved: Versions | undefined
  #savedPosition = 0
  /** What was loaded, where no file says yet which records it contains. */
  #unnoted: Versions | undefined

  /** `directory`: `<storePathRootDir>/config` */
  constructor(directory: string, log: (line: string) => void = () => {}) {
    this.#directory = directory
    this.#log = log
  }

  /** Records that end here or below need not be applied again after a restart. */
  get savedPosition(): number {
    return this.#savedPosition
  }

  /**
   * What the files hold; empty tables when there are none. `filesAreTruth`: no log has records that
   * lead to them, and `appliedPosition` is -1 where none was noted with them. Throws LedgerError
   * `CORRUPT` when neither a file nor its `.bak` can be read: an operator has to look, since older
   * records may be gone from the log.
   */
  load(filesAreTruth = false): StateContent {
    const found = readTables((name) => this.#read(name))
    const ours = this.#read(STATE)
    const recorded = ours === undefined ? undefined : versionsOf(ours)
    const isWhole = recorded !== undefined && isAtLeast(found, recorded)
    const appliedPosition = isWhole ? countOf(ours?.appliedPosition) : 0
    this.#savedPosition = appliedPosition
    if (filesAreTruth) {
      return { ...found, ...NO_RECORDS, appliedPosition: isWhole ? appliedPosition : -1 }
    }
    this.#unnoted = isWhole ? undefined : versionsIn(found)
    return {
      ...found,
      appliedPosition,
      term: isWhole ? countOf(ours?.term) : 0,
      snapshotPosition: isWhole ? countOf(ours?.snapshotPosition) : 0,
      takenOver: isWhole && ours?.takenOver === true,
      // Counted on from what was recorded, so that records applied again give the same versions
      // again.
      ...(isWhole ? recorded : {}),
    }
  }

  isSaved(state: ReplicatedState): boolean {
    const saved = this.#saved
    return (
      saved !== undefined &&
      state.appliedPosition === this.#savedPosition &&
      VERSION_NAMES.every((name) => saved[name] === state[name])
    )
  }

  /** Writes what changed since the last call; true if anything did. Durable when it returns. */
  save(state: ReplicatedState): boolean {
    if (this.isSaved(state)) return false
    this.#noteLoaded()
    const content = state.content()
    const saved = this.#saved
    const differs = (name: VersionName): boolean => saved?.[name] !== content[name]
    if (differs('topicsVersion')) this.#write(TOPICS, topicsFile(content))
    if (differs('groupsVersion')) this.#write(GROUPS, groupsFile(content))
    if (differs('offsetsVersion')) this.#write(OFFSETS, offsetsFile(content))
    if (differs('delayVersion')) this.#write(DELAY, delayFile(content))
    const { appliedPosition, term, snapshotPosition, takenOver } = content
    const versions = versionsIn(content)
    const counts = { appliedPosition, term, snapshotPosition, takenOver }
    this.#write(STATE, { ...counts, ...versions })
    this.#saved = versions
    this.#savedPosition = appliedPosition
    return true
  }

  /**
   * Versions are counted on from what is noted. Without this, an end between a table and the note
   * would let the records that the table has already count twice.
   */
  #noteLoaded(): void {
    if (this.#unnoted === undefined) return
    this.#write(STATE, { appliedPosition: 0, ...NO_RECORDS, ...this.#unnoted })
    this.#unnoted = undefined
  }

  #write(name: string, value: object): void {
    replaceText(join(this.#directory, name), formatChecksummed(value))
  }

  #read(name: string): Fields | undefined {
    return readText(join(this.#directory, name), this.#log, (text) => {
      verifyChecksummed(text)
      const value = parseLenientJson(text)
      if (!isObject(value)) throw new LedgerError('CORRUPT', 'not an object')
      return value
    })
  }
}

/** What table files hold. */
export interface TableContent extends Versions {
  readonly topics: TopicConfig[]
  readonly groups: GroupConfig[]
  readonly offsets: [topic: string, group: string, queueId: number, offset: number][]
  readonly delayOffsets: [level: number, offset: number][]
}

/** `read` gives a file's parsed text, undefined where there is none. @throws LedgerError CORRUPT */
export function readTables(read: (name: string) => Fields | undefined): TableContent {
  const topics = read(TOPICS)
  const groups = read(GROUPS)
  const offsets = read(OFFSETS) ?? read(LMQ_OFFSETS)
  const delay = read(DELAY)
  return {
    topicsVersion: readDataVersion(topics?.dataVersion),
    groupsVersion: readDataVersion(groups?.dataVersion),
    offsetsVersion: readDataVersion(offsets?.dataVersion),
    delayVersion: readDataVersion(delay?.dataVersion),
    topics: readTable(TOPICS, topics?.topicConfigTable, readTopicConfig),
    groups: readTable(GROUPS, groups?.subscriptionGroupTable, readGroupConfig),
    offsets: readOffsets(offsets?.offsetTable),
    delayOffsets: readDelayOffsets(delay?.offsetTable),
  }
}

function topicsFile(content: StateContent): object {
  const table = Object.fromEntries([...content.topics].map((config) => [config.topicName, config]))
  return { dataVersion: content.topicsVersion, topicConfigTable: table }
}

function groupsFile(content: StateContent): object {
  const table = Object.fromEntries([...content.groups].map((config) => [config.groupName, config]))
  return {
    dataVersion: content.groupsVersion,
    forbiddenTable: {},
    subscriptionGroupTable: table,
  }
}

function offsetsFile(content: StateContent): object {
  const offsetTable: Record<string, Record<string, number>> = {}
  const topicsOf = new Map<string, Set<string>>()
  for (const [topic, group, queueId, offset] of content.offsets) {
    const ofPair = (offsetTable[`${topic}@${group}`] ??= {})
    ofPair[queueId] = offset
    const topics = topicsOf.get(group)
    if (topics === undefined) topicsOf.set(group, new Set([topic]))
    else topics.add(topic)
  }
  const groupTopicMap = Object.fromEntries(
    Array.from(topicsOf, ([group, topics]) => [group, [...topics]]),
  )
  return { dataVersion: content.offsetsVersion, groupTopicMap, offsetTable }
}

function delayFile(content: StateContent): object {
  return {
    dataVersion: content.delayVersion,
    offsetTable: Object.fromEntries(content.delayOffsets),
  }
}

function versionsIn({
  topicsVersion,
  groupsVersion,
  offsetsVersion,
  delayVersion,
}: Versions): Versions {
  return { topicsVersion, groupsVersion, offsetsVersion, delayVersion }
}

function versionsOf(ours: Fields): Versions {
  return {
    topicsVersion: readDataVersion(ours.topicsVersion),
    groupsVersion: readDataVersion(ours.groupsVersion),
    offsetsVersion: readDataVersion(ours.offsetsVersion),
    delayVersion: readDataVersion(ours.delayVersion),
  }
}

/** False when a file is older than what was recorded: it came from a `.bak`, or is missing. */
function isAtLeast(found: Versions, recorded: Versions): boolean {
  return (Object.keys(recorded) as VersionName[]).every(
    (name) => found[name].counter >= recorded[name].counter,
  )
}

function countOf(value: unknown): number {
  return isCount(value) ? value : 0
}

function readTable<Config>(
  file: string,
  table: unknown,
  read: (value: unknown) => Config | string,
): Config[] {
  return Object.values(isObject(table) ? table : {}).map((value) => {
    const config = read(value)
    if (typeof config === 'string') throw new LedgerError('CORRUPT', `config/${file}: ${config}`)
    return config
  })
}

function readOffsets(table: unknown): [string, string, number, number][] {
  const offsets: [string, string, number, number][] = []
  for (const [key, ofPair] of Object.entries(isObject(table) ? table : {})) {
    const [topic = '', group = '', ...more] = key.split('@')
    if (topic === '' || group === '' || more.length > 0) {
      throw new LedgerError('CORRUPT', `config/${OFFSETS}: "${key}" is not topic@group`)
    }
    for (const [queueId, offset] of numberPairs(OFFSETS, ofPair)) {
      offsets.push([topic, group, queueId, offset])
    }
  }
  return offsets
}

function readDelayOffsets(table: unknown): [number, number][] {
  return [...numberPairs(DELAY, table ?? {})]
}

function* numberPairs(file: string, table: unknown): Generator<[number, number]> {
  for (const [name, offset] of Object.entries(isObject(table) ? table : {})) {
    const number = Number(name)
    if (!isCount(number) || !isCount(offset)) {
      throw new LedgerError('CORRUPT', `config/${file}: ${name}:${String(offset)} is no offset`)
    }
    yield [number, offset]
  }
}
