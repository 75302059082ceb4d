/**
 * Plain stores that real brokers left (testdata/store), opened as the old part of a Raft log, with
 * what an independent reader found in them. For tests.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeMessage, parseOffsetMessageId } from '@ringledger/protocol'
import { takeOverOldLog } from '../old-log/take-over.ts'
import { BrokerStore, type BrokerStoreOptions } from './broker-store.ts'
import { JoinedLog } from './joined-log.ts'
import { PlainLog } from './plain-log.ts'
import { emptyArena, SAMPLE_SIZES } from './sample-store.ts'

const TESTDATA = join(import.meta.dirname, '../../testdata/store')
const NO_LISTENER = { onMessage() {}, onRecord() {}, onReplaced() {} }
const NO_RAFT_LOG = { read: () => 0 }

export interface PlainMessage {
  topic: string
  queueId: number
  queueOffset: number
  physicalOffset: number
  storeSize: number
  uniqKey: string | null
  keys: string | null
  sysFlag: number
  storedBodySha256: string
  storeTimestamp: number
  offsetMsgId: string
}

export interface PlainSample {
  root: string
  messages: PlainMessage[]
  segmentBytes: number
}

/** A store of a real broker, unpacked below `scratch`. */
export function unpackPlain(name: string, scratch: string): PlainSample {
  const directory = mkdtempSync(join(scratch, `${name}-`))
  execFileSync('tar', ['xzf', join(TESTDATA, `${name}.tar.gz`), '-C', directory])
  const manifest = JSON.parse(readFileSync(join(TESTDATA, `${name}.manifest.json`), 'utf8'))
  return {
    root: join(directory, 'store'),
    messages: manifest.messages,
    segmentBytes: Number(manifest.meta.mappedFileSizeCommitLog),
  }
}

export interface OpenedPlain {
  store: BrokerStore
  dividedPosition: number
  lines: string[]
}

/** As a first start opens it, everything dispatched. */
export function openPlain(
  { root, segmentBytes }: PlainSample,
  options: Pick<BrokerStoreOptions, 'useFoundFromBytes'> = {},
): OpenedPlain {
  const lines: string[] = []
  const config = { rootDirectory: root, selfId: 'n0', segmentBytes }
  const old = takeOverOldLog(join(root, 'commitlog'), config, (_level, line) => lines.push(line))
  const plain = new PlainLog(old.files, old.dividedPosition)
  const store = BrokerStore.open(
    {
      rootDirectory: root,
      arena: emptyArena(old.dividedPosition),
      files: new JoinedLog(plain, NO_RAFT_LOG),
      logFirstPosition: plain.firstPosition,
      logEndPosition: old.dividedPosition,
      ...SAMPLE_SIZES,
      ...options,
      log: (line) => lines.push(line),
    },
    NO_LISTENER,
  )
  while (store.duty());
  return { store, dividedPosition: old.dividedPosition, lines }
}

/** Others are in no queue. */
function isShown({ sysFlag }: PlainMessage): boolean {
  return (sysFlag & 12) === 0 || (sysFlag & 12) === 8
}

/** By queue offset, offset id, key and time. */
export function assertReadable(store: BrokerStore, messages: readonly PlainMessage[]): void {
  const target = Buffer.alloc(65_536)
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  for (const message of messages) {
    const { topic, queueId, queueOffset, physicalOffset, storeSize } = message
    const what = `${topic}/${queueId} ${queueOffset}`
    assert.equal(parseOffsetMessageId(message.offsetMsgId).physicalOffset, physicalOffset, what)
    assert.equal(store.reader.sizeAt(physicalOffset), storeSize, what)
    assert.equal(store.reader.storeTimestampAt(physicalOffset, storeSize), message.storeTimestamp)
    assert.ok(store.reader.read(physicalOffset, storeSize, target, 0), what)
    const decoded = decodeMessage(target, 0)
    const digest = createHash('sha256').update(decoded.body).digest('hex')
    assert.equal(digest, message.storedBodySha256, what)
    assert.equal(store.reader.sizeAt(physicalOffset + 1), -1)
    if (!isShown(message)) continue
    assert.ok(store.queues.find(topic, queueId)?.unitAt(queueOffset, unit), what)
    assert.equal(unit.physicalOffset, physicalOffset, what)
    for (const key of [message.uniqKey, ...(message.keys?.split(' ') ?? [])]) {
      if (key === null || key === '') continue
      const found = store.index.query(topic, key, 1000, 0, Number.MAX_SAFE_INTEGER)
      assert.ok(found.includes(physicalOffset), `${topic}#${key}`)
    }
  }
}
