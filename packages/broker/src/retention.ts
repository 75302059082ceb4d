/**
 * Deletes the oldest part of the log, with RocketMQ's rules (rocketmq-store.md §4): at `deleteWhen`
 * o'clock, when the disk fills up, or when an administrator asks; and then what of consume queues
 * and key index spoke of it. Each node decides by its own clock and disk. Owns the rules that
 * nothing goes that recovery, or a member that has to begin anew, still needs; that the segment
 * being written never goes; and that what is about to go is hidden from readers first.
 */
import type { Clock } from '@ringledger/base'
import type { LogSegments } from './log-segments.ts'
import { QueueCleaner } from './queue-cleaner.ts'
import type { RetentionSettings } from './settings.ts'
import type { StoreView } from './store-view.ts'

/** Rounds that one request of an administrator is good for. */
const MANUAL_ROUNDS = 20
/** The first round comes after this many intervals: a minute, with the default. */
const INTERVALS_BEFORE_FIRST = 6
const HOUR_MS = 60 * 60 * 1000

export interface RetentionParts {
  readonly settings: RetentionSettings
  readonly store: StoreView
  readonly segments: LogSegments
  readonly clock: Clock
  /** How full the disk of the log is, and that of the rest of the store; 0 to 1. */
  usedRatios(): { readonly log: number; readonly rest: number }
  log(line: string): void
}

export class Retention {
  readonly #parts: RetentionParts
  readonly #cleaner: QueueCleaner
  #nextRoundMs: number
  #manualRounds = 0
  /** Ends of the segments that this round deletes. */
  #ends: number[] = []
  #nextEndMs = 0
  #why = ''
  #saidStuck = false

  constructor(parts: RetentionParts) {
    this.#parts = parts
    this.#cleaner = new QueueCleaner(parts.store, parts.settings)
    const firstMs = INTERVALS_BEFORE_FIRST * parts.settings.cleanResourceInterval
    this.#nextRoundMs = parts.clock.monotonicMs() + firstMs
  }

  /** When there is something to do. */
  get nextMs(): number {
    if (this.#ends.length > 0) return this.#nextEndMs
    return Math.min(this.#nextRoundMs, this.#cleaner.nextMs)
  }

  /** Deletes what is expired at whatever hour, from the next duty on. */
  deleteExpiredNow(): void {
    this.#manualRounds = MANUAL_ROUNDS
    this.#nextRoundMs = this.#parts.clock.monotonicMs()
  }

  /** Deletes the files of consume queues and key index that speak only of what is gone. */
  cleanQueuesNow(): void {
    this.#cleaner.begin(this.#parts.clock.monotonicMs())
  }

  /** A bounded piece of work; true if there was any. */
  duty(nowMs: number): boolean {
    if (this.#ends.length > 0) return nowMs >= this.#nextEndMs && this.#deleteNext(nowMs)
    if (nowMs < this.#nextRoundMs) return this.#cleaner.duty(nowMs)
    this.#nextRoundMs = nowMs + this.#parts.settings.cleanResourceInterval
    this.#beginRound()
    return true
  }

  #beginRound(): void {
    const { settings, clock } = this.#parts
    const { log, rest } = this.#parts.usedRatios()
    const usedRatio = Math.max(log, rest)
    const atOnce =
      settings.cleanFileForciblyEnable && usedRatio > settings.diskSpaceCleanForciblyRatio / 100
    const lacksSpace = usedRatio < 0 || usedRatio > settings.diskMaxUsedSpaceRatio / 100
    const hour = new Date(clock.wallMs()).getHours()
    const isManual = this.#manualRounds > 0
    if (isManual) this.#manualRounds -= 1
    if (lacksSpace || atOnce) this.#why = `the disk is used to ${Math.round(usedRatio * 100)} %`
    else if (isManual) this.#why = 'asked for'
    else if (isHour(settings.deleteWhen, hour)) this.#why = `it is ${hour} o'clock`
    else return
    this.#choose(atOnce)
    if (this.#ends.length === 0 && (lacksSpace || atOnce)) this.#sayStuck()
  }

  /** Oldest first; the first one that must stay ends it. */
  #choose(atOnce: boolean): void {
    const { settings, store, segments, clock } = this.#parts
    const limit = store.deletableTo
    const expiredMs = clock.wallMs() - settings.fileReservedTime * HOUR_MS
    for (const { endPosition, modifiedMs } of segments.list().slice(0, -1)) {
      if (endPosition <= store.logFirstPosition) {
        // Asked for before, and still there: not carried out yet, or not taken.
        segments.removeBelow(endPosition)
        continue
      }
      if (this.#ends.length >= settings.deleteFileBatchMax) return
      if (!atOnce && modifiedMs > expiredMs) return
      if (endPosition > limit) {
        store.syncSoon()
        return
      }
      this.#ends.push(endPosition)
    }
  }

  #deleteNext(nowMs: number): boolean {
    const { settings, store, segments, log } = this.#parts
    const position = this.#ends.shift()
    if (position === undefined || position > store.deletableTo) return false
    this.#nextEndMs = nowMs + settings.deleteCommitLogFilesInterval
    this.#saidStuck = false
    store.logFirstPosition = Math.max(store.logFirstPosition, position)
    segments.removeBelow(position)
    log(`the log is deleted below ${position}: ${this.#why}`)
    if (this.#ends.length === 0) this.#cleaner.begin(nowMs)
    return true
  }

  #sayStuck(): void {
    if (this.#saidStuck) return
    this.#saidStuck = true
    this.#parts.log(`${this.#why}, and no segment of the log may be deleted yet`)
  }
}

/** `deleteWhen`: hours of the day, separated by ";". */
function isHour(text: string, hour: number): boolean {
  return text.split(';').some((part) => part.trim() !== '' && Number(part) === hour)
}
