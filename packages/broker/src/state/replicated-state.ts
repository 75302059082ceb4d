/** API skeleton, being filled in (store helper). Tables that every node derives from the log's state records. */
import type { DataVersion, GroupConfig, TopicConfig } from './configs.ts'
import type { StateRecord } from './records.ts'

export declare class ReplicatedState {
  readonly topics: ReadonlyMap<string, TopicConfig>
  readonly groups: ReadonlyMap<string, GroupConfig>
  readonly topicsVersion: DataVersion
  readonly groupsVersion: DataVersion
  readonly offsetsVersion: DataVersion
  readonly delayVersion: DataVersion
  /** Term of the newest barrier. */
  readonly term: number
  /** Next queue offset to consume, -1 when none was ever committed. */
  offset(topic: string, group: string, queueId: number): number
  /** Every committed offset of the pair. */
  forEachOffset(
    topic: string,
    group: string,
    visit: (queueId: number, offset: number) => void,
  ): void
  forEachTopicOfGroup(group: string, visit: (topic: string) => void): void
  forEachGroupOfTopic(topic: string, visit: (group: string) => void): void
  delayOffset(level: number): number
  /** Throws LedgerError BAD_REQUEST with a client-ready text when the record would break a limit or is malformed.
   *  Call before the record is submitted. */
  check(record: StateRecord): void
  /** Applies a committed record; false when its position is below the snapshot (already contained). */
  apply(record: StateRecord, position: number, endPosition: number): boolean
}
