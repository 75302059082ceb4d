/**
 * Walks one commit log file of a plain store: every message is checked (lengths, body checksum, own
 * offset), and everything up to the end of data goes into one digest. Owns the question where the
 * data of a file ends; reads in windows, so that memory does not grow with the file.
 */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { basename } from 'node:path'
import { assert } from '@ringledger/base'
import { readFully } from '@ringledger/base/internal'
import {
  checkMessage,
  isPlainLogBlank,
  MESSAGE_MAGIC_START,
  type MessageCheck,
  msgPhysicalOffset,
  msgTotalSize,
  PLAIN_LOG_BLANK_BYTES,
} from '@ringledger/protocol'
import type { XXHash } from 'xxhash-wasm'
import { type MessageTally, newTally, noteMessage, tallyMessage } from './message-tally.ts'
import type { DamageNote, FileReport, Mark } from './report.ts'

/** A digest is noted at every multiple of this, so that a difference can be narrowed down. */
export const MARK_EVERY_BYTES: number = 16 * 1024 * 1024
const WINDOW_BYTES = 8 * 1024 * 1024
/** Longest message that a broker takes, with room: what ends later is no message. */
const MAX_MESSAGE_BYTES = WINDOW_BYTES / 2
const CHECK = { verifyBodyCrc: true }

export interface FileScan {
  readonly file: FileReport
  readonly tally: MessageTally
}

export interface ScanRequest {
  readonly path: string
  /** Offset of the file's first byte in the log. */
  readonly offset: number
  /** Further offsets in the log at which a digest is wanted, ascending. */
  readonly digestAt: readonly number[]
}

/** `bytesDone` is told how far the scan is, a few times a second. */
export function scanFile(
  request: ScanRequest,
  newHash: () => XXHash<bigint>,
  bytesDone: (bytes: number) => void,
): FileScan {
  const descriptor = openSync(request.path, 'r')
  try {
    return new Scan(descriptor, request, newHash(), bytesDone).run()
  } finally {
    closeSync(descriptor)
  }
}

class Scan {
  readonly #descriptor: number
  readonly #request: ScanRequest
  readonly #hash: XXHash<bigint>
  readonly #bytesDone: (bytes: number) => void
  readonly #sizeBytes: number
  readonly #window: Buffer = Buffer.allocUnsafe(WINDOW_BYTES)
  /** The window holds the file's bytes [#windowAt, #windowAt + #windowBytes). */
  #windowAt = 0
  #windowBytes = 0
  /** What is below is in the digest. */
  #hashed = 0
  /** What is below belongs into the digest; it goes there a window at a time. */
  #checked = 0
  #hashing = false
  readonly #wanted: number[]
  readonly #marks: Mark[] = []
  readonly #damage: DamageNote[] = []
  readonly #tally = newTally()
  #lastAt = -1
  /** By mark: where the message begins that reaches it. */
  readonly #boundaries = new Map<number, number>()
  #nextBoundary = MARK_EVERY_BYTES

  constructor(
    descriptor: number,
    request: ScanRequest,
    hash: XXHash<bigint>,
    bytesDone: (bytes: number) => void,
  ) {
    this.#descriptor = descriptor
    this.#request = request
    this.#hash = hash
    this.#bytesDone = bytesDone
    this.#sizeBytes = fstatSync(descriptor).size
    this.#wanted = request.digestAt.map((offset) => offset - request.offset)
  }

  run(): FileScan {
    let at = 0
    let end: FileReport['end'] = 'unused'
    for (;;) {
      const messageBytes = this.#messageAt(at)
      if (messageBytes > 0) {
        at += messageBytes
        continue
      }
      if (this.#isBlank(at)) {
        end = 'blank'
        break
      }
      if (this.#sizeBytes - at >= PLAIN_LOG_BLANK_BYTES && this.#isZero(at)) break
      const resumesAt = this.#findMessage(at + 1)
      const reason = this.#check(at)
      if (resumesAt < 0) {
        end = this.#noteTail(at, reason)
        break
      }
      this.#damage.push({
        offset: this.#request.offset + at,
        reason,
        resumesAt: this.#request.offset + resumesAt,
      })
      at = resumesAt
    }
    this.#hashTo(at)
    this.#noteLast()
    this.#bytesDone(this.#sizeBytes)
    return { file: this.#report(at, end), tally: this.#tally }
  }

  #noteLast(): void {
    if (this.#lastAt < 0) return
    this.#check(this.#lastAt)
    this.#tally.last = noteMessage(this.#window, this.#lastAt - this.#windowAt)
  }

  /**
   * Bytes behind the last message that no message follows: the rest of a file that was used before,
   * or a message that was not finished.
   */
  #noteTail(at: number, reason: string): FileReport['end'] {
    if (reason === 'magic' || reason === 'offset') return 'leftover'
    this.#damage.push({ offset: this.#request.offset + at, reason })
    return 'damaged'
  }

  #report(at: number, end: FileReport['end']): FileReport {
    return {
      name: basename(this.#request.path),
      offset: this.#request.offset,
      sizeBytes: this.#sizeBytes,
      endOffset: this.#request.offset + at,
      end,
      digest: hex(this.#hash.digest()),
      marks: this.#marks,
      messages: this.#tally.messages,
      damage: this.#damage,
    }
  }

  /** Length of the whole message at `at`, 0 if there is none. */
  #messageAt(at: number): number {
    if (this.#check(at) !== 'ok') return 0
    const start = at - this.#windowAt
    const sizeBytes = msgTotalSize(this.#window, start)
    tallyMessage(this.#tally, this.#window, start)
    this.#lastAt = at
    this.#checked = at + sizeBytes
    while (this.#checked >= this.#nextBoundary) {
      this.#boundaries.set(this.#nextBoundary, at)
      this.#nextBoundary += MARK_EVERY_BYTES
    }
    return sizeBytes
  }

  #check(at: number): MessageCheck | 'offset' {
    if (this.#load(at, PLAIN_LOG_BLANK_BYTES) < PLAIN_LOG_BLANK_BYTES) return 'short'
    const claimedBytes = msgTotalSize(this.#window, at - this.#windowAt)
    const wanted =
      claimedBytes > 0 ? Math.min(claimedBytes, MAX_MESSAGE_BYTES) : PLAIN_LOG_BLANK_BYTES
    const available = this.#load(at, wanted)
    const start = at - this.#windowAt
    const found = checkMessage(this.#window, start, available, CHECK)
    if (found !== 'ok') return found
    return msgPhysicalOffset(this.#window, start) === this.#request.offset + at ? 'ok' : 'offset'
  }

  #isBlank(at: number): boolean {
    if (this.#load(at, PLAIN_LOG_BLANK_BYTES) < PLAIN_LOG_BLANK_BYTES) return false
    return isPlainLogBlank(this.#window, at - this.#windowAt, this.#sizeBytes - at)
  }

  /** Nothing but zeros up to the end of the file. */
  #isZero(at: number): boolean {
    let next = at
    while (next < this.#sizeBytes) {
      const available = this.#load(next, 1)
      const start = next - this.#windowAt
      const part = this.#window.subarray(start, start + available)
      if (!isZero(part)) return false
      next += available
      this.#bytesDone(next)
    }
    return true
  }

  /**
   * The next place that holds a whole message which says that it belongs just there; -1: none. A
   * message names its own offset, so that bytes of an older use of the file are not taken for one.
   */
  #findMessage(from: number): number {
    let at = from
    while (at + PLAIN_LOG_BLANK_BYTES <= this.#sizeBytes) {
      const available = this.#load(at, MAX_MESSAGE_BYTES)
      const start = at - this.#windowAt
      const magicAt = nextMagic(this.#window, start + 4, start + available)
      if (magicAt < 0) {
        if (at + available >= this.#sizeBytes) return -1
        at += Math.max(1, available - PLAIN_LOG_BLANK_BYTES)
        continue
      }
      at = this.#windowAt + magicAt - 4
      if (this.#check(at) === 'ok') return at
      at += 1
    }
    return -1
  }

  /** Digests the file up to `to`, noting marks on the way. */
  #hashTo(to: number): void {
    this.#hashing = true
    while (this.#hashed < to) {
      const mark = this.#nextMark()
      this.#hashRun(Math.min(to, mark))
      if (this.#hashed === mark) this.#noteMark(mark)
    }
    this.#hashing = false
  }

  #hashRun(stop: number): void {
    while (this.#hashed < stop) {
      const available = this.#load(this.#hashed, 1)
      const start = this.#hashed - this.#windowAt
      const sizeBytes = Math.min(available, stop - this.#hashed)
      this.#hash.update(this.#window.subarray(start, start + sizeBytes))
      this.#hashed += sizeBytes
    }
  }

  #nextMark(): number {
    const regular = (Math.floor(this.#hashed / MARK_EVERY_BYTES) + 1) * MARK_EVERY_BYTES
    while (this.#wanted.length > 0 && (this.#wanted[0] ?? 0) <= this.#hashed) this.#wanted.shift()
    return Math.min(regular, this.#wanted[0] ?? Number.POSITIVE_INFINITY)
  }

  #noteMark(at: number): void {
    const { offset } = this.#request
    const begins = this.#boundaries.get(at)
    this.#marks.push({
      offset: offset + at,
      digest: hex(this.#hash.digest()),
      ...(begins === undefined ? {} : { messageAt: offset + begins }),
    })
  }

  /**
   * Makes the window hold the bytes at `at`, `wantBytes` of them unless the file ends before.
   * Returns how many it holds from there.
   */
  #load(at: number, wantBytes: number): number {
    const held = this.#windowAt + this.#windowBytes - at
    const wanted = Math.min(wantBytes, this.#sizeBytes - at)
    if (at >= this.#windowAt && held >= wanted) return held
    if (!this.#hashing) this.#hashTo(this.#checked)
    this.#windowAt = at
    const what = `read of ${this.#request.path}`
    this.#windowBytes = readFully(this.#descriptor, this.#window, 0, WINDOW_BYTES, at, what)
    this.#bytesDone(at)
    assert(this.#windowBytes >= Math.min(wanted, 1), 'a window holds what it was loaded for')
    return this.#windowBytes
  }
}

function isZero(bytes: Buffer): boolean {
  return (
    bytes.length === 0 ||
    (bytes[0] === 0 && bytes.compare(bytes, 1, bytes.length, 0, bytes.length - 1) === 0)
  )
}

function nextMagic(bytes: Buffer, from: number, to: number): number {
  const found = bytes.indexOf(MESSAGE_MAGIC_START, from)
  return found >= 0 && found + 4 <= to ? found : -1
}

export function hex(digest: bigint): string {
  return digest.toString(16).padStart(16, '0')
}
