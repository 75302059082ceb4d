/** Small plain stores in Apache's layout for tests: commit log files with their blanks, no more. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  encodeMessage,
  fileNameOfOffset,
  messageParts,
  messageSize,
  PLAIN_LOG_BLANK_BYTES,
  writePlainLogBlank,
} from '@ringledger/protocol'

export const FAKE_FILE_BYTES = 4096

export interface PlainStoreShape {
  readonly messages: number
  /** Number of the first message with another body. */
  readonly differsFrom?: number
  /** Number of a file that is missing. */
  readonly withoutFile?: number
}

/** Returns where each message begins. */
export function makePlainStore(root: string, shape: PlainStoreShape): number[] {
  const directory = join(root, 'commitlog')
  mkdirSync(directory, { recursive: true })
  const { messages, differsFrom = messages, withoutFile = -1 } = shape
  const files: Buffer[] = []
  const offsets: number[] = []
  let at = FAKE_FILE_BYTES
  for (let number = 0; number < messages; number++) {
    const fill = number >= differsFrom ? 255 : number
    const bytes = message(number, Buffer.alloc(100 + ((number * 37) % 300), fill))
    if (at + bytes.length + PLAIN_LOG_BLANK_BYTES > FAKE_FILE_BYTES) {
      if (files.length > 0) writePlainLogBlank(files.at(-1)!, at, FAKE_FILE_BYTES - at)
      files.push(Buffer.alloc(FAKE_FILE_BYTES))
      at = 0
    }
    const position = (files.length - 1) * FAKE_FILE_BYTES + at
    bytes.writeBigInt64BE(BigInt(position), 28)
    bytes.copy(files.at(-1)!, at)
    offsets.push(position)
    at += bytes.length
  }
  for (const [number, bytes] of files.entries()) {
    if (number === withoutFile) continue
    writeFileSync(join(directory, fileNameOfOffset(number * FAKE_FILE_BYTES)), bytes)
  }
  return offsets
}

function message(number: number, body: Buffer): Buffer {
  const parts = messageParts({
    topic: 'T',
    queueId: 0,
    queueOffset: number,
    body,
    bornTimestampMs: 1_000_000 + number,
    storeTimestampMs: 1_000_000 + number,
    properties: `KEYS\u0001key-${number}`,
  })
  const bytes = Buffer.alloc(messageSize(parts))
  encodeMessage(bytes, 0, parts)
  return bytes
}
