/** Inner batches that a real 5.4.0 store holds (sample lib-5.4.0, topic BcqTopic, 4 + 5 + 6). */
import assert from 'node:assert/strict'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import type { BrokerStore } from './broker-store.ts'
import {
  assertReadable,
  openPlain,
  type PlainMessage,
  type PlainSample,
  unpackPlain,
} from './plain-sample.ts'

const TOPIC = 'BcqTopic'
const ELEMENTS = [4, 5, 6]
const QUEUE_OFFSET_AT = 20
const scratch = mkdtempSync(join(tmpdir(), 'ringledger-batch-'))
after(() => rmSync(scratch, { recursive: true }))

describe('inner batches of an old store', () => {
  const whole = unpackPlain('lib-5.4.0', scratch)
  const batches = whole.messages.filter(({ topic }) => topic === TOPIC)

  function copy(): PlainSample {
    const root = join(mkdtempSync(join(scratch, 'copy-')), 'store')
    cpSync(whole.root, root, { recursive: true })
    return { ...whole, root }
  }

  function change(sample: PlainSample, position: number, bytes: Buffer): void {
    const path = join(sample.root, 'commitlog', '0'.repeat(20))
    const file = readFileSync(path)
    bytes.copy(file, position)
    writeFileSync(path, file)
  }

  /** Of every offset the first one of its batch, -1 where there is no message. */
  function firstOffsets(store: BrokerStore): number[] {
    const queue = store.queues.find(TOPIC, 0)
    assert.ok(queue)
    const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
    return Array.from({ length: queue.maxOffset }, (_, at) => {
      if (!queue.unitAt(at, unit)) return -1
      const { physicalOffset, sizeBytes } = unit
      const found = batches.find((message) => message.physicalOffset === physicalOffset)
      assert.equal(found?.storeSize, sizeBytes)
      return found.queueOffset
    })
  }

  function offsetsOf(kept: readonly PlainMessage[]): number[] {
    return batches.flatMap((batch, at) =>
      new Array<number>(ELEMENTS[at]!).fill(kept.includes(batch) ? batch.queueOffset : -1),
    )
  }

  for (const [what, options] of [
    ['are in their queue with every offset', {}],
    ['are so where queues that were found are gone on with', { useFoundFromBytes: 0 }],
  ] as const) {
    test(what, () => {
      const sample = copy()
      for (const _ of ['first start', 'next start']) {
        const { store } = openPlain(sample, options)
        assert.deepEqual(firstOffsets(store), offsetsOf(batches))
        assertReadable(store, sample.messages)
        assert.equal(store.queues.minOffset(TOPIC, 0), 0)
        store.close()
      }
    })
  }

  test('have a queue that Apache passes over when it loads, where it is known to have its own', () => {
    const sample = copy()
    const topics = { [TOPIC]: { topicName: TOPIC, attributes: { 'queue.type': 'BatchCQ' } } }
    mkdirSync(join(sample.root, 'config'))
    writeFileSync(
      join(sample.root, 'config', 'topics.json'),
      JSON.stringify({ topicConfigTable: topics }),
    )
    for (const _ of ['first start', 'next start']) {
      const { store } = openPlain(sample)
      assert.deepEqual(firstOffsets(store), offsetsOf(batches))
      store.close()
      assert.deepEqual(readdirSync(join(sample.root, 'consumequeue', TOPIC)), ['b0'])
    }
  })

  test('are found by time, at their first offset', () => {
    const { store } = openPlain(copy())
    const timeOf = (physicalOffset: number, sizeBytes: number): number =>
      store.reader.storeTimestampAt(physicalOffset, sizeBytes)
    const times = batches.map(({ storeTimestamp }) => storeTimestamp)
    const lower = (ms: number): number => store.queues.offsetByTime(TOPIC, 0, ms, 'lower', timeOf)
    assert.deepEqual(
      times.map(lower),
      times.map((ms) => batches[times.indexOf(ms)]!.queueOffset),
    )
    assert.equal(lower(times[2]! + 1), 15)
    assert.equal(store.queues.offsetByTime(TOPIC, 0, times[0]!, 'upper', timeOf), 3)
    store.close()
  })

  test('one that is damaged takes nothing but its own offsets away', () => {
    for (const damaged of batches.slice(0, 2)) {
      const sample = copy()
      change(sample, damaged.physicalOffset + 150, Buffer.from('?'))
      const { store, lines } = openPlain(sample)
      const kept = batches.filter((batch) => batch !== damaged)
      // What is missing at the beginning of a queue is not known to have been there.
      assert.deepEqual(firstOffsets(store), offsetsOf(kept))
      assert.match(
        lines.join('\n'),
        new RegExp(`no message at positions ${damaged.physicalOffset}`),
      )
      store.close()
    }
  })

  test('the elements decide how many there are, and another INNER_NUM is said', () => {
    const { physicalOffset, storeSize } = batches[2]!
    const bytes = readFileSync(join(whole.root, 'commitlog', '0'.repeat(20)))
    const name = bytes.indexOf('INNER_NUM\u0001', physicalOffset)
    assert.ok(name > 0 && name < physicalOffset + storeSize)
    const sample = copy()
    change(sample, name + 10, Buffer.from('9'))
    const { store, lines } = openPlain(sample)
    assert.deepEqual(firstOffsets(store), offsetsOf(batches))
    assert.match(
      lines.join('\n'),
      /the batch at \d+ in BcqTopic\/0: INNER_NUM is "9", of 6 elements in the body/,
    )
    store.close()
  })

  test('one whose queue offset is damaged is in no queue, and does not move the others', () => {
    const damaged = batches[1]!
    const sample = copy()
    change(sample, damaged.physicalOffset + QUEUE_OFFSET_AT + 4, Buffer.from([1]))
    const { store, lines } = openPlain(sample)
    assert.match(lines.join('\n'), /in BcqTopic\/0, where 4 is next: its header is damaged/)
    assert.deepEqual(firstOffsets(store), offsetsOf(batches.filter((batch) => batch !== damaged)))
    store.close()
  })

  test('wrong units of one are repaired', () => {
    const { store } = openPlain(copy())
    const queue = store.queues.find(TOPIC, 0)
    for (const at of [4, 6, 8]) {
      queue?.rewriteUnit(at, batches[0]!.physicalOffset, batches[0]!.storeSize, 1)
      assert.ok(store.repairUnit(TOPIC, 0, at))
    }
    assert.deepEqual(firstOffsets(store), offsetsOf(batches))
    store.close()
  })
})
