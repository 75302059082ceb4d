/**
 * Builds what a plain store has beside its commit log, from the messages in log order: consume
 * queues, key index, tables, checkpoint. Apache would rebuild the queues too, but 4.9.4 looks at
 * them for the delays' progress before it has, a queue whose messages have all expired would begin
 * at 0 again, and 5.4.0 needs a start as long as the log. Owns the invariants: `save` is durable,
 * and a builder that resumes from it ends with the same queues, index and tables; progress of
 * delays is such that exactly what was not delivered is pending.
 */
import { closeSync, cpSync, existsSync, fsyncSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, syncDirectory, writeFully } from '@ringledger/base/internal'
import { CQ_FILLER_SIZE, MessageSysFlag, SystemTopic, setInt64 } from '@ringledger/protocol'
import { levelOfMark, queueOffsetOfMark } from '../delay-levels.ts'
import { DelayProgress } from '../delay-progress.ts'
import { isBatchTopic } from '../state/configs.ts'
import { decodeStateRecord } from '../state/records.ts'
import { ReplicatedState } from '../state/replicated-state.ts'
import { StateFiles } from '../state/state-files.ts'
import { APACHE_DELAY_LEVELS_MS } from './broker-store.ts'
import { ConsumeQueues } from './consume-queues.ts'
import { EntryPlan, PlanKind } from './entry-plan.ts'
import { type IndexMark, KeyIndex } from './key-index.ts'
import { setQueueFileTimes } from './queue-file-times.ts'
import { StoppedQueues } from './stopped-queues.ts'

export interface PlainStoreBuilderOptions {
  /** The store that is being built; its commit log is not this class's. */
  readonly rootDirectory: string
  /** The stopped store that the messages come from; only read. */
  readonly sourceDirectory: string
  readonly consumeQueueFileBytes: number
  readonly indexSlots: number
  readonly indexEntries: number
  /** messageDelayLevel in ms; default Apache's 18 levels. */
  readonly delayLevelsMs?: readonly number[]
  /** First byte of the new log. */
  readonly logFirstOffset: number
  /** Where the new log ended when `mark` was saved. */
  readonly resume?: { readonly mark: BuilderMark; readonly endOffset: number }
  /** Timer messages get no queue: they stay in the log, and nothing delivers them. */
  readonly dropTimers?: boolean
  readonly log?: (line: string) => void
}

/** What has to be remembered beside the files; plain JSON. */
export interface BuilderMark {
  readonly index: IndexMark
  /** Delivered delayed messages beyond the progress that the tables knew then. */
  readonly deliveredEarly: readonly number[]
  readonly lastStoreTimestampMs: number
}

export interface BuiltStore {
  readonly queues: number
  readonly units: number
  /** Queues without a message in the log that keep their next offset. */
  readonly expiredQueues: number
  /** Delayed messages that are still to be delivered. */
  readonly delayedPending: number
  /** Queues that ended further on in the source than its log gives; one line each. */
  readonly shortQueues: readonly string[]
}

/** A delayed message that was delivered already keeps its place; no reader decodes 8 bytes. */
const DELIVERED_UNIT_BYTES = 8
const APACHE_CHECKPOINT_BYTES = 4096
const BATCH_QUEUES = 'batchconsumequeue'
/** In the source's `config/` and of no use to a plain store of other offsets. */
const LEFT_OUT = /^(timercheck.*|.*\.tmp)$/

export class PlainStoreBuilder {
  readonly #options: PlainStoreBuilderOptions
  readonly #queues: ConsumeQueues
  readonly #index: KeyIndex
  readonly #stateFiles: StateFiles
  readonly #state: ReplicatedState
  readonly #tablesApplied: number
  readonly #delayProgress = new DelayProgress()
  readonly #deliveredEarly: Set<number>
  readonly #sourceQueues: StoppedQueues
  readonly #plan: EntryPlan
  /**
   * Topics whose messages are found by batch queues: those that the source has, or whose batches
   * were seen. Apache does not start when one of them has an ordinary queue.
   */
  readonly #batchTopics: Set<string>
  #lastStoreTimestampMs: number

  /** @throws LedgerError CORRUPT when the source's tables cannot be read, DISK_FULL, DISK_FAILED */
  constructor(options: PlainStoreBuilderOptions) {
    const { rootDirectory, sourceDirectory, resume, logFirstOffset } = options
    const log = options.log ?? (() => {})
    this.#options = options
    this.#queues = new ConsumeQueues({
      directory: join(rootDirectory, 'consumequeue'),
      fileBytes: options.consumeQueueFileBytes,
      log,
    })
    this.#plan = new EntryPlan(this.#queues, options.delayLevelsMs ?? APACHE_DELAY_LEVELS_MS)
    this.#batchTopics = new Set(namesIn(join(sourceDirectory, BATCH_QUEUES)))
    this.#index = new KeyIndex({
      directory: join(rootDirectory, 'index'),
      slots: options.indexSlots,
      entries: options.indexEntries,
      log,
    })
    this.#queues.logMinPosition = logFirstOffset
    if (resume === undefined) {
      this.#queues.clear()
      this.#index.clear()
      copyTables(join(sourceDirectory, 'config'), join(rootDirectory, 'config'))
    } else {
      this.#queues.recover(resume.endOffset, false)
      this.#index.recover(resume.mark.index, false)
    }
    this.#stateFiles = new StateFiles(join(rootDirectory, 'config'), log)
    this.#state = new ReplicatedState(this.#stateFiles.load())
    this.#tablesApplied = this.#state.appliedPosition
    this.#deliveredEarly = new Set(resume?.mark.deliveredEarly)
    this.#lastStoreTimestampMs = resume?.mark.lastStoreTimestampMs ?? 0
    this.#sourceQueues = new StoppedQueues(join(sourceDirectory, 'consumequeue'))
  }

  /**
   * The message `bytes[offset, offset + sizeBytes)`, as it stands in the new log at
   * `physicalOffset`. `wasPlain`: it stood in a plain log before, where its batch queue is known.
   * @throws LedgerError CORRUPT when it is no sound message, BAD_REQUEST when no queue can take it
   */
  addMessage(
    bytes: Buffer,
    view: DataView,
    offset: number,
    sizeBytes: number,
    physicalOffset: number,
    wasPlain: boolean,
  ): void {
    const plan = this.#plan
    const problem = plan.lookPlain(bytes, view, offset, physicalOffset, sizeBytes, false)
    if (problem !== '') {
      throw new LedgerError('CORRUPT', `offset ${physicalOffset}: found ${problem}`)
    }
    if (plan.kind === PlanKind.SKIPPED) return
    if (plan.kind === PlanKind.MESSAGE) this.#addUnit(wasPlain)
    const { storeTimestampMs } = plan.message
    for (let key = 0; key < plan.keyCount; key++) {
      this.#index.put(plan.keyHashes[key]!, physicalOffset, storeTimestampMs)
    }
  }

  /** A state record of ours, as the source's log holds it at `position`. */
  applyRecord(text: string, position: number, endPosition: number): void {
    const record = decodeStateRecord(text)
    if (record.kind === 'deleteTopic') this.#queues.deleteTopic(record.topic)
    this.#state.apply(record, position, endPosition)
  }

  /** What a message carried in its prepared-transaction offset; counts if it is a delay's mark. */
  applyDelayMark(mark: number, position: number, endPosition: number): void {
    const level = levelOfMark(mark)
    if (level === 0) return
    const progressOf = (of: number): number => this.#state.delayOffset(of)
    if (queueOffsetOfMark(mark) >= progressOf(level)) this.#deliveredEarly.add(mark)
    if (position < this.#state.appliedPosition) return
    const moved = this.#delayProgress.fold(mark, progressOf)
    if (moved === undefined) return
    this.#state.apply({ kind: 'delay', entries: [moved] }, position, endPosition)
    this.#deliveredEarly.delete(mark)
  }

  /** Everything so far is durable on return. */
  save(): BuilderMark {
    this.#queues.sync()
    this.#index.sync()
    if (this.#state.appliedPosition !== this.#tablesApplied) this.#stateFiles.save(this.#state)
    return {
      index: this.#index.mark,
      deliveredEarly: [...this.#deliveredEarly],
      lastStoreTimestampMs: this.#lastStoreTimestampMs,
    }
  }

  /** The last steps, durable on return; may be repeated after a crash. The log is complete. */
  finish(sourceEnd: number): BuiltStore {
    const { expiredQueues, shortQueues } = this.#keepEnds(sourceEnd)
    const delayedPending = this.#settleDelays()
    const batches = join(this.#options.sourceDirectory, BATCH_QUEUES)
    const target = join(this.#options.rootDirectory, BATCH_QUEUES)
    onDisk('batch queues', () => {
      if (existsSync(batches))
        cpSync(batches, target, { recursive: true, preserveTimestamps: true })
    })
    this.save()
    this.#removeOurs()
    syncFiles(join(this.#options.rootDirectory, 'config'))
    syncFiles(target)
    onDisk('times of queue files', () => setQueueFileTimes(this.#options.rootDirectory))
    this.#writeCheckpoint()
    const { units, queues } = this.#queues.totals
    return { queues, units, expiredQueues, delayedPending, shortQueues }
  }

  close(): void {
    this.#queues.close()
    this.#index.close()
  }

  /** Lets go of every file, as a crash would. */
  abandon(): void {
    this.#queues.abandon()
    this.#index.abandon()
  }

  #addUnit(wasPlain: boolean): void {
    const { message, topic, topicText, alsoIn } = this.#plan
    const { queueId, queueOffset, physicalOffset, sizeBytes } = message
    const name = topic?.topic ?? topicText
    this.#lastStoreTimestampMs = message.storeTimestampMs
    if (this.#options.dropTimers === true && name === SystemTopic.TIMER) return
    const isBatch = (message.sysFlag & MessageSysFlag.INNER_BATCH) !== 0
    if (isBatch) this.#batchTopics.add(name)
    if (this.#hasBatchQueues(name)) {
      // The units are in the copied batch queue already.
      if (wasPlain) return
      throw new LedgerError(
        'BAD_REQUEST',
        `${name} has batch queues, and message ${queueOffset} of its queue ${queueId} was written in DLedger mode`,
      )
    }
    const tagsCode = this.#tagsCode(name)
    const queue = topic?.queues.get(queueId) ?? this.#queues.obtain(name, queueId)
    queue.append(queueOffset, physicalOffset, sizeBytes, tagsCode)
    for (const also of alsoIn) {
      // In DLedger mode only Apache's broker shows a message in further queues.
      const isShown = this.#sourceQueues.unitAt(also.topic, also.queueId, also.queueOffset)
      if (!wasPlain && isShown === undefined) continue
      const { topic: lmq, queueId: lmqId, queueOffset: lmqOffset } = also
      this.#queues.append(lmq, lmqId, lmqOffset, physicalOffset, sizeBytes, tagsCode)
    }
  }

  #hasBatchQueues(topic: string): boolean {
    if (this.#batchTopics.has(topic)) return true
    return isBatchTopic(this.#state.topics.get(topic))
  }

  /** A delayed message keeps the time that it was given, whatever the levels are today. */
  #tagsCode(topic: string): number {
    const { message, tagsCode } = this.#plan
    if (topic !== SystemTopic.SCHEDULE) return tagsCode
    const given = this.#sourceQueues.unitAt(topic, message.queueId, message.queueOffset)
    return given?.sizeBytes === message.sizeBytes ? given.tagsCode : tagsCode
  }

  /** A queue whose messages have all expired goes on at its offset, not at 0. */
  #keepEnds(sourceEnd: number): { expiredQueues: number; shortQueues: string[] } {
    const shortQueues: string[] = []
    let expiredQueues = 0
    const belowLog = Math.max(0, this.#options.logFirstOffset - 1)
    for (const { topic, queueId, maxOffset, lastUnit } of this.#sourceQueues.ends(sourceEnd)) {
      const ours = this.#queues.maxOffset(topic, queueId)
      if (ours >= maxOffset) continue
      if (this.#options.dropTimers === true && topic === SystemTopic.TIMER) continue
      if (this.#hasBatchQueues(topic)) continue
      if (ours > 0 || lastUnit.physicalOffset >= this.#options.logFirstOffset) {
        shortQueues.push(`${topic}/${queueId} ends at ${ours}, its old queue at ${maxOffset}`)
        continue
      }
      this.#queues.append(topic, queueId, maxOffset - 1, belowLog, 1, 0)
      expiredQueues++
    }
    return { expiredQueues, shortQueues }
  }

  /**
   * Apache's service goes through a level's queue from its progress on, and passes over units that
   * it cannot decode: so do those that were delivered out of order.
   */
  #settleDelays(): number {
    let pending = 0
    this.#queues.forEachQueueOf(SystemTopic.SCHEDULE, (queue) => {
      const from = this.#state.delayOffset(queue.queueId + 1)
      pending += Math.max(0, queue.maxOffset - Math.max(from, queue.minOffset))
    })
    for (const mark of this.#deliveredEarly) {
      const level = levelOfMark(mark)
      const queueOffset = queueOffsetOfMark(mark)
      const queue = this.#queues.find(SystemTopic.SCHEDULE, level - 1)
      const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
      if (queue === undefined || queueOffset < this.#state.delayOffset(level)) continue
      if (!queue.unitAt(queueOffset, unit) || unit.sizeBytes === CQ_FILLER_SIZE) continue
      queue.rewriteUnit(queueOffset, unit.physicalOffset, DELIVERED_UNIT_BYTES, unit.tagsCode)
      pending--
    }
    return pending
  }

  #removeOurs(): void {
    const directory = join(this.#options.rootDirectory, 'config')
    onDisk('tables', () => {
      for (const name of namesIn(directory)) {
        if (name.startsWith('ringledger-')) rmSync(join(directory, name))
      }
    })
  }

  #writeCheckpoint(): void {
    const bytes = Buffer.alloc(APACHE_CHECKPOINT_BYTES)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    setInt64(view, 0, this.#lastStoreTimestampMs)
    setInt64(view, 8, this.#lastStoreTimestampMs)
    setInt64(view, 16, this.#index.lastUpdateTimestampMs)
    onDisk('checkpoint', () => {
      const descriptor = openSync(join(this.#options.rootDirectory, 'checkpoint'), 'w')
      try {
        writeFully(descriptor, bytes, 0, bytes.length, 0, 'checkpoint')
        fsyncSync(descriptor)
      } finally {
        closeSync(descriptor)
      }
    })
    syncDirectory(this.#options.rootDirectory)
  }
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function copyTables(from: string, to: string): void {
  onDisk('copy of the tables', () => {
    rmSync(to, { recursive: true, force: true })
    if (!existsSync(from)) return
    cpSync(from, to, {
      recursive: true,
      preserveTimestamps: true,
      filter: (path) => path === from || !LEFT_OUT.test(path.slice(from.length + 1)),
    })
  })
}

function syncFiles(directory: string): void {
  if (!existsSync(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) syncDirectory(path)
    else onDisk(`sync of ${path}`, () => syncFile(path))
  }
  syncDirectory(directory)
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
