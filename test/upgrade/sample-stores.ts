/**
 * Stores that real brokers left (packages/broker/testdata/store), and what an independent reader
 * found in them.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from '../support/run-command.ts'

const TESTDATA = join(ROOT, 'packages/broker/testdata/store')

export interface SampleMessage {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly physicalOffset: number
  readonly storeSize: number
  readonly uniqKey: string | null
  readonly keys: string | null
  readonly sysFlag: number
  readonly storeTimestamp: number
  readonly properties: Readonly<Record<string, string>>
  readonly storedBodySha256: string
  readonly offsetMsgId: string
}

export interface SampleStore {
  readonly name: string
  readonly messages: readonly SampleMessage[]
  /** By `topic@group` and queue. */
  readonly offsets: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly segmentBytes: number
  /** For broker.conf: the file sizes that the store was made with. */
  readonly settings: Readonly<Record<string, string>>
}

export type SampleName = 'plain-4.9.4' | 'kill9-5.4.0' | 'dledger-5.4.0' | 'lib-5.4.0'

export function sampleStore(name: SampleName): SampleStore {
  const manifest = JSON.parse(readFileSync(manifestPath(name), 'utf8'))
  const { mappedFileSizeCommitLog, mappedFileSizeConsumeQueue, maxHashSlotNum, maxIndexNum } =
    manifest.meta as Record<string, string>
  return {
    name,
    messages: manifest.messages,
    // The store that Apache's library wrote without a broker has no groups.
    offsets: manifest.consumerOffset?.offsetTable ?? {},
    segmentBytes: Number(mappedFileSizeCommitLog),
    settings: {
      mappedFileSizeCommitLog: String(mappedFileSizeCommitLog),
      mappedFileSizeConsumeQueue: String(mappedFileSizeConsumeQueue),
      maxHashSlotNum: String(maxHashSlotNum),
      maxIndexNum: String(maxIndexNum),
      maxMessageSize: '65536',
    },
  }
}

export function manifestPath(name: SampleName): string {
  return join(TESTDATA, `${name}.manifest.json`)
}

/** Unpacks the store so that `root` is its storePathRootDir. */
export function unpackStore(name: string, root: string): void {
  const scratch = `${root}.unpacking`
  mkdirSync(scratch, { recursive: true })
  mkdirSync(dirname(root), { recursive: true })
  execFileSync('tar', ['xzf', join(TESTDATA, `${name}.tar.gz`), '-C', scratch])
  renameSync(join(scratch, 'store'), root)
  rmSync(scratch, { recursive: true })
}

/** Zeroes what lies behind the message with this number, as if it had never come. */
export function forgetFrom(sample: SampleStore, store: string, message: number): void {
  const { physicalOffset } = sample.messages[message]!
  const start = physicalOffset - (physicalOffset % sample.segmentBytes)
  const path = join(store, 'commitlog', String(start).padStart(20, '0'))
  const bytes = readFileSync(path)
  bytes.fill(0, physicalOffset - start)
  writeFileSync(path, bytes)
}
