/**
 * The replicated tables as dispatch builds them, and their files. Owns the rule that tables which
 * lack records, because the log begins behind them, are never saved: they are made anew from a
 * snapshot in the log, and every start that finds them lacking looks for one again.
 */
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { DelayProgress } from '../delay-progress.ts'
import { decodeStateRecord, type StateRecord } from '../state/records.ts'
import { ReplicatedState, type StateLimits } from '../state/replicated-state.ts'
import type { SnapshotPart } from '../state/snapshot.ts'
import { StateFiles } from '../state/state-files.ts'

export interface StateKeeperOptions {
  /** `<storePathRootDir>/config` */
  directory: string
  arena: LogArena
  logFirstPosition: number
  logEndPosition: number
  /** The log is a plain one: it has no records, the tables' files are the truth. */
  plain: boolean
  limits?: StateLimits | undefined
  nowMs?: (() => number) | undefined
  log(line: string): void
}

/** What the tables need of the store around them. */
export interface StateSurroundings {
  /** Hands the state records and delay marks between two positions to this keeper again. */
  replay(from: number, to: number): void
  deleteQueues(topic: string, endPosition: number): void
  /** Offsets below `nextOffset` were given out, as the log knew at `position`. */
  raiseQueue(topic: string, queueId: number, nextOffset: number, position: number): void
  onRecord(record: StateRecord, position: number, endPosition: number): void
  /** The tables were made anew from a snapshot. */
  onStateReplaced(): void
}

const STATE_SAVE_MS = 5000
/**
 * What a broker of Apache's cannot find in the log, and writes itself at once: saved without delay.
 */
const SAVED_SOON: ReadonlySet<StateRecord['kind']> = new Set([
  'topic',
  'deleteTopic',
  'group',
  'deleteGroup',
])
/** Saving the state may take this part of the thread's time at most. */
const STATE_SAVE_SHARE = 50

const Replay = { NONE: 0, ALL: 1, SNAPSHOT_ROWS: 2 } as const
type Replay = (typeof Replay)[keyof typeof Replay]

export class StateKeeper {
  readonly state: ReplicatedState
  readonly delayProgress: DelayProgress = new DelayProgress()
  readonly #options: StateKeeperOptions
  readonly #around: StateSurroundings
  readonly #files: StateFiles
  #replaying: Replay = Replay.NONE
  /** Where the log begins that the tables lack records of; -1: they lack none. */
  #lackingTo: number
  /** A snapshot that was seen whole and is to be taken; -1: none. */
  #foundSnapshot = -1
  #savedMs = 0
  #saveAfterMs = 0
  #saveTookMs = 0

  constructor(options: StateKeeperOptions, around: StateSurroundings) {
    this.#options = options
    this.#around = around
    this.#files = new StateFiles(options.directory, options.log)
    this.state = this.#load()
    const { logFirstPosition, plain } = options
    const lacks = !plain && this.state.appliedPosition < logFirstPosition
    this.#lackingTo = lacks ? logFirstPosition : -1
    if (plain) this.#files.save(this.state)
  }

  /** The tables may lack records, until a snapshot in the log has made them good. */
  get lacking(): boolean {
    return this.#lackingTo >= 0
  }

  /** The tables are on the disk as of here; 0 while they are lacking. */
  get savedPosition(): number {
    return this.lacking ? 0 : this.#files.savedPosition
  }

  /** Records between the tables' files and where dispatch goes on. */
  catchUp(to: number): void {
    const from = Math.max(this.state.appliedPosition, this.#options.logFirstPosition)
    if (from < to) this.#replay(from, to, Replay.ALL)
  }

  /** Everything below `position` is gone from the log, and was not applied here. */
  logBeginsAt(position: number): void {
    if (this.state.appliedPosition < position) this.#lackingTo = position
  }

  onState(text: string, position: number, endPosition: number): void {
    const record = decodeStateRecord(text)
    if (this.#replaying === Replay.SNAPSHOT_ROWS) {
      const isMeant = record.kind === 'snapshot' && record.position === this.#foundSnapshot
      if (isMeant) this.state.takeRows(record)
      return
    }
    const isLive = this.#replaying === Replay.NONE
    if (isLive && record.kind === 'deleteTopic') {
      this.#around.deleteQueues(record.topic, endPosition)
    }
    if (isLive && record.kind === 'snapshot') this.#raiseQueues(record)
    const isNew = this.state.apply(record, position, endPosition)
    if (isNew && record.kind === 'snapshot') this.#lookAtSnapshot(record)
    if (!isNew || !isLive) return
    if (SAVED_SOON.has(record.kind)) this.#saveAfterMs = this.#saveTookMs * STATE_SAVE_SHARE
    this.#around.onRecord(record, position, endPosition)
  }

  /** Of a plain log: the record takes effect at once, and is saved with the tables. */
  applyHere(record: StateRecord, position: number): void {
    if (record.kind === 'deleteTopic') this.#around.deleteQueues(record.topic, position)
    this.state.change(record)
    if (SAVED_SOON.has(record.kind)) this.#saveAfterMs = this.#saveTookMs * STATE_SAVE_SHARE
    this.#around.onRecord(record, position, position)
  }

  onDelayMark(mark: number, position: number, endPosition: number): void {
    if (this.#replaying === Replay.SNAPSHOT_ROWS) return
    const moved = this.delayProgress.fold(mark, (level) => this.state.delayOffset(level))
    if (moved === undefined) return
    this.state.apply({ kind: 'delay', entries: [moved] }, position, endPosition)
  }

  /**
   * Between two duties: takes the snapshot that dispatch has come by, if the tables lack something.
   * `to`: how far dispatch is. Reads the log from the snapshot's position on, twice; may be called
   * again when that failed.
   */
  takeSnapshot(to: number): void {
    const from = this.#foundSnapshot
    if (from < 0) return
    this.state.beginAnew(from)
    this.#replay(from, to, Replay.SNAPSHOT_ROWS)
    this.#replay(from, to, Replay.ALL)
    this.#foundSnapshot = -1
    this.#lackingTo = -1
    this.#options.log(`the tables were taken from the log's snapshot of position ${from}`)
    this.#around.onStateReplaced()
  }

  /** Saved at once when the next turn comes. */
  saveSoon(): void {
    this.#saveAfterMs = 0
  }

  /** Saves what is new when it is time to. */
  tick(nowMs: number): void {
    if (Math.abs(nowMs - this.#savedMs) < this.#saveAfterMs) return
    const { appliedPosition } = this.state
    if (this.#options.arena.durable < appliedPosition) return
    this.#savedMs = nowMs
    this.#saveAfterMs = STATE_SAVE_MS
    if (this.lacking || this.#isSaved) return
    const startedMs = performance.now()
    this.#files.save(this.state)
    this.#saveTookMs = performance.now() - startedMs
    this.#saveAfterMs = Math.max(STATE_SAVE_MS, this.#saveTookMs * STATE_SAVE_SHARE)
  }

  /** Tables of a Raft log change with its records alone. */
  get #isSaved(): boolean {
    if (this.#options.plain) return this.#files.isSaved(this.state)
    return this.state.appliedPosition === this.#files.savedPosition
  }

  saveNow(): void {
    if (!this.lacking) this.#files.save(this.state)
  }

  #load(): ReplicatedState {
    const { limits, nowMs, logFirstPosition, logEndPosition, plain, log } = this.#options
    const content = this.#files.load(plain)
    // Another broker left them, and what it delivered has no marks.
    if (plain && content.appliedPosition < 0) content.appliedPosition = logEndPosition
    if (content.appliedPosition > logEndPosition) {
      log(`config/ is of log position ${content.appliedPosition}, the log ends before`)
      content.appliedPosition = plain ? logEndPosition : logFirstPosition
    }
    return new ReplicatedState(content, limits, nowMs)
  }

  #replay(from: number, to: number, how: Replay): void {
    this.#replaying = how
    try {
      this.#around.replay(from, to)
    } finally {
      this.#replaying = Replay.NONE
    }
  }

  #lookAtSnapshot({ position, isLast }: SnapshotPart): void {
    const isWhole = isLast && this.state.snapshotPosition === position
    if (isWhole && this.lacking && position >= this.#lackingTo) this.#foundSnapshot = position
  }

  #raiseQueues({ queues, position }: SnapshotPart): void {
    for (const [topic, queueId, nextOffset] of queues ?? []) {
      this.#around.raiseQueue(topic, queueId, nextOffset, position)
    }
  }
}
