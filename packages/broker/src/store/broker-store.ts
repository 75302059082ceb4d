/**
 * Everything below the broker's handlers: consume queues, key index, replicated state, message
 * reader, and the dispatch that feeds them from the committed log. Owns their order at start and at
 * close. One thread only.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '@ringledger/base'
import { isNoSpace, onDisk } from '@ringledger/base/internal'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { DelayProgress } from '../delay-progress.ts'
import { isBatchTopic } from '../state/configs.ts'
import type { StateRecord } from '../state/records.ts'
import type { ReplicatedState, StateLimits } from '../state/replicated-state.ts'
import { ApacheMarks } from './apache-marks.ts'
import { CheckpointFile, readBootId } from './checkpoint-file.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { ConsumeQueues } from './consume-queues.ts'
import { Dispatcher, type DispatchListener } from './dispatcher.ts'
import { FirstLook, noteUnread } from './first-look.ts'
import { plainPartOf } from './found-store.ts'
import { KeyIndex } from './key-index.ts'
import { LOG_RESETTING } from './log-start.ts'
import { DamagedLogError, type LogFiles, MessageReader } from './message-reader.ts'
import { QueueRepair } from './queue-repair.ts'
import { QueueScrub } from './queue-scrub.ts'
import { StateKeeper } from './state-keeper.ts'
import { recoverStore } from './store-recovery.ts'
import { DEFAULT_INTERVALS, WriteBack, type WriteBackIntervals } from './write-back.ts'

export interface StoreListener {
  /**
   * A unit was appended to a queue whose `waiters` is above 0. Called within dispatch: note it,
   * answer after the duty.
   */
  onMessage(queue: ConsumeQueue, queueOffset: number, tagsCode: number): void
  /**
   * A committed state record was applied: `state` has it, and the queues of a deleted topic are
   * gone.
   */
  onRecord(record: StateRecord, position: number, endPosition: number): void
  /**
   * Nothing that was known of queues or tables counts any more: the log begins elsewhere, or the
   * tables came from a snapshot.
   */
  onReplaced(): void
}

export interface BrokerStoreOptions {
  /** storePathRootDir */
  rootDirectory: string
  arena: LogArena
  /** The segment files; `LogFileReader` of @ringledger/io fits. */
  files: LogFiles
  /**
   * The log after recovery: its first position, that of a plain log below it where there is one,
   * and its durable end.
   */
  logFirstPosition: number
  logEndPosition: number
  /**
   * Where the log was begun anew, {@link LOG_RESETTING} meanwhile, `logFirstPosition` if it never
   * was; asked before every duty.
   */
  logStart?: () => number
  /** mappedFileSizeConsumeQueue, default 6,000,000 */
  consumeQueueFileBytes?: number
  /** Open consume queue files, default 256 */
  maxOpenFiles?: number
  /** maxHashSlotNum, default 5,000,000 */
  indexSlots?: number
  /** maxIndexNum, default 20,000,000 */
  indexEntries?: number
  /** messageDelayLevel in ms, level 1 first; default Apache's 18 levels */
  delayLevelsMs?: readonly number[]
  limits?: StateLimits
  intervals?: WriteBackIntervals
  nowMs?: () => number
  /** Identifies this run of the machine. */
  bootId?: string
  log?: (line: string) => void
  /**
   * Queues and index that another broker left are gone on with if its log is so long, default 1
   * GiB; of a shorter one they are built anew.
   */
  useFoundFromBytes?: number
  /** After a restart: how far dispatch is on its way to where the log ended. */
  onProgress?: (position: number, endPosition: number) => void
}

const SPACE_RETRY_MS = 1000
const PROGRESS_STEP_BYTES = 64 * 1024 * 1024
const DEFAULT_DUTY_ENTRIES = 1024
const SECOND = 1000
const MINUTE = 60 * SECOND
export const APACHE_DELAY_LEVELS_MS: readonly number[] = [
  ...[1, 5, 10, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120].map((minutes) => minutes * MINUTE),
]

export class BrokerStore {
  readonly queues: ConsumeQueues
  readonly index: KeyIndex
  readonly reader: MessageReader
  readonly state: ReplicatedState
  readonly delayProgress: DelayProgress
  /** False when the run before was killed or crashed. */
  readonly lastExitWasClean: boolean
  /** Queues and index are being built anew from the log's beginning. */
  readonly rebuilding: boolean
  readonly #options: BrokerStoreOptions
  readonly #listener: StoreListener
  readonly #keeper: StateKeeper
  readonly #checkpoint: CheckpointFile
  readonly #marks: ApacheMarks
  readonly #dispatcher: Dispatcher
  readonly #writeBack: WriteBack
  readonly #repair: QueueRepair
  readonly #scrub: QueueScrub
  readonly #firstLook: FirstLook | undefined
  #logStart: number
  #reportAt: number
  /** The last write found no space. */
  #lacksSpace = false
  #stuck = false
  #waitsForRepair = false
  #lackedAtMs = 0

  /**
   * Recovers; may read the log's part since the last state snapshot. Throws LedgerError `CORRUPT`,
   * `DISK_FAILED`, `BAD_CONFIG`.
   */
  static open(options: BrokerStoreOptions, listener: StoreListener): BrokerStore {
    return new BrokerStore(options, listener)
  }

  private constructor(options: BrokerStoreOptions, listener: StoreListener) {
    const { rootDirectory, arena, files, logFirstPosition, logEndPosition } = options
    const log = options.log ?? (() => {})
    const bootId = options.bootId ?? readBootId()
    this.#options = options
    this.#listener = listener
    this.#logStart = logFirstPosition
    onDisk(`store ${rootDirectory}`, () => mkdirSync(rootDirectory, { recursive: true }))
    this.#checkpoint = new CheckpointFile(join(rootDirectory, 'ringledger-dispatch'))
    this.#marks = new ApacheMarks(rootDirectory)
    this.lastExitWasClean = this.#marks.lastExitWasClean
    this.queues = new ConsumeQueues(queueOptions(options, log))
    this.index = new KeyIndex(indexOptions(options, log))
    this.reader = new MessageReader(arena, files)
    this.reader.firstPosition = logFirstPosition
    const checkpoint = this.#checkpoint.found
    const { queues, index } = this
    const recovered = recoverStore({
      queues,
      index,
      checkpoint,
      bootId,
      logFirstPosition,
      logEndPosition,
      log,
      ...plainPartOf(options, queues, log),
    })
    const { mark } = recovered
    this.rebuilding = recovered.rebuilt && logEndPosition > logFirstPosition
    this.#keeper = this.#makeKeeper(log)
    this.state = this.#keeper.state
    this.queues.isBatchTopic = (topic) => isBatchTopic(this.state.topics.get(topic))
    this.delayProgress = this.#keeper.delayProgress
    this.#dispatcher = new Dispatcher({
      arena,
      files,
      queues,
      index,
      listener: this.#dispatchListener(),
      delayLevelsMs: options.delayLevelsMs ?? APACHE_DELAY_LEVELS_MS,
      position: mark.position,
      stateEnd: mark.stateEnd,
      log,
    })
    this.#keeper.catchUp(Math.min(mark.position, mark.stateEnd))
    this.#writeBack = new WriteBack({
      arena,
      queues,
      index,
      dispatcher: this.#dispatcher,
      checkpoint: this.#checkpoint,
      marks: this.#marks,
      bootId,
      handedOver: mark,
      synced: mark,
      intervals: options.intervals ?? DEFAULT_INTERVALS,
    })
    this.#repair = new QueueRepair({
      files,
      queues,
      delayLevelsMs: options.delayLevelsMs ?? APACHE_DELAY_LEVELS_MS,
      log,
    })
    this.#scrub = new QueueScrub(this.#repair, logFirstPosition, log)
    if (recovered.unread) noteUnread(rootDirectory)
    this.#firstLook = this.#makeFirstLook(log)
    this.#writeBack.settle()
    this.#keeper.takeSnapshot(mark.position)
    this.#reportAt = mark.position + PROGRESS_STEP_BYTES
  }

  /**
   * Applies up to `maxEntries` committed entries; true if there were any. Throws LedgerError
   * `CORRUPT`: stop the thread.
   */
  duty(maxEntries: number = DEFAULT_DUTY_ENTRIES): boolean {
    if (!this.#followLogStart() || this.#stuck) return false
    const before = this.#dispatcher.position
    try {
      this.#keeper.takeSnapshot(before)
      if (!this.#dispatcher.duty(maxEntries)) return false
      this.#keeper.takeSnapshot(this.#dispatcher.position)
    } catch (error) {
      if (!this.#followLogStart()) return false
      this.#waitForSpace(error)
      this.#stuck = true
      return false
    }
    if (before < this.#options.logEndPosition) this.#report()
    return true
  }

  /** Dispatch found no space and stands still until `tick` has written something. */
  get stuck(): boolean {
    return this.#stuck
  }

  /** Every entry that is committed now is applied. */
  get caughtUp(): boolean {
    return this.#dispatcher.position >= this.#options.arena.committed
  }

  get dispatchedPosition(): number {
    return this.#dispatcher.position
  }

  /**
   * A bounded piece of write-back; call it every turn. `idle`: nothing else waits. True while it
   * wants another turn at once; otherwise a turn each second is enough.
   */
  tick(nowMs: number, idle: boolean): boolean {
    if (this.#lacksSpace && Math.abs(nowMs - this.#lackedAtMs) < SPACE_RETRY_MS) return false
    this.#lackedAtMs = nowMs
    try {
      const more = this.#writeSome(nowMs, idle)
      if (this.#lacksSpace) this.#goOn()
      return more
    } catch (error) {
      this.#waitForSpace(error)
      return false
    }
  }

  #writeSome(nowMs: number, idle: boolean): boolean {
    this.#keeper.tick(nowMs)
    if (idle && this.caughtUp) {
      this.#scrub.tick(nowMs, this.queues.logMinPosition, this.#dispatcher.position)
      this.#firstLook?.tick(nowMs, this.queues.logMinPosition)
    }
    return this.#writeBack.tick(nowMs, idle)
  }

  #goOn(): void {
    this.#lacksSpace = false
    this.#stuck = false
    this.#options.log?.(
      this.#waitsForRepair ? 'dispatch goes on' : 'queues, index and tables have space again',
    )
    this.#waitsForRepair = false
  }

  /** A full disk passes. Dispatch goes on in memory as far as that is bounded to go. */
  /** What is lacking may come: space, or an entry of the log that the group repairs. */
  #waitForSpace(error: unknown): void {
    if (error instanceof DamagedLogError) {
      if (!this.#lacksSpace) this.#options.log?.(`dispatch waits for a repair: ${error.message}`)
      this.#lacksSpace = true
      this.#waitsForRepair = true
      return
    }
    if (!isNoSpace(error)) throw error
    this.#keeper.saveSoon()
    if (this.#lacksSpace) return
    this.#lacksSpace = true
    this.#options.log?.(`queues, index and tables wait for space: ${(error as Error).message}`)
  }

  /**
   * A unit that does not stand for its message is looked up in the log and written anew. False: the
   * log does not have the message, or cannot be read there.
   */
  repairUnit(topic: string, queueId: number, queueOffset: number): boolean {
    const queue = this.queues.find(topic, queueId)
    if (queue === undefined) return false
    if (this.#repair.repairUnit(queue, queueOffset, this.#dispatcher.position)) return true
    const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
    if (this.#firstLook === undefined || !queue.unitAt(queueOffset, unit)) return false
    return this.#firstLook.lookAt(unit.physicalOffset)
  }

  /** Checks every unit against the log now. For tests and tools: it takes as long as it takes. */
  scrubQueues(): void {
    const scrub = new QueueScrub(
      this.#repair,
      this.queues.logMinPosition,
      this.#options.log ?? (() => {}),
    )
    scrub.step(Number.POSITIVE_INFINITY, this.#dispatcher.position)
  }

  /** Where the log begins for readers: what lies below is gone, or is about to be deleted. */
  get logFirstPosition(): number {
    return this.queues.logMinPosition
  }

  set logFirstPosition(position: number) {
    this.queues.logMinPosition = position
    this.reader.firstPosition = position
    this.#options.files.forget?.(0)
  }

  /** Recovery of this store may read the log from here on: retention must not pass it. */
  get neededFromPosition(): number {
    if (this.#keeper.lacking) return 0
    const { savedPosition } = this.#keeper
    const { syncedPosition } = this.#writeBack
    const stateNeeds = this.#dispatcher.stateEnd > savedPosition
    return stateNeeds ? Math.min(syncedPosition, savedPosition) : syncedPosition
  }

  /**
   * The log may be deleted below: this store does not need it, nor does a member that begins with
   * what is left, because a snapshot of the tables stands behind.
   */
  get deletableTo(): number {
    if (this.#isPlain) return this.neededFromPosition
    return Math.min(this.neededFromPosition, this.state.snapshotPosition)
  }

  /** Raises `neededFromPosition` in the next turns, as far as it can be raised. */
  syncSoon(): void {
    this.#writeBack.syncSoon()
    this.#keeper.saveSoon()
  }

  /** Of a plain log: a record that is in no log takes effect. */
  applyHere(record: StateRecord): void {
    assert(this.#isPlain, 'records of a Raft log come from the log')
    this.#keeper.applyHere(record, this.#dispatcher.position)
  }

  get #isPlain(): boolean {
    return this.#options.files.plain?.grows ?? false
  }

  /** The tables lack records that the log has no more: a snapshot is wanted. */
  get lacksState(): boolean {
    return this.#keeper.lacking
  }

  /** Writes and syncs everything. */
  close(): void {
    this.#writeBack.settle()
    this.#keeper.saveNow()
    this.queues.close()
    this.index.close()
    this.#checkpoint.close()
    this.#options.files.plain?.close()
    this.#marks.close(true)
  }

  /**
   * Lets go of every file and writes nothing, as a crash would; for a thread that stops on an
   * error.
   */
  abandon(): void {
    this.queues.abandon()
    this.index.abandon()
    this.#checkpoint.close()
    this.#options.files.plain?.close()
    this.#marks.close(false)
  }

  #makeFirstLook(log: (line: string) => void): FirstLook | undefined {
    const { plain } = this.#options.files
    if (plain === undefined) return undefined
    const { firstPosition, dividedPosition } = plain
    const { rootDirectory } = this.#options
    const repair = this.#repair
    return new FirstLook({ rootDirectory, repair, firstPosition, dividedPosition, log })
  }

  #makeKeeper(log: (line: string) => void): StateKeeper {
    const { rootDirectory, arena, logFirstPosition, logEndPosition, limits, nowMs } = this.#options
    const directory = join(rootDirectory, 'config')
    const plain = this.#isPlain
    return new StateKeeper(
      { directory, arena, logFirstPosition, logEndPosition, plain, limits, nowMs, log },
      {
        replay: (from, to) => this.#dispatcher.replayState(from, to),
        deleteQueues: (topic, endPosition) => this.#deleteQueues(topic, endPosition),
        raiseQueue: (...raised) => this.queues.raise(...raised),
        onRecord: (...record) => this.#listener.onRecord(...record),
        onStateReplaced: () => this.#listener.onReplaced(),
      },
    )
  }

  /** False: nothing may be read now. */
  #followLogStart(): boolean {
    const start = this.#options.logStart?.() ?? this.#logStart
    if (start === this.#logStart) return start !== LOG_RESETTING
    this.#logStart = start
    if (start === LOG_RESETTING) return false
    this.#beginAnew(start)
    return true
  }

  /** The log was dropped and begins at `position` now, because nobody has what this node lacks. */
  #beginAnew(position: number): void {
    this.logFirstPosition = position
    // Between it and the log there is nothing any more.
    this.#options.files.plain?.removeBelow(position)
    // Else it was further once, and the same entries come again.
    if (this.#dispatcher.position < position) {
      this.#keeper.logBeginsAt(position)
      this.queues.clear()
      this.index.clear()
      this.#dispatcher.beginAt(position)
      this.#writeBack.begunAnew()
    }
    this.#stuck = false
    this.#listener.onReplaced()
  }

  #dispatchListener(): DispatchListener {
    return {
      onMessage: (queue, queueOffset, tagsCode) =>
        this.#listener.onMessage(queue, queueOffset, tagsCode),
      onState: (...record) => this.#keeper.onState(...record),
      onDelayMark: (...mark) => this.#keeper.onDelayMark(...mark),
    }
  }

  /**
   * Synced before and noted after, so that recovery finds the totals it expects whenever the
   * machine stops.
   */
  #deleteQueues(topic: string, endPosition: number): void {
    if (!this.queues.hasTopic(topic)) return
    this.#writeBack.settle()
    this.queues.deleteTopic(topic)
    this.#writeBack.settledBehindRecord(endPosition)
  }

  #report(): void {
    const { onProgress, logEndPosition } = this.#options
    const { position } = this.#dispatcher
    if (position < this.#reportAt && position < logEndPosition) return
    this.#reportAt = position + PROGRESS_STEP_BYTES
    onProgress?.(Math.min(position, logEndPosition), logEndPosition)
  }
}

function queueOptions(
  options: BrokerStoreOptions,
  log: (line: string) => void,
): ConstructorParameters<typeof ConsumeQueues>[0] {
  return {
    directory: join(options.rootDirectory, 'consumequeue'),
    log,
    ...(options.consumeQueueFileBytes && { fileBytes: options.consumeQueueFileBytes }),
    ...(options.maxOpenFiles && { maxOpenFiles: options.maxOpenFiles }),
  }
}

function indexOptions(
  options: BrokerStoreOptions,
  log: (line: string) => void,
): ConstructorParameters<typeof KeyIndex>[0] {
  return {
    directory: join(options.rootDirectory, 'index'),
    log,
    ...(options.indexSlots && { slots: options.indexSlots }),
    ...(options.indexEntries && { entries: options.indexEntries }),
    ...(options.nowMs && { nowMs: options.nowMs }),
  }
}
