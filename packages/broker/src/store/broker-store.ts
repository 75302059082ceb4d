/** API skeleton, being filled in (store helper). Everything below the handlers: queues, index, state, dispatch. */
import type { LogFileReader } from '@ringledger/io'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { StateRecord } from '../state/records.ts'
import type { ReplicatedState } from '../state/replicated-state.ts'
import type { ConsumeQueue, ConsumeQueues, KeyIndex, MessageReader } from './consume-queue.ts'

export interface StoreListener {
  /** Queue `waiters > 0` and a unit was appended. Called within dispatch: remember, answer after the duty. */
  onMessage(queue: ConsumeQueue, queueOffset: number, tagsCode: number): void
  /** A committed state record; `state` has it already (unless it was older than its snapshot), queues of a deleted topic are gone. */
  onRecord(record: StateRecord, position: number, endPosition: number): void
}

export interface BrokerStoreOptions {
  /** storePathRootDir */
  rootDirectory: string
  arena: LogArena
  files: LogFileReader
  /** First position of the log after recovery, and its (durable) end. */
  logFirstPosition: number
  logEndPosition: number
  /** mappedFileSizeConsumeQueue, default 6,000,000 */
  consumeQueueFileBytes?: number
  /** maxHashSlotNum / maxIndexNum */
  indexSlots?: number
  indexEntries?: number
  /** messageDelayLevel in ms, level 1 first */
  delayLevelsMs?: readonly number[]
  maxOpenFiles?: number
  nowMs?: () => number
  log?: (line: string) => void
  /** Catch-up and rebuild progress. */
  onProgress?: (position: number, endPosition: number) => void
}

export declare class BrokerStore {
  readonly queues: ConsumeQueues
  readonly index: KeyIndex
  readonly reader: MessageReader
  readonly state: ReplicatedState
  static open(options: BrokerStoreOptions, listener: StoreListener): BrokerStore
  /** Dispatches up to `maxEntries` committed entries; true if it did anything. Throws LedgerError CORRUPT: stop the thread. */
  duty(maxEntries?: number): boolean
  /** Every committed entry (as of this call) is dispatched. */
  get caughtUp(): boolean
  get dispatchedPosition(): number
  /** Write-back and checkpoint, bounded work per call. Call each turn with idle = nothing else to do; it looks at the clock itself. */
  tick(nowMs: number, idle: boolean): void
  /** Log positions from here on are still needed by this store's recovery (retention must not pass it). */
  get neededFromPosition(): number
  close(): void
}
