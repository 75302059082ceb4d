/**
 * Finds the very message from which two stores at hand differ, when digests have said that they do.
 * Reads both logs side by side from a place up to which they are known to be equal.
 */
import { closeSync, openSync } from 'node:fs'
import { readFully } from '@ringledger/base/internal'
import { checkMessage, msgBodyRange, msgPropertiesRange, msgTotalSize } from '@ringledger/protocol'
import { noteMessage } from './message-tally.ts'
import type { MessageNote } from './report.ts'
import { findStore, type LogFile, type StorePaths } from './store-files.ts'

/** The first place at which two logs differ. */
export interface Difference {
  /** First byte that differs, as an offset in the log. */
  readonly offset: number
  /** Which part of the message it lies in. */
  readonly part: 'body' | 'properties' | 'header' | 'no message'
  /** The message in each copy; absent where there is none at that place. */
  readonly first?: MessageNote
  readonly second?: MessageNote
}

const WINDOW_BYTES = 8 * 1024 * 1024

/**
 * Compares [from, to) of one file, `from` being the start of a message or of the file. Undefined:
 * no difference.
 */
export function firstDifference(
  first: LogFile,
  second: LogFile,
  from: number,
  to: number,
): Difference | undefined {
  const readers = [new Reader(first), new Reader(second)] as const
  try {
    const offset = firstUnequalByte(readers, from, to)
    return offset < 0 ? undefined : describe(readers, first.offset, offset)
  } finally {
    for (const reader of readers) reader.close()
  }
}

/**
 * The same for two stores on this machine, in the log file called `name`.
 * @throws LedgerError BAD_REQUEST when a store is not there
 */
export function findDifference(
  first: StorePaths,
  second: StorePaths,
  name: string,
): Difference | undefined {
  const files = [first, second].map((paths) => {
    return findStore(paths).log.find(({ offset }) => offset === Number(name))
  })
  const [left, right] = files
  if (left === undefined || right === undefined) return undefined
  const end = left.offset + Math.min(left.sizeBytes, right.sizeBytes)
  return firstDifference(left, right, left.offset, end)
}

class Reader {
  readonly #path: string
  readonly #descriptor: number
  readonly #offset: number
  readonly bytes: Buffer = Buffer.alloc(WINDOW_BYTES)

  constructor({ path, offset }: LogFile) {
    this.#path = path
    this.#descriptor = openSync(path, 'r')
    this.#offset = offset
  }

  /** Fills `bytes` from `offset` on; what lies behind the file's end is zeros. */
  load(offset: number): void {
    const position = offset - this.#offset
    const done = readFully(
      this.#descriptor,
      this.bytes,
      0,
      WINDOW_BYTES,
      position,
      `read of ${this.#path}`,
    )
    this.bytes.fill(0, done)
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}

function firstUnequalByte(
  [first, second]: readonly [Reader, Reader],
  from: number,
  to: number,
): number {
  for (let at = from; at < to; at += WINDOW_BYTES) {
    first.load(at)
    second.load(at)
    const end = Math.min(WINDOW_BYTES, to - at)
    if (first.bytes.compare(second.bytes, 0, end, 0, end) === 0) continue
    for (let byte = 0; byte < end; byte++) {
      if (first.bytes[byte] !== second.bytes[byte]) return at + byte
    }
  }
  return -1
}

/** Walks the messages up to the byte: a message is known by where it begins only. */
function describe(readers: readonly [Reader, Reader], start: number, unequal: number): Difference {
  const [first, second] = readers
  let at = start
  for (;;) {
    first.load(at)
    let inside = 0
    while (inside < WINDOW_BYTES / 2) {
      const sizeBytes = wholeMessage(first.bytes, inside)
      if (sizeBytes === 0 || at + inside + sizeBytes > unequal) {
        second.load(at + inside)
        first.load(at + inside)
        return differenceAt(first.bytes, second.bytes, at + inside, unequal)
      }
      inside += sizeBytes
    }
    at += inside
  }
}

/** Both buffers begin at offset `start`, where the message that differs begins. */
function differenceAt(first: Buffer, second: Buffer, start: number, unequal: number): Difference {
  const notes = [first, second].map((bytes) =>
    wholeMessage(bytes, 0) > 0 ? noteMessage(bytes, 0) : undefined,
  )
  const whole = wholeMessage(first, 0) > 0 ? first : second
  return {
    offset: unequal,
    part: wholeMessage(whole, 0) > 0 ? partOf(whole, unequal - start) : 'no message',
    ...(notes[0] === undefined ? {} : { first: notes[0] }),
    ...(notes[1] === undefined ? {} : { second: notes[1] }),
  }
}

/** A damaged body is a message nevertheless: what it is can still be said. */
function wholeMessage(bytes: Buffer, start: number): number {
  const found = checkMessage(bytes, start, bytes.length - start, { verifyBodyCrc: false })
  return found === 'ok' ? msgTotalSize(bytes, start) : 0
}

function partOf(message: Buffer, at: number): Difference['part'] {
  const body = msgBodyRange(message, 0)
  if (at >= body.start && at < body.end) return 'body'
  const properties = msgPropertiesRange(message, 0)
  return at >= properties.start && at < properties.end ? 'properties' : 'header'
}
