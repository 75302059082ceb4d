/**
 * The IO thread's duty: commands in, groups to disk, answers out. Owns group commit (whatever
 * gathered during the last sync is the next group: no timer, no cap), the order of commands, and
 * the fail-stop latch: after the first failed write or sync nothing is written again. Lack of space
 * is no failure: the group stays in the arena and is tried again.
 */
import { assert, type Clock, systemClock } from '@ringledger/base'
import { Doorbell, type LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { DiskError, isNoSpace } from './disk.ts'
import { IoCare } from './io-care.ts'
import {
  IoCommand,
  IoEvent,
  type IoPort,
  MAX_EVENT_BYTES,
  MAX_EVENT_TEXT_BYTES,
} from './io-port.ts'
import { LOCK_REFRESH_MS } from './lock.ts'
import type { LogStore } from './log-store.ts'
import type { LogEnd } from './resume-mark.ts'

/** A full disk is looked at again after this. */
const SPACE_RETRY_MS = 250
/**
 * Free space is looked at after this much of the log and after this time; others use the disk too.
 */
const SPACE_CHECK_BYTES: number = 16 * 1024 ** 2
const SPACE_CHECK_MS = 2_000
/**
 * Index units are synced in bites, this many for each move of the resume mark, so that no sync of
 * them is long.
 */
const INDEX_SYNCS_PER_MARK = 16
/** The same while groups follow one another without a pause. */
const INDEX_SYNCS_PER_MARK_BUSY = 4
/** Apache's text files follow at this pace while nothing else is to be done. */
const TEXT_INTERVAL_MS = 3_000

export interface IoAgentOptions {
  readonly store: LogStore
  readonly port: IoPort
  readonly arena: LogArena
  /** Bell of the thread that owns the `IoClient`. */
  readonly coreDoorbell: SharedArrayBuffer
  readonly clock?: Clock
}

export class IoAgent {
  readonly #store: LogStore
  readonly #arena: LogArena
  readonly #commands: SpscRing
  readonly #events: SpscRing
  readonly #core: Doorbell
  readonly #clock: Clock
  readonly #care: IoCare
  /** The log is complete in the arena up to here. */
  #writeTo: number
  /** The last attempt at the waiting group met a full disk. */
  #groupBlocked = false
  /**
   * A command waits for space, on the disk or in the event ring: looking again at once would be in
   * vain.
   */
  #held = false
  #failure: { file: string; error: string } | undefined
  #failureTold = false
  #closed = false
  #diskFull = false
  #diskFullTold = false
  #spaceCheckAt = 0
  #spaceCheckMs = 0
  #retryMs = 0
  #textMs: number
  #lockMs: number

  constructor(options: IoAgentOptions) {
    this.#store = options.store
    this.#arena = options.arena
    this.#commands = new SpscRing(options.port.commands)
    this.#events = new SpscRing(options.port.events)
    this.#core = new Doorbell(options.coreDoorbell)
    this.#clock = options.clock ?? systemClock
    this.#writeTo = this.#store.end.position
    this.#textMs = this.#clock.monotonicMs()
    this.#lockMs = this.#textMs
    const events = {
      ring: this.#events,
      hasRoom: () => this.#hasEventRoom(),
      publish: () => this.#publishEvent(),
    }
    this.#care = new IoCare(options.store, options.port, events, this.#textMs)
  }

  /** True once CLOSE was carried out: the thread may end. */
  get closed(): boolean {
    return this.#closed
  }

  /** True after the first failure; see the FAILED event. */
  get failed(): boolean {
    return this.#failure !== undefined
  }

  /**
   * Does what is to be done now, at most one group and one piece of upkeep. False when there was
   * nothing.
   */
  duty(): boolean {
    if (this.#closed) return false
    this.#held = false
    let worked = false
    try {
      worked = this.#commands.drain(this.#onCommand) > 0
      if (this.#groupWaits && !this.#stalled) worked = this.#writeGroup() || worked
      if (!this.failed && !this.#closed) worked = this.#upkeep(worked) || worked
    } catch (error) {
      this.#latch(error)
      worked = true
    }
    if (this.#commands.takeStarved()) this.#core.ring()
    return this.#tellState() || worked
  }

  /** Whether `duty` would do something; for the last look before the thread sleeps. */
  readonly hasWork = (): boolean =>
    (!this.#held && this.#commands.pending) || (this.#care.suspects && !this.failed)

  /** How long the thread may sleep when `duty` had nothing to do. */
  get sleepMs(): number {
    if (this.#diskFull && !this.failed) return SPACE_RETRY_MS
    const upkeepMs = this.#store.textBehind ? TEXT_INTERVAL_MS : LOCK_REFRESH_MS
    if (this.failed) return upkeepMs
    return Math.min(upkeepMs, this.#care.sleepMs(this.#clock.monotonicMs()))
  }

  get #groupWaits(): boolean {
    return this.#writeTo > this.#store.end.position && !this.failed
  }

  get #stalled(): boolean {
    return this.#groupBlocked && this.#clock.monotonicMs() < this.#retryMs
  }

  /** False keeps the command in the ring, and with it those behind it. */
  readonly #onCommand = (type: number, offset: number): boolean => {
    if (type === IoCommand.WRITE) {
      const toPosition = this.#commands.view.getFloat64(offset)
      assert(this.failed || toPosition >= this.#writeTo, 'writes go on where the last one ended')
      this.#writeTo = toPosition
      return true
    }
    if (!this.#hasEventRoom()) return this.#hold()
    if (this.failed) {
      if (type === IoCommand.CLOSE) this.#close()
      return true
    }
    if (this.#groupWaits && !this.#mayOvertake(type, offset)) {
      return this.#groupBlocked ? this.#hold() : false
    }
    this.#carryOut(type, offset)
    return true
  }

  /**
   * Commands come after the writes before them. While those wait for space, term and vote must not
   * wait (there would be no leader to free any), and neither a cut that makes the waiting writes
   * void nor a close.
   */
  #mayOvertake(type: number, offset: number): boolean {
    if (!this.#groupBlocked) return false
    const end = this.#store.end.position
    if (type === IoCommand.TRUNCATE && this.#commands.view.getFloat64(offset) > end) return false
    if (type === IoCommand.TRUNCATE || type === IoCommand.RESET || type === IoCommand.CLOSE) {
      this.#writeTo = end
      this.#groupBlocked = false
    }
    return true
  }

  #carryOut(type: number, offset: number): void {
    const { view } = this.#commands
    switch (type) {
      case IoCommand.TRUNCATE:
        this.#truncate(view.getFloat64(offset), view.getInt32(offset + 8))
        return
      case IoCommand.HARD_STATE:
        this.#saveHardState(offset)
        return
      case IoCommand.RESET:
        this.#reset(view, offset)
        return
      case IoCommand.CHECKPOINT:
        this.#store.checkpoint(view.getFloat64(offset), view.getFloat64(offset + 8))
        return
      case IoCommand.REMOVE_BELOW:
        this.#removeBelow(view.getFloat64(offset))
        return
      default:
        if (this.#care.carryOut(type, view, offset)) return
        assert(type === IoCommand.CLOSE, 'commands are of the known types')
        this.#store.closeClean()
        this.#close()
    }
  }

  /**
   * One group: everything in the arena that is not durable. False when there is no space for it
   * now.
   */
  #writeGroup(): boolean {
    try {
      this.#store.append(this.#arena, this.#writeTo)
    } catch (error) {
      if (!isNoSpace(error)) throw error
      this.#groupBlocked = true
      this.#enterDiskFull()
      return false
    }
    this.#groupBlocked = false
    this.#arena.durable = this.#store.end.position
    this.#core.ring()
    return true
  }

  #truncate(position: number, id: number): void {
    this.#tellTruncated(this.#store.truncate(position), id)
  }

  #reset(view: DataView, offset: number): void {
    const start = { position: view.getFloat64(offset), index: view.getFloat64(offset + 8) }
    const untilPosition = view.getFloat64(offset + 16)
    const term = view.getFloat64(offset + 24)
    const end = this.#store.reset(start, { untilPosition, term })
    this.#tellTruncated(end, view.getInt32(offset + 32))
  }

  #tellTruncated(end: LogEnd, id: number): void {
    this.#writeTo = end.position
    this.#arena.durable = end.position
    const offset = this.#events.claim(36, IoEvent.TRUNCATED)
    assert(offset >= 0, 'room for the answer was looked at before')
    const { view } = this.#events
    view.setFloat64(offset, end.position)
    view.setFloat64(offset + 8, end.index)
    view.setFloat64(offset + 16, end.term)
    view.setFloat64(offset + 24, end.chainCrc)
    view.setInt32(offset + 32, id)
    this.#publishEvent()
  }

  #saveHardState(at: number): void {
    const { view, bytes } = this.#commands
    const voteBytes = view.getInt32(at + 12)
    const votedFor = voteBytes < 0 ? null : bytes.toString('utf8', at + 16, at + 16 + voteBytes)
    this.#store.hardState.save({ term: view.getFloat64(at), votedFor })
    const offset = this.#events.claim(4, IoEvent.HARD_STATE_SAVED)
    assert(offset >= 0, 'room for the answer was looked at before')
    this.#events.view.setInt32(offset, view.getInt32(at + 8))
    this.#publishEvent()
  }

  #removeBelow(position: number): void {
    const first = this.#store.removeBelow(position)
    const offset = this.#events.claim(24, IoEvent.REMOVED)
    assert(offset >= 0, 'room for the answer was looked at before')
    this.#events.view.setFloat64(offset, first.firstPosition)
    this.#events.view.setFloat64(offset + 8, first.firstIndex)
    this.#events.view.setFloat64(offset + 16, this.#store.holes.soundPosition)
    this.#publishEvent()
  }

  #close(): void {
    this.#closed = true
    if (this.failed) this.#store.abandon()
    this.#tellPlain(IoEvent.CLOSED)
  }

  /** One piece of work that no command asked for; between groups only what may not fall behind. */
  #upkeep(busy: boolean): boolean {
    const store = this.#store
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#lockMs >= LOCK_REFRESH_MS) {
      this.#lockMs = nowMs
      store.refreshLock()
    }
    if (this.#spaceCheckDue(nowMs)) this.#checkSpace(nowMs)
    try {
      // Only while no group waits: under full load the disk is better used for the groups
      // themselves.
      if (!busy && !this.#diskFull && store.zeroAhead.due(store.end.position)) {
        store.zeroAhead.step()
        return true
      }
      const bites = busy ? INDEX_SYNCS_PER_MARK_BUSY : INDEX_SYNCS_PER_MARK
      if (store.unsyncedIndexBytes >= store.layout.markEveryBytes / bites) {
        store.syncIndex()
        return true
      }
      if (store.unmarkedBytes >= store.layout.markEveryBytes) {
        store.advanceMark()
        return true
      }
      if (this.#care.step(nowMs, busy)) return true
      return !busy && this.#idleUpkeep(nowMs)
    } catch (error) {
      if (!isNoSpace(error)) throw error
      this.#enterDiskFull()
      return false
    }
  }

  /** At rest everything that a start would read is brought up to date. */
  #idleUpkeep(nowMs: number): boolean {
    const store = this.#store
    if (nowMs - this.#textMs < TEXT_INTERVAL_MS) return false
    this.#textMs = nowMs
    if (store.textBehind) store.writeText()
    if (store.unsyncedIndexBytes > 0) store.syncIndex()
    if (store.unmarkedBytes > 0) store.advanceMark()
    return false
  }

  #spaceCheckDue(nowMs: number): boolean {
    if (nowMs >= this.#spaceCheckMs) return true
    return !this.#diskFull && this.#store.end.position >= this.#spaceCheckAt
  }

  #checkSpace(nowMs: number): void {
    const free = this.#store.freeBytes()
    const needed = this.#store.layout.minimumFreeBytes
    this.#spaceCheckAt = this.#store.end.position + SPACE_CHECK_BYTES
    this.#spaceCheckMs = nowMs + (this.#diskFull ? SPACE_RETRY_MS : SPACE_CHECK_MS)
    const { fullAboveRatio, fullUntilRatio } = this.#store.layout
    const usedRatio = fullAboveRatio < 1 ? this.#store.usedRatio() : 0
    if (free < needed || usedRatio > fullAboveRatio) this.#diskFull = true
    // Above the limits by a margin, so that the state does not flutter; a waiting group says itself
    // when it fits.
    else if (
      !this.#groupBlocked &&
      free >= needed + SPACE_CHECK_BYTES &&
      usedRatio <= fullUntilRatio
    ) {
      this.#diskFull = false
    }
  }

  #enterDiskFull(): void {
    this.#diskFull = true
    this.#retryMs = this.#clock.monotonicMs() + SPACE_RETRY_MS
    this.#spaceCheckMs = this.#retryMs
  }

  /** The first failure: nothing is written from here on. */
  #latch(error: unknown): void {
    if (this.failed) throw error
    const file = error instanceof DiskError ? error.path : this.#store.layout.directory
    this.#failure = { file, error: error instanceof Error ? error.message : String(error) }
  }

  /** Tells what has changed about the disk; tries again later when the event ring is full. */
  #tellState(): boolean {
    const failureUntold = this.#failure !== undefined && !this.#failureTold
    const fullUntold = this.#diskFull !== this.#diskFullTold && this.#failure === undefined
    if ((!failureUntold && !fullUntold) || this.#closed || !this.#hasEventRoom()) return false
    if (this.#failure !== undefined && failureUntold) {
      this.#failureTold = true
      this.#tellFailure(this.#failure.file, this.#failure.error)
    } else {
      this.#diskFullTold = this.#diskFull
      this.#tellPlain(this.#diskFull ? IoEvent.DISK_FULL : IoEvent.DISK_OK)
    }
    return true
  }

  #tellFailure(file: string, error: string): void {
    const fileBytes = Buffer.from(file, 'utf8').subarray(0, MAX_EVENT_TEXT_BYTES)
    const errorBytes = Buffer.from(error, 'utf8').subarray(0, MAX_EVENT_TEXT_BYTES)
    const sizeBytes = 8 + fileBytes.length + errorBytes.length
    const offset = this.#events.claim(sizeBytes, IoEvent.FAILED)
    assert(offset >= 0, 'room for the event was looked at before')
    this.#events.view.setInt32(offset, fileBytes.length)
    this.#events.view.setInt32(offset + 4, errorBytes.length)
    fileBytes.copy(this.#events.bytes, offset + 8)
    errorBytes.copy(this.#events.bytes, offset + 8 + fileBytes.length)
    this.#publishEvent()
  }

  #tellPlain(type: IoEvent): void {
    const offset = this.#events.claim(0, type)
    assert(offset >= 0, 'room for the event was looked at before')
    this.#publishEvent()
  }

  #publishEvent(): void {
    this.#events.commit()
    if (this.#events.publish()) this.#core.ring()
  }

  /** Asks the ring, so that it rings our bell when the core has made room. */
  #hasEventRoom(): boolean {
    const offset = this.#events.claim(MAX_EVENT_BYTES, IoEvent.FAILED)
    this.#events.abort()
    return offset >= 0
  }

  #hold(): false {
    this.#held = true
    return false
  }
}
