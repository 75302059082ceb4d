/**
 * What the broker's agents use of the store below them; `BrokerStore` fits it, and so does the fake
 * for tests.
 */
import type { DelayProgress } from './delay-progress.ts'
import type { StateRecord } from './state/records.ts'
import type { ReplicatedState } from './state/replicated-state.ts'
import type { ConsumeQueue } from './store/consume-queue.ts'
import type { KeyIndex } from './store/key-index.ts'
import type { MessageReader } from './store/message-reader.ts'

/** The public side of a class, so that a fake needs no private fields. */
type PublicSide<T> = { [K in keyof T]: T[K] }

export type QueueView = PublicSide<ConsumeQueue>
export type ReaderView = PublicSide<MessageReader>
export type IndexView = Pick<
  KeyIndex,
  'query' | 'lastUpdateTimestampMs' | 'lastUpdatePhysicalOffset' | 'removeOldestFile'
>
export type StateView = PublicSide<ReplicatedState>

export interface QueuesView {
  find(topic: string, queueId: number): QueueView | undefined
  obtain(topic: string, queueId: number): QueueView
  maxOffset(topic: string, queueId: number): number
  minOffset(topic: string, queueId: number): number
  /** Where the log begins; units of older messages count no longer. */
  readonly logMinPosition: number
  forEachQueue(visit: (queue: QueueView) => void): void
}

export interface StoreView {
  readonly queues: QueuesView
  readonly index: IndexView
  readonly reader: ReaderView
  readonly state: StateView
  readonly delayProgress: Pick<DelayProgress, 'deliveredEarly'>
  readonly caughtUp: boolean
  readonly dispatchedPosition: number
  /** Where the log begins for readers. */
  logFirstPosition: number
  /** Nothing of the log at or above may be deleted. */
  readonly deletableTo: number
  /** Raises `deletableTo` in the next turns, as far as it can be raised. */
  syncSoon(): void
  /** The tables lack records, and the log has no snapshot that was taken yet. */
  readonly lacksState: boolean
  /** Writes a damaged unit of a consume queue anew from the log; false when that has it not. */
  repairUnit(topic: string, queueId: number, queueOffset: number): boolean
  /** Of a plain log: a record that is in no log takes effect. */
  applyHere(record: StateRecord): void
  /** Applies up to `maxEntries` committed entries; true if there were any. */
  duty(maxEntries?: number): boolean
  /** Write-back, a bounded piece of it; true when it wants another turn at once. */
  tick(nowMs: number, idle: boolean): boolean
  close(): void
}
