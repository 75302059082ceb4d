/**
 * Makes small plain stores in Apache's layout for tests: commit log files with their blanks, tables
 * and the marks of an orderly end.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  encodeMessage,
  fileNameOfOffset,
  messageParts,
  messageSize,
  msgQueueOffsets,
  writePlainLogBlank,
} from '@ringledger/protocol'

export const FAKE_SEGMENT_BYTES = 4096

export interface FakeMessage {
  readonly topic: string
  readonly queueId?: number
  readonly body: string | Buffer
  readonly properties?: ReadonlyMap<string, string>
  readonly sysFlag?: number
}

export interface FakeStore {
  readonly files: { readonly offset: number; readonly bytes: Buffer }[]
  /** Where each message begins. */
  readonly offsets: number[]
  readonly endOffset: number
}

/** Lays the messages out as a broker would that got them one after another. */
export function layOut(
  messages: readonly FakeMessage[],
  segmentBytes: number = FAKE_SEGMENT_BYTES,
): FakeStore {
  const files: { offset: number; bytes: Buffer }[] = []
  const offsets: number[] = []
  const queueOffsets = new Map<string, number>()
  let file = { offset: 0, bytes: Buffer.alloc(segmentBytes) }
  let at = 0
  files.push(file)
  for (const [index, message] of messages.entries()) {
    const queue = `${message.topic}/${message.queueId ?? 0}`
    const queueOffset = queueOffsets.get(queue) ?? 0
    const encode = (physicalOffset: number): Buffer => {
      const times = { bornTimestampMs: 1_000_000 + index, storeTimestampMs: 1_000_000 + index }
      const parts = messageParts({ ...message, ...times, queueOffset, physicalOffset })
      const encoded = Buffer.alloc(messageSize(parts))
      encodeMessage(encoded, 0, parts)
      return encoded
    }
    let bytes = encode(file.offset + at)
    if (at + bytes.length + 8 > segmentBytes) {
      writePlainLogBlank(file.bytes, at, segmentBytes - at)
      file = { offset: file.offset + segmentBytes, bytes: Buffer.alloc(segmentBytes) }
      files.push(file)
      at = 0
      bytes = encode(file.offset)
    }
    offsets.push(file.offset + at)
    bytes.copy(file.bytes, at)
    queueOffsets.set(queue, queueOffset + msgQueueOffsets(bytes, 0))
    at += bytes.length
  }
  return { files, offsets, endOffset: file.offset + at }
}

const TOPICS = '{"dataVersion":{"counter":1},"topicConfigTable":{"T":{"perm":6,"topicName":"T"}}}'

/** Writes the store to `root`. */
export function writeStore(root: string, store: FakeStore): void {
  mkdirSync(join(root, 'commitlog'), { recursive: true })
  mkdirSync(join(root, 'config'), { recursive: true })
  for (const { offset, bytes } of store.files) {
    writeFileSync(join(root, 'commitlog', fileNameOfOffset(offset)), bytes)
  }
  writeFileSync(join(root, 'config', 'topics.json'), TOPICS)
  writeFileSync(join(root, 'config', 'consumerOffset.json'), '{"offsetTable":{"T@G":{0:2}}}')
}

/** `count` messages of different lengths over three queues. */
export function someMessages(count: number, seed = 1): FakeMessage[] {
  return Array.from({ length: count }, (_, index) => ({
    topic: 'T',
    queueId: index % 3,
    body: Buffer.alloc(100 + ((index * 37 * seed) % 300), index + seed),
    properties: new Map([['KEYS', `key-${index}`]]),
  }))
}
