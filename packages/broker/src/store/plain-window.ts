/**
 * Walks a plain commit log message by message. Owns the rule what counts as a message there: whole,
 * its body checked, and naming the very place it stands at, so that bytes of a file's older use are
 * none. What is no message is stepped over up to the next one: damage hides nothing behind it.
 */
import {
  checkMessage,
  isPlainLogBlank,
  MESSAGE_MAGIC_START,
  msgPhysicalOffset,
  msgTotalSize,
  PLAIN_LOG_BLANK_BYTES,
} from '@ringledger/protocol'
import type { PlainLog } from './plain-log.ts'
import { READ_AHEAD_BYTES, ReadAhead } from './read-ahead.ts'

export const PlainKind = {
  MESSAGE: 0,
  /** The rest of a file, in order. */
  BLANK: 1,
  /** Bytes that are no message, up to the next one or the end of the file; or no file at all. */
  GAP: 2,
} as const
export type PlainKind = (typeof PlainKind)[keyof typeof PlainKind]

/** Far above any message: a larger size is damage and not a reason to allocate. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
const CHECK = { verifyBodyCrc: true }

export class PlainWindow extends ReadAhead {
  /** What `look` found: its kind, how far it reaches, where in `bytes` a message lies. */
  kind: PlainKind = PlainKind.GAP
  sizeBytes = 0
  offset = 0
  /** Why a gap is one; `unused`: only zeros up to the end of the file. */
  reason = ''
  readonly #plain: PlainLog

  constructor(plain: PlainLog) {
    super()
    this.#plain = plain
  }

  /** Looks at what stands at `position`, which is below the divided position. */
  look(position: number): void {
    const file = this.#plain.fileAt(position)
    if (file === undefined) {
      this.#gap(this.#plain.nextFileFrom(position) - position, 'no file')
      return
    }
    const fileEnd = file.position + file.sizeBytes
    const end = Math.min(fileEnd, this.#plain.endPosition)
    const found = this.#check(position, end)
    if (found === 'ok') {
      this.kind = PlainKind.MESSAGE
      this.offset = position - this.start
      this.sizeBytes = msgTotalSize(this.bytes, this.offset)
    } else if (this.#isBlank(position, fileEnd)) {
      this.kind = PlainKind.BLANK
      this.sizeBytes = fileEnd - position
    } else this.#lookBehind(position, end, found)
  }

  #gap(sizeBytes: number, reason: string): void {
    this.kind = PlainKind.GAP
    this.sizeBytes = sizeBytes
    this.reason = reason
  }

  #lookBehind(position: number, end: number, found: string): void {
    const next = this.#findMessage(position + 1, end)
    if (next >= 0) this.#gap(next - position, found)
    else this.#gap(end - position, this.#isZero(position, end) ? 'unused' : found)
  }

  #check(position: number, end: number): string {
    let available = this.#load(position, PLAIN_LOG_BLANK_BYTES, end)
    let offset = position - this.start
    let found: string = checkMessage(this.bytes, offset, available, CHECK)
    if (found === 'short' && available >= PLAIN_LOG_BLANK_BYTES) {
      const sizeBytes = msgTotalSize(this.bytes, offset)
      if (sizeBytes > end - position || sizeBytes > MAX_MESSAGE_BYTES) return 'size'
      available = this.#load(position, sizeBytes, end)
      offset = position - this.start
      found = checkMessage(this.bytes, offset, available, CHECK)
    }
    if (found !== 'ok') return found
    return msgPhysicalOffset(this.bytes, offset) === position ? 'ok' : 'offset'
  }

  #isBlank(position: number, end: number): boolean {
    if (this.#load(position, PLAIN_LOG_BLANK_BYTES, end) < PLAIN_LOG_BLANK_BYTES) return false
    return isPlainLogBlank(this.bytes, position - this.start, end - position)
  }

  /** Where the next whole message begins below `end`; -1: nowhere. */
  #findMessage(from: number, end: number): number {
    let at = from
    while (at + PLAIN_LOG_BLANK_BYTES <= end) {
      const available = this.#load(at, PLAIN_LOG_BLANK_BYTES, end)
      const offset = at - this.start
      const magicAt = this.bytes
        .subarray(0, offset + available)
        .indexOf(MESSAGE_MAGIC_START, offset + 4)
      if (magicAt < 0) {
        at += Math.max(1, available - PLAIN_LOG_BLANK_BYTES)
        continue
      }
      at = this.start + magicAt - 4
      if (this.#check(at, end) === 'ok') return at
      at++
    }
    return -1
  }

  #isZero(from: number, end: number): boolean {
    for (let at = from; at < end; ) {
      const available = this.#load(at, 1, end)
      if (available === 0) return false
      const offset = at - this.start
      if (this.bytes.subarray(offset, offset + available).some((byte) => byte !== 0)) return false
      at += available
    }
    return true
  }

  /** Makes `wantBytes` from `position` on visible unless `end` is nearer; returns how many are. */
  #load(position: number, wantBytes: number, end: number): number {
    const wanted = Math.min(wantBytes, end - position)
    const held = Math.min(end, this.start + this.filled) - position
    if (position >= this.start && held >= wanted) return held
    this.fill(this.#plain, position, end, Math.max(READ_AHEAD_BYTES, wanted))
    return this.filled
  }
}
