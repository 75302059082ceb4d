/**
 * The store of a real RocketMQ 5.4.0 broker: its queues are read as they are, and rebuilt to the
 * same bytes.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { decodeMessage, javaHashCode } from '@ringledger/protocol'
import { BrokerStore } from './broker-store.ts'
import { ConsumeQueues } from './consume-queues.ts'
import {
  emptyArena,
  queueUnitsOf,
  SAMPLE_SIZES,
  type Sample,
  type SampleMessage,
  unpackSample,
  writeCheckpoint,
} from './sample-store.ts'

const SCHEDULE = 'SCHEDULE_TOPIC_XXXX'
const NO_LISTENER = { onMessage() {}, onRecord() {}, onReplaced() {} }

function openSample(sample: Sample, lines: string[] = []): BrokerStore {
  return BrokerStore.open(
    {
      rootDirectory: sample.rootDirectory,
      arena: emptyArena(sample.logEndPosition),
      files: sample.log,
      logFirstPosition: 0,
      logEndPosition: sample.logEndPosition,
      ...SAMPLE_SIZES,
      log: (line) => lines.push(line),
    },
    NO_LISTENER,
  )
}

function drain(store: BrokerStore): void {
  while (store.duty());
  assert.equal(store.caughtUp, true)
}

function assertUnits(queues: ConsumeQueues, messages: SampleMessage[]): void {
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  for (const message of messages) {
    const queue = queues.find(message.topic, message.queueId)
    assert.ok(queue?.unitAt(message.queueOffset, unit), `${message.topic} ${message.queueOffset}`)
    assert.equal(unit.physicalOffset, message.physicalOffset)
    assert.equal(unit.sizeBytes, message.storeSize)
    if (message.topic === SCHEDULE) assert.ok(unit.tagsCode > message.storeTimestamp)
    else assert.equal(unit.tagsCode, message.tags === null ? 0 : javaHashCode(message.tags))
  }
}

function assertFoundByKey(store: BrokerStore, message: SampleMessage, key: string): void {
  const found = store.index.query(message.topic, key, 64, 0, Number.MAX_SAFE_INTEGER)
  assert.ok(found.includes(message.physicalOffset), `${message.topic}#${key}`)
}

describe('a store of RocketMQ 5.4.0', () => {
  let sample: Sample
  let original: Map<string, string>
  before(() => {
    sample = unpackSample()
    original = queueUnitsOf(join(sample.rootDirectory, 'consumequeue'))
  })
  after(() => sample.remove())

  test('has the queues that the manifest names', () => {
    const queues = new ConsumeQueues({
      directory: join(sample.rootDirectory, 'consumequeue'),
      fileBytes: SAMPLE_SIZES.consumeQueueFileBytes,
    })
    queues.recover(sample.logEndPosition, false)
    assertUnits(queues, sample.messages)
    for (const [name, [first, max]] of Object.entries(sample.queueRanges)) {
      const [topic = '', queueId] = name.split('/')
      assert.deepEqual(
        [queues.minOffset(topic, Number(queueId)), queues.maxOffset(topic, Number(queueId))],
        [first, max],
        name,
      )
    }
    assert.deepEqual(queues.totals.units, sample.messages.length)
    queues.close()
  })

  test('is rebuilt to the same bytes, its keys are found, its tables read', () => {
    rmSync(join(sample.rootDirectory, 'consumequeue'), { recursive: true })
    const lines: string[] = []
    const store = openSample(sample, lines)
    assert.equal(store.rebuilding, true)
    assert.match(lines.join('\n'), /built anew from the log: there is no checkpoint/)
    drain(store)
    assertUnits(store.queues, sample.messages)
    for (const message of sample.messages) {
      if (message.uniqKey !== null) assertFoundByKey(store, message, message.uniqKey)
      for (const key of message.keys?.split(' ') ?? []) {
        if (key !== '') assertFoundByKey(store, message, key)
      }
    }
    assert.equal(store.state.offset('FixTopicA', 'GID_fix_A', 3), 15)
    assert.equal(store.state.delayOffset(1), 5)
    assert.equal(store.state.topics.get('FixTopicB')?.perm, 6)
    assert.equal(store.state.groups.get('GID_fix_A')?.retryMaxTimes, 16)
    store.close()
    assert.deepEqual(queueUnitsOf(join(sample.rootDirectory, 'consumequeue')), original)
    assert.equal(existsSync(join(sample.rootDirectory, 'abort')), false)
    const checkpoint = readFileSync(join(sample.rootDirectory, 'checkpoint'))
    assert.equal(checkpoint.length, 4096)
    assert.equal(Number(checkpoint.readBigInt64BE(8)), sample.messages.at(-1)!.storeTimestamp)
  })

  test('is not dispatched again after a clean stop', () => {
    const store = openSample(sample)
    assert.equal(store.lastExitWasClean, true)
    assert.equal(store.rebuilding, false)
    assert.equal(store.dispatchedPosition, sample.logEndPosition)
    assertUnits(store.queues, sample.messages)
    store.close()
  })

  test('a queue that was deleted meanwhile is noticed and rebuilt', () => {
    const directory = join(sample.rootDirectory, 'consumequeue')
    rmSync(join(directory, 'FixTopicB'), { recursive: true })
    const lines: string[] = []
    const store = openSample(sample, lines)
    assert.match(lines.join('\n'), /there are 159 units in 23 queues, the checkpoint says 279/)
    drain(store)
    store.close()
    assert.deepEqual(queueUnitsOf(directory), original)
  })

  test('a file of another size is noticed and rebuilt', () => {
    const directory = join(sample.rootDirectory, 'consumequeue')
    writeFileSync(join(directory, 'FixTopicB/0/00000000000000000000'), Buffer.alloc(2000))
    const lines: string[] = []
    const store = openSample(sample, lines)
    assert.match(lines.join('\n'), /does not fit into a queue of 1000-byte files/)
    drain(store)
    store.close()
    assert.deepEqual(queueUnitsOf(directory), original)
  })

  test('messages are read by offset, and nothing else is', () => {
    const store = openSample(sample)
    const target = Buffer.alloc(65_536)
    for (const message of sample.messages) {
      const { physicalOffset, storeSize } = message
      assert.equal(store.reader.sizeAt(physicalOffset), storeSize)
      assert.equal(store.reader.storeTimestampAt(physicalOffset, storeSize), message.storeTimestamp)
      assert.equal(store.reader.read(physicalOffset, storeSize, target, 7), true)
      assert.equal(decodeMessage(target, 7).topic, message.topic)
      assert.equal(store.reader.sizeAt(physicalOffset + 1), -1)
      assert.equal(store.reader.read(physicalOffset, storeSize + 1, target, 0), false)
    }
    for (const wrong of [-1, 0, 47, 1.5, Number.NaN, sample.logEndPosition, 2 ** 60]) {
      assert.equal(store.reader.sizeAt(wrong), -1)
      assert.equal(store.reader.read(wrong, 100, target, 0), false)
    }
    store.close()
  })

  test('a checkpoint of a run that got further than the log is cut to the log', () => {
    writeCheckpoint(sample.rootDirectory, {
      position: sample.logEndPosition + 5000,
      unitTotal: 999,
      queueTotal: 9,
      index: { fileName: '', indexCount: 0 },
      stateEnd: 0,
    })
    const store = openSample(sample)
    assert.equal(store.dispatchedPosition, sample.logEndPosition)
    assertUnits(store.queues, sample.messages)
    store.close()
  })
})
