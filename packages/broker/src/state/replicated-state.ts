/**
 * The tables that every node derives from the log's state records: topics, groups, consumer
 * offsets, delay progress. Owns the invariants: the tables are those of all records below
 * `appliedPosition`; a record below it changes nothing; no table grows beyond its limit (`check`
 * refuses what would).
 */
import { LedgerError } from '@ringledger/base'
import { groupNameProblem, topicNameProblem } from '@ringledger/protocol'
import type { DataVersion, GroupConfig, TopicConfig } from './configs.ts'
import { OffsetTable } from './offset-table.ts'
import { readRecord, type StateRecord } from './records.ts'
import { type SnapshotPart, SnapshotTracker } from './snapshot.ts'

export interface StateLimits {
  topics: number
  groups: number
  /** (topic, group, queue) triples with a committed offset. */
  offsets: number
}

export const DEFAULT_STATE_LIMITS: StateLimits = {
  topics: 50_000,
  groups: 50_000,
  offsets: 2_000_000,
}

/** Everything a snapshot holds. */
export interface StateContent {
  /** Records that end here or below are in it. */
  appliedPosition: number
  term: number
  /** Of which position the newest whole snapshot in the log is, 0 if none is known. */
  snapshotPosition: number
  topicsVersion: DataVersion
  groupsVersion: DataVersion
  offsetsVersion: DataVersion
  delayVersion: DataVersion
  topics: Iterable<TopicConfig>
  groups: Iterable<GroupConfig>
  offsets: Iterable<[topic: string, group: string, queueId: number, offset: number]>
  delayOffsets: Iterable<[level: number, offset: number]>
  /** What brokers before this group left is in the log. */
  takenOver: boolean
}

type TableName = 'topics' | 'groups' | 'offsets' | 'delayOffsets'

export class ReplicatedState {
  readonly #topics = new Map<string, TopicConfig>()
  readonly #groups = new Map<string, GroupConfig>()
  readonly #offsets = new OffsetTable()
  readonly #delayOffsets = new Map<number, number>()
  readonly #limits: StateLimits
  readonly #nowMs: () => number
  #topicsVersion = firstVersion()
  #groupsVersion = firstVersion()
  #offsetsVersion = firstVersion()
  #delayVersion = firstVersion()
  #term = 0
  #appliedPosition = 0
  #snapshotPosition = 0
  readonly #snapshots = new SnapshotTracker()
  #takenOver = false

  constructor(
    content?: Partial<StateContent>,
    limits: StateLimits = DEFAULT_STATE_LIMITS,
    nowMs: () => number = Date.now,
  ) {
    this.#limits = limits
    this.#nowMs = nowMs
    if (content !== undefined) this.#load(content)
  }

  get topics(): ReadonlyMap<string, TopicConfig> {
    return this.#topics
  }

  get groups(): ReadonlyMap<string, GroupConfig> {
    return this.#groups
  }

  get topicsVersion(): DataVersion {
    return this.#topicsVersion
  }

  get groupsVersion(): DataVersion {
    return this.#groupsVersion
  }

  get offsetsVersion(): DataVersion {
    return this.#offsetsVersion
  }

  get delayVersion(): DataVersion {
    return this.#delayVersion
  }

  /** Term of the newest barrier. */
  get term(): number {
    return this.#term
  }

  /** What brokers before this group left is in the log. */
  get takenOver(): boolean {
    // The log's beginning goes only once a snapshot of the tables is behind it.
    return this.#takenOver || this.#snapshotPosition > 0
  }

  get appliedPosition(): number {
    return this.#appliedPosition
  }

  /**
   * The log has a whole snapshot of the tables as they were here: records below it are not needed
   * by anybody. 0: none.
   */
  get snapshotPosition(): number {
    return this.#snapshotPosition
  }

  /** Next queue offset to consume, -1 when none was ever committed. */
  offset(topic: string, group: string, queueId: number): number {
    return this.#offsets.get(topic, group, queueId)
  }

  forEachOffset(
    topic: string,
    group: string,
    visit: (queueId: number, offset: number) => void,
  ): void {
    const pair = this.#offsets.pair(topic, group)
    if (pair === undefined) return
    for (const [queueId, offset] of pair.offsets) visit(queueId, offset)
  }

  /** Topics on which the group has committed offsets. */
  forEachTopicOfGroup(group: string, visit: (topic: string) => void): void {
    for (const pair of this.#offsets.pairs()) if (pair.group === group) visit(pair.topic)
  }

  /** Groups that have committed offsets on the topic. */
  forEachGroupOfTopic(topic: string, visit: (group: string) => void): void {
    for (const pair of this.#offsets.pairs()) if (pair.topic === topic) visit(pair.group)
  }

  /** Next offset to look at in the level's queue of the schedule topic, 0 at first. */
  delayOffset(level: number): number {
    return this.#delayOffsets.get(level) ?? 0
  }

  /**
   * Throws LedgerError `BAD_REQUEST`, its text fit for a client, when the record is malformed or
   * would break a limit. To be called before a record is proposed; `apply` trusts the log.
   */
  check(record: StateRecord): void {
    const problem = this.#problemOf(record)
    if (problem !== undefined) throw new LedgerError('BAD_REQUEST', problem)
  }

  /** Applies a committed record; false when the tables have it already. */
  apply(record: StateRecord, position: number, endPosition: number): boolean {
    if (position < this.#appliedPosition) return false
    this.#change(record)
    this.#appliedPosition = endPosition
    return true
  }

  /** Changes the tables by a record that is in no log: their files are the truth. */
  change(record: StateRecord): void {
    this.#change(record)
  }

  /** Empties the tables, to be filled with a snapshot of `position` and the records behind it. */
  beginAnew(position: number): void {
    this.#topics.clear()
    this.#groups.clear()
    this.#offsets.remove(() => true)
    this.#delayOffsets.clear()
    this.#appliedPosition = position
  }

  /** Rows of a snapshot, on the way from `beginAnew` to the records behind it. */
  takeRows({ topics, groups, offsets, delay, versions }: SnapshotPart): void {
    this.#takeRows({ topics, groups, offsets, delayOffsets: delay })
    this.#topicsVersion = versions.topics
    this.#groupsVersion = versions.groups
    this.#offsetsVersion = versions.offsets
    this.#delayVersion = versions.delay
  }

  /** A view of everything, for a snapshot; valid until the next `apply`. */
  content(): StateContent {
    return {
      appliedPosition: this.#appliedPosition,
      term: this.#term,
      snapshotPosition: this.#snapshotPosition,
      topicsVersion: this.#topicsVersion,
      groupsVersion: this.#groupsVersion,
      offsetsVersion: this.#offsetsVersion,
      delayVersion: this.#delayVersion,
      topics: this.#topics.values(),
      groups: this.#groups.values(),
      offsets: this.#allOffsets(),
      delayOffsets: this.#delayOffsets.entries(),
      takenOver: this.#takenOver,
    }
  }

  #load(content: Partial<StateContent>): void {
    this.#appliedPosition = content.appliedPosition ?? 0
    this.#term = content.term ?? 0
    this.#snapshotPosition = content.snapshotPosition ?? 0
    this.#takenOver = content.takenOver ?? false
    this.#topicsVersion = content.topicsVersion ?? this.#topicsVersion
    this.#groupsVersion = content.groupsVersion ?? this.#groupsVersion
    this.#offsetsVersion = content.offsetsVersion ?? this.#offsetsVersion
    this.#delayVersion = content.delayVersion ?? this.#delayVersion
    this.#takeRows(content)
  }

  #takeRows(content: { [K in TableName]?: StateContent[K] | undefined }): void {
    for (const config of content.topics ?? []) this.#topics.set(config.topicName, config)
    for (const config of content.groups ?? []) this.#groups.set(config.groupName, config)
    for (const [topic, group, queueId, offset] of content.offsets ?? []) {
      this.#offsets.set(topic, group, queueId, offset)
    }
    for (const [level, offset] of content.delayOffsets ?? []) this.#delayOffsets.set(level, offset)
  }

  #change(record: StateRecord): void {
    switch (record.kind) {
      case 'barrier':
        this.#term = record.term
        return
      case 'topic':
        this.#topics.set(record.config.topicName, record.config)
        this.#topicsVersion = this.#next(this.#topicsVersion)
        return
      case 'deleteTopic':
        this.#topics.delete(record.topic)
        this.#topicsVersion = this.#next(this.#topicsVersion)
        this.#offsets.remove((pair) => pair.topic === record.topic)
        this.#offsetsVersion = this.#next(this.#offsetsVersion)
        return
      case 'group':
        this.#groups.set(record.config.groupName, record.config)
        this.#groupsVersion = this.#next(this.#groupsVersion)
        return
      case 'deleteGroup':
        this.#groups.delete(record.group)
        this.#groupsVersion = this.#next(this.#groupsVersion)
        if (!record.cleanOffset) return
        this.#offsets.remove((pair) => pair.group === record.group)
        this.#offsetsVersion = this.#next(this.#offsetsVersion)
        return
      case 'offsets':
        for (const [topic, group, queueId, offset] of record.entries) {
          this.#offsets.set(topic, group, queueId, offset)
        }
        this.#offsetsVersion = this.#next(this.#offsetsVersion)
        return
      case 'resetOffset':
        for (const [queueId, offset] of record.entries) {
          this.#offsets.set(record.topic, record.group, queueId, offset)
        }
        this.#offsetsVersion = this.#next(this.#offsetsVersion)
        return
      case 'delay':
        for (const [level, offset] of record.entries) this.#delayOffsets.set(level, offset)
        this.#delayVersion = this.#next(this.#delayVersion)
        return
      case 'snapshot': {
        const position = this.#snapshots.see(record)
        if (position >= 0) this.#snapshotPosition = position
        return
      }
      case 'takeOver':
        if (record.step === 'end') this.#takenOver = true
        else if (!this.#takenOver) this.#empty()
        return
    }
  }

  /** Of what a node's own files said: what all of the group take over follows. */
  #empty(): void {
    this.#topics.clear()
    this.#groups.clear()
    this.#offsets.remove(() => true)
    this.#delayOffsets.clear()
    this.#topicsVersion = this.#next(this.#topicsVersion)
    this.#groupsVersion = this.#next(this.#groupsVersion)
    this.#offsetsVersion = this.#next(this.#offsetsVersion)
    this.#delayVersion = this.#next(this.#delayVersion)
  }

  #problemOf(record: StateRecord): string | undefined {
    const known = readRecord(record)
    if (typeof known === 'string') return known
    const { topics, groups, offsets } = this.#limits
    switch (known.kind) {
      case 'topic': {
        const { topicName } = known.config
        const isNew = !this.#topics.has(topicName)
        if (isNew && this.#topics.size >= topics) return `there are ${topics} topics already`
        return topicNameProblem(topicName)
      }
      case 'group': {
        const { groupName } = known.config
        const isNew = !this.#groups.has(groupName)
        if (isNew && this.#groups.size >= groups) return `there are ${groups} groups already`
        return groupNameProblem(groupName)
      }
      case 'offsets': {
        const added = known.entries.filter(
          ([topic, group, queueId]) => !this.#offsets.has(topic, group, queueId),
        )
        return this.#offsets.entryCount + added.length > offsets
          ? `there are ${offsets} consumer offsets already`
          : undefined
      }
      case 'resetOffset':
        return this.#offsets.entryCount + known.entries.length > offsets
          ? `there are ${offsets} consumer offsets already`
          : undefined
      default:
        return undefined
    }
  }

  *#allOffsets(): Generator<[string, string, number, number]> {
    for (const { topic, group, offsets } of this.#offsets.pairs()) {
      for (const [queueId, offset] of offsets) yield [topic, group, queueId, offset]
    }
  }

  #next(version: DataVersion): DataVersion {
    return {
      stateVersion: this.#term,
      counter: version.counter + 1,
      timestamp: this.#nowMs(),
    }
  }
}

function firstVersion(): DataVersion {
  return { stateVersion: 0, counter: 0, timestamp: 0 }
}
