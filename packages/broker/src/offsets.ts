/**
 * Consumer offsets. The leader applies an update to its memory at once and writes it to the log in
 * batches; what is not yet in the replicated state lies in an overlay over it. Owns the invariants:
 * an overlay entry lives until a record that carries it was applied; a node that does not lead has
 * no overlay; a queue whose offset was reset on the server side keeps that offset until its
 * consumer was told (rocketmq-remoting.md §5.5, §5.6).
 */

import { MAX_OFFSETS_PER_RECORD, type StateRecord } from './state/records.ts'
import type { ReplicatedState } from './state/replicated-state.ts'
import type { ChangeFailure, OnChange, StateChanges } from './state-changes.ts'

/** Dirty offsets are written this often at most. */
export const OFFSETS_FLUSH_MS = 200
/** Distinct (topic, group, queue) triples that wait to be written; more are refused as busy. */
const MAX_DIRTY = 500_000
const MAX_RECORDS_UNDER_WAY = 4
const MAX_PULLED = 200_000
const ENTRIES_PER_RECORD = Math.min(1_000, MAX_OFFSETS_PER_RECORD)

interface Pending {
  readonly topic: string
  readonly group: string
  readonly queueId: number
  offset: number
  /** Changed since it was last put into a record. */
  dirty: boolean
  /** Records with an offset of it that are under way. */
  recordsUnderWay: number
}

export type SyncOutcome = (failure: ChangeFailure) => void
type StoredOffsets = Pick<ReplicatedState, 'offset' | 'forEachOffset'>

export class ConsumerOffsets {
  readonly #state: StoredOffsets
  readonly #changes: StateChanges
  readonly #overlay = new Map<string, Pending>()
  readonly #dirty = new Set<Pending>()
  /** Where each group's last pull ended, for statistics only. */
  readonly #pulledTo = new Map<string, number>()
  /** Reset offsets that the consumer has not been told of. */
  readonly #resets = new Map<string, number>()
  /** Queues whose reset is under way: nothing else may be written for them. */
  readonly #resetting = new Set<string>()
  /** Waiting for the next record to be proposed. */
  #nextSync: SyncOutcome[] = []
  #recordsUnderWay = 0
  #flushAtMs = Number.POSITIVE_INFINITY
  #lastMs = 0

  constructor(state: StoredOffsets, changes: StateChanges) {
    this.#state = state
    this.#changes = changes
  }

  /** Next offset to consume, -1 when the group never committed one. */
  query(topic: string, group: string, queueId: number): number {
    const pending = this.#overlay.get(keyOf(topic, group, queueId))
    return pending?.offset ?? this.#state.offset(topic, group, queueId)
  }

  /** Every known offset of a group on a topic, newest values. */
  forEach(topic: string, group: string, visit: (queueId: number, offset: number) => void): void {
    const seen = new Set<number>()
    this.#state.forEachOffset(topic, group, (queueId) => {
      seen.add(queueId)
      visit(queueId, this.query(topic, group, queueId))
    })
    for (const pending of this.#overlay.values()) {
      if (pending.topic !== topic || pending.group !== group || seen.has(pending.queueId)) continue
      visit(pending.queueId, pending.offset)
    }
  }

  /** Leader only. False: too many are waiting to be written. Ignored while a reset is pending. */
  update(topic: string, group: string, queueId: number, offset: number, nowMs: number): boolean {
    const key = keyOf(topic, group, queueId)
    if (this.#resets.has(key) || this.#resetting.has(key)) return true
    let pending = this.#overlay.get(key)
    if (pending === undefined) {
      if (this.#state.offset(topic, group, queueId) === offset) return true
      if (this.#overlay.size >= MAX_DIRTY) return false
      pending = { topic, group, queueId, offset, dirty: true, recordsUnderWay: 0 }
      this.#overlay.set(key, pending)
    } else if (pending.offset === offset) {
      return true
    }
    pending.offset = offset
    pending.dirty = true
    this.#dirty.add(pending)
    this.#schedule(nowMs)
    return true
  }

  /** Remembers where a pull ended; beyond the bound new queues are not remembered. */
  notePull(topic: string, group: string, queueId: number, nextOffset: number): void {
    const key = keyOf(topic, group, queueId)
    if (this.#pulledTo.size < MAX_PULLED || this.#pulledTo.has(key)) {
      this.#pulledTo.set(key, nextOffset)
    }
  }

  /** The larger of the committed offset and where the group's last pull ended; -1 for neither. */
  pullOffset(topic: string, group: string, queueId: number): number {
    const pulledTo = this.#pulledTo.get(keyOf(topic, group, queueId)) ?? -1
    return Math.max(pulledTo, this.query(topic, group, queueId))
  }

  /** Calls back once everything updated so far is in the log and applied. */
  sync(onDone: SyncOutcome, nowMs: number): void {
    this.#nextSync.push(onDone)
    this.#schedule(nowMs)
  }

  get nextFlushMs(): number {
    return this.#recordsUnderWay >= MAX_RECORDS_UNDER_WAY
      ? Number.POSITIVE_INFINITY
      : this.#flushAtMs
  }

  /** Leader only: writes what is dirty and due. True if anything was proposed. */
  flush(nowMs: number): boolean {
    if (nowMs < this.nextFlushMs) return false
    this.#lastMs = nowMs
    this.#flushAtMs = Number.POSITIVE_INFINITY
    let failure: ChangeFailure
    while (this.#dirty.size > 0 && this.#recordsUnderWay < MAX_RECORDS_UNDER_WAY) {
      const entries = this.#takeDirty()
      const waiters = this.#dirty.size === 0 ? this.#takeSyncs() : []
      failure = this.#write(entries, waiters)
      if (failure === undefined) continue
      this.#returned(entries, failure)
      for (const onDone of waiters) onDone(failure)
      break
    }
    if (this.#dirty.size > 0) this.#schedule(nowMs)
    else if (this.#recordsUnderWay === 0) for (const onDone of this.#takeSyncs()) onDone(failure)
    return failure === undefined
  }

  /**
   * Sets offsets from the server's side: at once for queries, and the next pull of each queue is
   * told. Returns a failure when nothing was written; `onDone` is called otherwise.
   */
  reset(
    topic: string,
    group: string,
    entries: [queueId: number, offset: number][],
    onDone: OnChange,
  ): ChangeFailure {
    const keys = entries.map(([queueId]) => keyOf(topic, group, queueId))
    const failure = this.#changes.propose(
      { kind: 'resetOffset', topic, group, entries },
      (outcome) => {
        for (const key of keys) this.#resetting.delete(key)
        onDone(outcome)
      },
    )
    if (failure !== undefined) return failure
    for (const key of keys) {
      this.#resetting.add(key)
      this.#forget(key)
    }
    return undefined
  }

  /** The offset that the queue was reset to, once; undefined when there was no reset. */
  takeReset(topic: string, group: string, queueId: number): number | undefined {
    const key = keyOf(topic, group, queueId)
    const offset = this.#resets.get(key)
    if (offset !== undefined) this.#resets.delete(key)
    return offset
  }

  /** A reset that its consumer has not seen yet: its updates do not count until then. */
  resetPending(topic: string, group: string, queueId: number): boolean {
    if (this.#resets.size === 0 && this.#resetting.size === 0) return false
    const key = keyOf(topic, group, queueId)
    return this.#resets.has(key) || this.#resetting.has(key)
  }

  /** Every applied record comes by here, on every node. */
  onRecord(record: StateRecord): void {
    if (record.kind === 'deleteTopic' || record.kind === 'deleteGroup') this.#pulledTo.clear()
    if (record.kind === 'deleteTopic') this.#forgetAll(({ topic }) => topic === record.topic)
    if (record.kind === 'deleteGroup' && record.cleanOffset) {
      this.#forgetAll(({ group }) => group === record.group)
    }
    if (record.kind === 'offsets') {
      if (this.#resets.size === 0) return
      // A consumer that commits again has been told by the leader of that time.
      for (const [topic, group, queueId] of record.entries) {
        this.#resets.delete(keyOf(topic, group, queueId))
      }
    } else if (record.kind === 'resetOffset') {
      for (const [queueId, offset] of record.entries) {
        const key = keyOf(record.topic, record.group, queueId)
        this.#forget(key)
        this.#resets.set(key, offset)
      }
    }
  }

  /** This node leads no longer: what was not committed is forgotten. */
  stepDown(): void {
    this.#overlay.clear()
    this.#dirty.clear()
    this.#flushAtMs = Number.POSITIVE_INFINITY
    this.#resetting.clear()
    for (const onDone of this.#takeSyncs()) {
      onDone({ code: 'LEADERSHIP_LOST', message: 'this node does not lead any more' })
    }
  }

  #schedule(nowMs: number): void {
    this.#lastMs = Math.max(this.#lastMs, nowMs)
    this.#flushAtMs = Math.min(this.#flushAtMs, nowMs + OFFSETS_FLUSH_MS)
  }

  #takeSyncs(): SyncOutcome[] {
    const waiters = this.#nextSync
    this.#nextSync = []
    return waiters
  }

  #takeDirty(): Pending[] {
    const entries: Pending[] = []
    for (const pending of this.#dirty) {
      if (entries.length >= ENTRIES_PER_RECORD) break
      this.#dirty.delete(pending)
      pending.dirty = false
      pending.recordsUnderWay += 1
      entries.push(pending)
    }
    return entries
  }

  #write(entries: readonly Pending[], waiters: readonly SyncOutcome[]): ChangeFailure {
    const record: StateRecord = {
      kind: 'offsets',
      entries: entries.map(({ topic, group, queueId, offset }) => [topic, group, queueId, offset]),
    }
    const failure = this.#changes.propose(record, (outcome) => {
      this.#recordsUnderWay -= 1
      this.#returned(entries, outcome)
      for (const onDone of waiters) onDone(outcome)
      // Those who asked when everything was already on its way wait for the last of it.
      if (this.#recordsUnderWay > 0 || this.#dirty.size > 0) return
      for (const onDone of this.#takeSyncs()) onDone(outcome)
    })
    if (failure === undefined) this.#recordsUnderWay += 1
    return failure
  }

  /**
   * A record came back: its entries leave the overlay, or are dirty again if it was not written.
   */
  #returned(entries: readonly Pending[], failure: ChangeFailure): void {
    for (const pending of entries) {
      pending.recordsUnderWay -= 1
      const key = keyOf(pending.topic, pending.group, pending.queueId)
      if (this.#overlay.get(key) !== pending) continue
      if (failure !== undefined) {
        pending.dirty = true
        this.#dirty.add(pending)
        this.#schedule(this.#lastMs)
      } else if (!pending.dirty && pending.recordsUnderWay === 0) {
        this.#overlay.delete(key)
      }
    }
  }

  /** Offsets that are not written yet would bring the deleted topic or group back. */
  #forgetAll(isMeant: (pending: Pending) => boolean): void {
    for (const [key, pending] of this.#overlay) if (isMeant(pending)) this.#forget(key)
  }

  #forget(key: string): void {
    const pending = this.#overlay.get(key)
    if (pending === undefined) return
    this.#overlay.delete(key)
    this.#dirty.delete(pending)
  }
}

function keyOf(topic: string, group: string, queueId: number): string {
  return `${topic}@${group}@${queueId}`
}
