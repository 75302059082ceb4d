/**
 * All consume queues of a store: look-up by text or by the bytes in a message, write-back and sync
 * in small steps. Owns the directory `consumequeue`; a handle stays valid until its topic is
 * deleted.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { assert, LedgerError } from '@ringledger/base'
import { onDisk, syncDirectory } from '@ringledger/base/internal'
import { ConsumeQueue, type UnitVisitor } from './consume-queue.ts'
import { recoverQueue } from './queue-recovery.ts'
import type { TimeBoundary } from './queue-search.ts'
import { APART_PREFIX, QueueStorage, type QueueStorageOptions } from './queue-storage.ts'
import { type TopicQueues, TopicQueueTable } from './topic-queue-table.ts'

const TRASH_SUFFIX = '.deleted'
const QUEUE_NAME = /^\d{1,9}$/
const APART_NAME = /^b\d{1,9}$/

export class ConsumeQueues {
  /**
   * Whether a topic's attributes say that Apache has batch queues for it (`queue.type=BatchCQ`).
   */
  isBatchTopic: (topic: string) => boolean = () => false
  readonly #storage: QueueStorage
  readonly #table = new TopicQueueTable()
  #flushing: ConsumeQueue[] = []
  #syncing: ConsumeQueue[] = []

  constructor(options: QueueStorageOptions) {
    this.#storage = new QueueStorage(options)
    onDisk('consume queues', () => {
      mkdirSync(this.#storage.directory, { recursive: true })
      rmSync(this.#trashPath(), { recursive: true, force: true })
    })
  }

  /**
   * Sum of maxOffset over all queues, and how many have units: recovery compares them with its
   * checkpoint.
   */
  get totals(): { units: number; queues: number } {
    return { units: this.#storage.unitTotal, queues: this.#storage.queueTotal }
  }

  get openFileCount(): number {
    return this.#storage.files.count
  }

  /**
   * Position of the log's first byte: units of messages below it do not count as stored any more.
   */
  get logMinPosition(): number {
    return this.#storage.logMinPosition
  }

  set logMinPosition(position: number) {
    this.#storage.logMinPosition = position
  }

  /**
   * Before anything else: takes over what the files hold of messages below `limitPosition`.
   * `pagesTrusted`: the machine did not go down since they were written. Throws LedgerError
   * `CORRUPT` when files do not fit together; then `clear` and dispatch the whole log. `ends`:
   * where queues end, by directory; without it that is found out, which takes files without holes.
   */
  recover(limitPosition: number, pagesTrusted: boolean, ends?: ReadonlyMap<string, number>): void {
    const { directory } = this.#storage
    for (const topic of directoriesIn(directory)) {
      for (const queueId of this.#queueIdsOf(topic)) {
        const path = this.#storage.queueDirectory(topic, queueId)
        const end = ends === undefined ? Number.POSITIVE_INFINITY : (ends.get(path) ?? 0)
        const found = recoverQueue(this.#storage, path, limitPosition, pagesTrusted, end)
        if (found !== undefined) this.obtain(topic, queueId).restore(found.first, found.max)
      }
    }
  }

  /** Removes every queue, files included. */
  clear(): void {
    for (const queue of this.#table.all()) queue.drop()
    this.#table.clear()
    this.#storage.batchTopics.clear()
    this.#forgetLists()
    onDisk('removal of the consume queues', () => {
      rmSync(this.#storage.directory, { recursive: true, force: true })
      mkdirSync(this.#storage.directory, { recursive: true })
    })
  }

  find(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#table.byName(topic)?.queues.get(queueId)
  }

  /**
   * The queue, made (in memory only) when needed. Check topic and queue id before: handles stay.
   */
  obtain(topic: string, queueId: number): ConsumeQueue {
    const known = this.find(topic, queueId)
    if (known !== undefined) return known
    checkName(topic, queueId)
    if (!this.hasTopic(topic) && this.isBatchTopic(topic)) this.#storage.batchTopics.add(topic)
    const queue = new ConsumeQueue(this.#storage, topic, queueId)
    this.#table.add(topic).queues.set(queueId, queue)
    return queue
  }

  /**
   * The queues of the topic whose name is `bytes[start, end)`; undefined when it has none. Makes no
   * string.
   */
  topicByBytes(bytes: Buffer, start: number, end: number): TopicQueues | undefined {
    return this.#table.byBytes(bytes, start, end)
  }

  append(
    topic: string,
    queueId: number,
    queueOffset: number,
    physicalOffset: number,
    sizeBytes: number,
    tagsCode: number,
  ): void {
    this.obtain(topic, queueId).append(queueOffset, physicalOffset, sizeBytes, tagsCode)
  }

  maxOffset(topic: string, queueId: number): number {
    return this.find(topic, queueId)?.maxOffset ?? 0
  }

  minOffset(topic: string, queueId: number): number {
    return this.find(topic, queueId)?.minOffset ?? 0
  }

  read(
    topic: string,
    queueId: number,
    fromOffset: number,
    maxUnits: number,
    visit: UnitVisitor,
  ): number {
    return this.find(topic, queueId)?.read(fromOffset, maxUnits, visit) ?? fromOffset
  }

  offsetByTime(
    topic: string,
    queueId: number,
    timestampMs: number,
    boundary: TimeBoundary,
    storeTimestampOf: (physicalOffset: number, sizeBytes: number) => number,
  ): number {
    return this.find(topic, queueId)?.offsetByTime(timestampMs, boundary, storeTimestampOf) ?? 0
  }

  forEachQueue(visit: (queue: ConsumeQueue) => void): void {
    for (const queue of this.#table.all()) visit(queue)
  }

  hasTopic(topic: string): boolean {
    return this.#table.byName(topic) !== undefined
  }

  forEachQueueOf(topic: string, visit: (queue: ConsumeQueue) => void): void {
    for (const queue of this.#table.byName(topic)?.queues.values() ?? []) visit(queue)
  }

  /** See `ConsumeQueue.raise`. */
  raise(topic: string, queueId: number, nextOffset: number, logPosition: number): void {
    if (this.maxOffset(topic, queueId) >= nextOffset) return
    this.obtain(topic, queueId).raise(nextOffset, logPosition)
  }

  /** Removes the topic's queues and their files. Handles of them are dead afterwards. */
  deleteTopic(topic: string): void {
    const queues = this.#table.byName(topic)
    if (queues === undefined) return
    for (const queue of queues.queues.values()) queue.drop()
    this.#table.remove(topic)
    this.#storage.batchTopics.delete(topic)
    const path = join(this.#storage.directory, topic)
    onDisk(`removal of the queues of ${topic}`, () => {
      if (statSync(path, { throwIfNoEntry: false }) === undefined) return
      renameSync(path, this.#trashPath())
      syncDirectory(this.#storage.directory)
      rmSync(this.#trashPath(), { recursive: true })
    })
  }

  /** From here on `flushStep` works on the units appended so far. */
  beginFlush(): void {
    assert(this.#flushing.length === 0, 'one flush at a time')
    this.#flushing = this.#storage.unwritten
    this.#storage.unwritten = []
  }

  /** Hands up to `maxQueues` queues to the kernel; true while more are left. */
  flushStep(maxQueues: number): boolean {
    for (let count = 0; count < maxQueues; count++) {
      const queue = this.#flushing.at(-1)
      if (queue === undefined) return false
      queue.writeOut()
      this.#flushing.pop()
    }
    return this.#flushing.length > 0
  }

  /** From here on `syncStep` works on what was handed to the kernel so far. */
  beginSync(): void {
    assert(this.#syncing.length === 0, 'one sync at a time')
    this.#syncing = this.#storage.unsynced
    this.#storage.unsynced = []
  }

  /** Syncs one file; true while more are left. */
  syncStep(): boolean {
    const queue = this.#syncing.at(-1)
    if (queue === undefined) return false
    if (!queue.syncOne()) this.#syncing.pop()
    return this.#syncing.length > 0
  }

  /** Hands everything to the kernel. */
  flush(): void {
    while (this.#flushing.length > 0) this.flushStep(1024)
    this.beginFlush()
    while (this.flushStep(1024));
  }

  /** `flush`, and waits until it is on the disk. */
  sync(): void {
    this.flush()
    while (this.syncStep());
    this.beginSync()
    while (this.syncStep());
  }

  /** Flushes and closes every file. */
  close(): void {
    this.flush()
    this.abandon()
    // Of these it was not known when they were made: a member may get topics after their messages.
    const known = new Set<string>()
    for (const { topic } of this.#table.all()) known.add(topic)
    for (const topic of known) if (this.isBatchTopic(topic)) this.#setApart(topic)
  }

  /** Closes every file and writes nothing. */
  abandon(): void {
    this.#storage.files.closeAll()
  }

  /** The ids of the topic's queues that are in files; none of a topic's stand as Apache's alone. */
  #queueIdsOf(topic: string): number[] {
    const path = join(this.#storage.directory, topic)
    const isApart = directoriesIn(path).some((name) => APART_NAME.test(name))
    if (isApart) this.#setApart(topic)
    return directoriesIn(path)
      .filter((name) => (isApart ? APART_NAME : QUEUE_NAME).test(name))
      .map((name) => Number(isApart ? name.slice(APART_PREFIX.length) : name))
  }

  /** The directories of the topic's queues get names that Apache passes over. */
  #setApart(topic: string): void {
    const { directory, batchTopics } = this.#storage
    batchTopics.add(topic)
    const path = join(directory, topic)
    if (!existsSync(path)) return
    for (const name of directoriesIn(path)) {
      if (!QUEUE_NAME.test(name)) continue
      const target = this.#storage.queueDirectory(topic, Number(name))
      if (existsSync(target)) {
        throw new LedgerError('CORRUPT', `${join(path, name)} and ${target} are one queue`)
      }
      onDisk(`naming of ${target}`, () => renameSync(join(path, name), target))
    }
  }

  #trashPath(): string {
    return this.#storage.directory + TRASH_SUFFIX
  }

  #forgetLists(): void {
    this.#flushing = []
    this.#syncing = []
    this.#storage.unwritten = []
    this.#storage.unsynced = []
  }
}

function directoriesIn(directory: string): string[] {
  const names: string[] = []
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) names.push(entry.name)
  }
  return names
}

/** A topic becomes a directory name: refuse what would lead elsewhere. */
function checkName(topic: string, queueId: number): void {
  const isName = topic !== '' && topic !== '.' && topic !== '..' && !/[/\0]/.test(topic)
  if (!isName || !Number.isSafeInteger(queueId) || queueId < 0) {
    throw new LedgerError(
      'CORRUPT',
      `"${topic}" with queue id ${queueId} cannot be a consume queue`,
    )
  }
}
