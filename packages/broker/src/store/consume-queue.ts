/** API skeleton, being filled in (store helper). One consume queue; keep the handle to avoid look-ups. */
import type { LogFileReader } from '@ringledger/io'

export type UnitVisitor = (
  queueOffset: number,
  physicalOffset: number,
  sizeBytes: number,
  tagsCode: number,
) => boolean

export interface ConsumeQueueUnit {
  physicalOffset: number
  sizeBytes: number
  tagsCode: number
}

export type TimeBoundary = 'lower' | 'upper'

/** One (topic, queueId). The handle stays valid until the topic is deleted (`deleted` turns true). */
export declare class ConsumeQueue {
  readonly topic: string
  readonly queueId: number
  /** Held pulls on this queue. `hold` counts it up and down; only when > 0 does dispatch call `onMessage`. */
  waiters: number
  /** True once the topic was deleted; look the queue up again. */
  readonly deleted: boolean
  /** Offset of the first unit whose message the log still has; equals maxOffset when there is none. */
  get minOffset(): number
  /** Offset that the next message will get. */
  get maxOffset(): number
  /** Visits units from `fromOffset` on, at most `maxUnits`, until `visit` returns false. Fillers are skipped.
   *  Returns the queue offset after the last unit seen (visited or filler), so a caller can go on there. */
  read(fromOffset: number, maxUnits: number, visit: UnitVisitor): number
  /** False when there is no unit (below the first file, at or above maxOffset, or a filler). */
  unitAt(queueOffset: number, out: ConsumeQueueUnit): boolean
  /** See reference 5.5 (29): lower = smallest offset with store time >= t, upper = largest with store time <= t; after the end: maxOffset. */
  offsetByTime(
    timestampMs: number,
    boundary: TimeBoundary,
    storeTimestampOf: (physicalOffset: number, sizeBytes: number) => number,
  ): number
}

export declare class ConsumeQueues {
  /** The queue if it has units or was obtained before. */
  find(topic: string, queueId: number): ConsumeQueue | undefined
  /** The queue, made (empty, in memory only) when needed. Check topic and queueId range first: handles stay. */
  obtain(topic: string, queueId: number): ConsumeQueue
  maxOffset(topic: string, queueId: number): number
  minOffset(topic: string, queueId: number): number
  forEachQueue(visit: (queue: ConsumeQueue) => void): void
  /** Position of the log's first byte: units below it do not count. */
  logMinPosition: number
}

/** Reads committed messages by physical offset: from the arena, else from the segment files. */
export declare class MessageReader {
  constructor(arena: unknown, files: LogFileReader)
  /** Copies one stored message; false when it is not committed, no longer there, or not a message of that size. */
  read(physicalOffset: number, sizeBytes: number, target: Buffer, targetOffset: number): boolean
  /** Total size of the message that starts exactly there, -1 when none does. Safe for offsets from clients. */
  sizeAt(physicalOffset: number): number
  /** Store timestamp in ms, -1 when the message is not there. */
  storeTimestampAt(physicalOffset: number, sizeBytes: number): number
}

export declare class KeyIndex {
  /** Physical offsets, newest first, whose key HASH fits; the caller checks topic and key in the message. */
  query(topic: string, key: string, maxNum: number, beginMs: number, endMs: number): number[]
  readonly lastUpdateTimestampMs: number
  readonly lastUpdatePhysicalOffset: number
}
