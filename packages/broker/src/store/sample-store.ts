/**
 * The store that a real RocketMQ 5.4.0 broker wrote (testdata/store), unpacked for tests, with the
 * manifest an independent reader made of it.
 */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { CheckpointFile, type DispatchMark, readBootId } from './checkpoint-file.ts'
import type { LogFiles } from './message-reader.ts'

const TESTDATA = join(import.meta.dirname, '../../testdata/store')
const SEGMENT_BYTES = 262_144

export const SAMPLE_SIZES = {
  consumeQueueFileBytes: 1000,
  indexSlots: 200,
  indexEntries: 400,
} as const

export interface SampleMessage {
  topic: string
  queueId: number
  queueOffset: number
  physicalOffset: number
  storeSize: number
  uniqKey: string | null
  keys: string | null
  tags: string | null
  storeTimestamp: number
}

export interface Sample {
  rootDirectory: string
  messages: SampleMessage[]
  queueRanges: Record<string, [number, number]>
  log: LogFiles
  logEndPosition: number
  remove(): void
}

export function unpackSample(): Sample {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-sample-'))
  execFileSync('tar', ['xzf', join(TESTDATA, 'dledger-5.4.0.tar.gz'), '-C', directory])
  const manifest = JSON.parse(readFileSync(join(TESTDATA, 'dledger-5.4.0.manifest.json'), 'utf8'))
  const rootDirectory = join(directory, 'store')
  const messages: SampleMessage[] = manifest.messages
  const last = messages.at(-1)!
  return {
    rootDirectory,
    messages,
    queueRanges: manifest.report.cqRanges,
    log: segmentFiles(join(rootDirectory, 'dledger-n0/data')),
    logEndPosition: last.physicalOffset + last.storeSize,
    remove: () => rmSync(directory, { recursive: true }),
  }
}

/** An arena that holds nothing of a log whose end, all of it committed, is `endPosition`. */
export function emptyArena(endPosition: number): LogArena {
  const arena = new LogArena(LogArena.allocate({ sizeBytes: 1 << 20, maxEntryBytes: 1 << 16 }))
  arena.reset(endPosition)
  arena.committed = endPosition
  return arena
}

/** Says that an earlier run of ours ended with this mark. */
export function writeCheckpoint(rootDirectory: string, mark: DispatchMark): void {
  const file = new CheckpointFile(join(rootDirectory, 'ringledger-dispatch'))
  file.write({ bootId: readBootId(), handedOver: mark, synced: mark })
  file.close()
}

/**
 * The units of every queue under `directory`, file contents up to the end of data, by
 * `topic/queueId`.
 */
export function queueUnitsOf(directory: string): Map<string, string> {
  const units = new Map<string, string>()
  for (const topic of readdirSync(directory)) {
    for (const queueId of readdirSync(join(directory, topic))) {
      const path = join(directory, topic, queueId)
      const files = readdirSync(path).sort()
      const bytes = Buffer.concat(files.map((name) => readFileSync(join(path, name))))
      let end = 0
      while (end < bytes.length && bytes.readInt32BE(end + 8) > 0) end += 20
      units.set(`${topic}/${queueId}`, `${files[0]} ${bytes.toString('hex', 0, end)}`)
    }
  }
  return units
}

function segmentFiles(directory: string): LogFiles {
  return {
    read(position, target, offset, maxBytes) {
      const start = position - (position % SEGMENT_BYTES)
      const path = join(directory, String(start).padStart(20, '0'))
      if (!readdirSync(directory).includes(String(start).padStart(20, '0'))) return 0
      const descriptor = openSync(path, 'r')
      try {
        return readSync(descriptor, target, offset, maxBytes, position - start)
      } finally {
        closeSync(descriptor)
      }
    },
  }
}
