/**
 * A leader's snapshots of the tables in the log: one for each data segment, so that every node may
 * delete all but the newest ones whenever its own clock or disk wants it. Owns their pace: a few
 * parts under way, and a snapshot never takes more than a small share of the log.
 */
import type { Clock } from '@ringledger/base'
import type { RoleView } from './context.ts'
import { type QueueRow, type SnapshotPart, snapshotParts } from './state/snapshot.ts'
import type { StateChanges } from './state-changes.ts'
import type { StoreView } from './store-view.ts'

const MAX_PARTS_UNDER_WAY = 2
/** Between two snapshots the log grows by this many times the size of one. */
const SHARE = 16
const RETRY_MS = 1_000

export interface SnapshotWriterParts {
  readonly store: Pick<
    StoreView,
    'state' | 'queues' | 'dispatchedPosition' | 'lacksState' | 'logFirstPosition'
  >
  readonly changes: Pick<StateChanges, 'propose'>
  readonly role: RoleView
  readonly clock: Clock
  /** mappedFileSizeCommitLog */
  readonly segmentBytes: number
}

export class SnapshotWriter {
  readonly #parts: SnapshotWriterParts
  #rows: Generator<SnapshotPart> | undefined
  /** Refused for now, and offered again. */
  #next: SnapshotPart | undefined
  #underWay = 0
  /** Of the snapshot written last by this node. */
  #position = -1
  #sizeBytes = 0
  #notBeforeMs = 0

  constructor(parts: SnapshotWriterParts) {
    this.#parts = parts
  }

  /** A bounded piece of work; true if there was any. */
  duty(nowMs: number): boolean {
    if (!this.#parts.role.serving) {
      this.#rows = undefined
      this.#next = undefined
      return false
    }
    if (this.#rows === undefined) {
      if (nowMs < this.#notBeforeMs || this.#underWay > 0 || !this.#isDue()) return false
      this.#begin()
    }
    return this.#writeSome(nowMs)
  }

  #isDue(): boolean {
    const { store, segmentBytes } = this.#parts
    const { dispatchedPosition } = store
    const newest = Math.max(store.state.snapshotPosition, this.#position)
    if (store.lacksState && this.#position < store.logFirstPosition) return true
    const inNewSegment =
      Math.floor(dispatchedPosition / segmentBytes) > Math.floor(newest / segmentBytes)
    return inNewSegment && dispatchedPosition - newest >= SHARE * this.#sizeBytes
  }

  #begin(): void {
    const { store, role } = this.#parts
    this.#position = store.dispatchedPosition
    this.#sizeBytes = 0
    const head = { position: this.#position, term: role.term }
    this.#rows = snapshotParts(head, store.state.content(), queueRows(store))
  }

  #writeSome(nowMs: number): boolean {
    let wrote = false
    while (this.#underWay < MAX_PARTS_UNDER_WAY) {
      const part = this.#next ?? this.#rows?.next().value
      if (part === undefined) break
      this.#next = part
      if (this.#parts.changes.propose(part, (failure) => this.#onDone(failure)) !== undefined) {
        return wrote
      }
      this.#underWay += 1
      this.#sizeBytes += JSON.stringify(part).length
      this.#next = undefined
      wrote = true
      if (!part.isLast) continue
      this.#rows = undefined
      this.#notBeforeMs = nowMs + RETRY_MS
    }
    return wrote
  }

  /** A part that is lost makes the others worthless: a new snapshot is begun a little later. */
  #onDone(failure: object | undefined): void {
    this.#underWay -= 1
    if (failure === undefined) return
    this.#rows = undefined
    this.#next = undefined
    this.#position = -1
    this.#notBeforeMs = this.#parts.clock.monotonicMs() + RETRY_MS
  }
}

function* queueRows(store: SnapshotWriterParts['store']): Generator<QueueRow> {
  const queues: QueueRow[] = []
  store.queues.forEachQueue(({ topic, queueId, maxOffset }) => {
    if (maxOffset > 0) queues.push([topic, queueId, maxOffset])
  })
  yield* queues
}
