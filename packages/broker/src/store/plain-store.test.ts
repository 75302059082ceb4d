/**
 * Plain stores of real brokers (4.9.4, 5.4.0 killed, the 5.4.0 library) as the old part of a Raft
 * log: their queues come out as Apache wrote them, every message is found and read.
 */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { takeOverOldLog } from '../old-log/take-over.ts'
import { PlainLog } from './plain-log.ts'
import { assertReadable, openPlain as open, type PlainSample, unpackPlain } from './plain-sample.ts'
import { queueUnitsOf } from './sample-store.ts'

const scratch = mkdtempSync(join(tmpdir(), 'ringledger-plain-'))
after(() => rmSync(scratch, { recursive: true }))

for (const name of ['plain-4.9.4', 'kill9-5.4.0', 'lib-5.4.0']) {
  describe(name, () => {
    const sample = unpackPlain(name, scratch)
    const queues = join(sample.root, 'consumequeue')
    const original = queueUnitsOf(queues)
    let dividedPosition = 0

    test('is divided where its last file ends, and every message is there', () => {
      const opened = open(sample)
      dividedPosition = opened.dividedPosition
      const last = sample.messages.at(-1)!
      assert.equal(dividedPosition % sample.segmentBytes, 0)
      assert.ok(last.physicalOffset + last.storeSize + 8 <= dividedPosition)
      assert.ok(dividedPosition - last.physicalOffset < sample.segmentBytes)
      assertReadable(opened.store, sample.messages)
      opened.store.close()
      const rebuilt = queueUnitsOf(queues)
      for (const topic of rebuilt.keys()) if (/^Bcq/.test(topic)) rebuilt.delete(topic)
      assert.deepEqual([...rebuilt].sort(), [...original].sort())
      assert.equal(existsSync(join(sample.root, 'abort')), false)
    })

    test('its last file ends with a blank as Apache writes it', () => {
      const last = sample.messages.at(-1)!
      const end = last.physicalOffset + last.storeSize
      const start = dividedPosition - sample.segmentBytes
      const path = join(sample.root, 'commitlog', String(start).padStart(20, '0'))
      const bytes = readFileSync(path).subarray(end - start)
      assert.equal(bytes.readInt32BE(0), dividedPosition - end)
      assert.equal(bytes.readInt32BE(4), -875286124)
      assert.ok(bytes.subarray(8).every((byte) => byte === 0))
      assert.equal(readdirSync(join(sample.root, 'commitlog')).at(-1), path.slice(-20))
    })

    test('opens again, at the same place, without being built anew', () => {
      const opened = open(sample)
      assert.equal(opened.dividedPosition, dividedPosition)
      assert.equal(opened.store.rebuilding, false)
      assertReadable(opened.store, sample.messages)
      opened.store.close()
    })

    test('queues of one topic, all of them or the index are made anew when they are lost', () => {
      const [topic = ''] = readdirSync(queues)
      for (const lost of [join(queues, topic), queues, join(sample.root, 'index')]) {
        const before = queueUnitsOf(queues)
        rmSync(lost, { recursive: true })
        const { store } = open(sample)
        assertReadable(store, sample.messages)
        store.close()
        assert.deepEqual(queueUnitsOf(queues), before)
      }
    })
  })
}

describe('an old log that is not whole', () => {
  const whole = unpackPlain('plain-4.9.4', scratch)

  function copy(): PlainSample {
    const root = join(mkdtempSync(join(scratch, 'copy-')), 'store')
    cpSync(whole.root, root, { recursive: true })
    return { ...whole, root }
  }

  function fileOf(sample: PlainSample, position: number): string {
    const start = position - (position % sample.segmentBytes)
    return join(sample.root, 'commitlog', String(start).padStart(20, '0'))
  }

  function flip(sample: PlainSample, position: number): void {
    const path = fileOf(sample, position)
    const bytes = readFileSync(path)
    bytes[position % sample.segmentBytes]! ^= 0x20
    writeFileSync(path, bytes)
  }

  for (const [title, at] of [
    ['a damaged body is said with its place, and hides nothing behind it', 100],
    ['a damaged header is said with its place, and hides nothing behind it', 2],
    ['a damaged length is said with its place, and hides nothing behind it', 0],
  ] as const) {
    test(title, () => {
      const sample = copy()
      const { messages } = sample
      const damaged = [messages[20]!, messages[150]!, messages.at(-1)!]
      for (const message of damaged) flip(sample, message.physicalOffset + at)
      const { store, lines } = open(sample)
      assertReadable(
        store,
        messages.filter((message) => !damaged.includes(message)),
      )
      for (const { physicalOffset } of damaged.slice(0, 2)) {
        assert.match(lines.join('\n'), new RegExp(`no message at positions ${physicalOffset} to`))
      }
      assert.match(lines.join('\n'), /behind the last message, at position \d+, lie bytes/)
      store.close()
    })
  }

  test('a damaged queue offset takes nothing but its own message out of the queue', () => {
    const sample = copy()
    const { messages } = sample
    const damaged = messages.filter(({ topic }) => topic === 'FixTopicB')[60]!
    flip(sample, damaged.physicalOffset + 22)
    const { store, lines } = open(sample)
    assert.match(lines.join('\n'), /in FixTopicB\/0, where 60 is next: its header is damaged/)
    assertReadable(
      store,
      messages.filter((message) => message !== damaged),
    )
    assert.equal(store.queues.minOffset('FixTopicB', 0), 0)
    store.close()
  })

  test('a missing file in the middle is said, and what follows is served', () => {
    const sample = copy()
    const { messages, segmentBytes } = sample
    rmSync(fileOf(sample, segmentBytes))
    const { store, lines } = open(sample)
    assert.match(lines.join('\n'), /no file holds positions 262144 to 524288/)
    const left = messages.filter(
      ({ physicalOffset }) => Math.floor(physicalOffset / segmentBytes) !== 1,
    )
    assertReadable(store, left)
    store.close()
  })

  test('a missing first file moves the minima, as retention does', () => {
    const sample = copy()
    const { messages, segmentBytes } = sample
    rmSync(fileOf(sample, 0))
    const { store } = open(sample)
    assertReadable(
      store,
      messages.filter(({ physicalOffset }) => physicalOffset >= segmentBytes),
    )
    for (const { topic, queueId } of messages) {
      const kept = messages.filter(
        (message) =>
          message.topic === topic &&
          message.queueId === queueId &&
          message.physicalOffset >= segmentBytes,
      )
      const queue = store.queues.find(topic, queueId)
      if (kept.length > 0)
        assert.equal(queue?.minOffset, kept[0]!.queueOffset, `${topic}/${queueId}`)
      else assert.equal(queue, undefined)
    }
    store.close()
  })

  test('retention takes old files away, oldest first', () => {
    const sample = copy()
    const { store } = open(sample)
    const plain = new PlainLog(
      takeOverOldLog(
        join(sample.root, 'commitlog'),
        { rootDirectory: sample.root, selfId: 'n0', segmentBytes: sample.segmentBytes },
        () => {},
      ).files,
      4 * sample.segmentBytes,
    )
    store.logFirstPosition = plain.removeOldest()
    assert.equal(plain.firstPosition, sample.segmentBytes)
    assert.equal(existsSync(fileOf(sample, 0)), false)
    assert.ok(store.queues.minOffset('FixTopicB', 0) > 0)
    store.close()
  })

  test('files made ahead go, files with something else are kept aside', () => {
    const sample = copy()
    const { segmentBytes } = sample
    writeFileSync(fileOf(sample, 4 * segmentBytes), Buffer.alloc(segmentBytes))
    writeFileSync(fileOf(sample, 5 * segmentBytes), Buffer.alloc(segmentBytes, 7))
    const { store, dividedPosition } = open(sample)
    assert.equal(dividedPosition, 4 * segmentBytes)
    const names = readdirSync(join(sample.root, 'commitlog'))
    assert.deepEqual(names.slice(4), ['ringledger-aside'])
    assert.equal(readdirSync(join(sample.root, 'commitlog/ringledger-aside')).length, 1)
    store.close()
  })

  test('another file size is refused, and nothing is changed', () => {
    const sample = { ...copy(), segmentBytes: 1024 ** 2 }
    assert.throws(() => open(sample), { code: 'BAD_CONFIG', message: /mappedFileSizeCommitLog/ })
    const short = copy()
    truncateSync(fileOf(short, 0), 1000)
    assert.throws(() => open(short), { code: 'BAD_CONFIG', message: /nothing was changed/ })
  })

  test('messages that a plain broker wrote beside the Raft log are never passed over', () => {
    const sample = copy()
    const data = join(sample.root, 'dledger-n0/data')
    open(sample).store.close()
    cpSync(fileOf(sample, 0), join(data, String(2 * sample.segmentBytes).padStart(20, '0')))
    assert.throws(() => open(sample), { code: 'BAD_CONFIG', message: /without DLedger wrote/ })
  })

  test('a torn last message is cut off, as Apache does', () => {
    const sample = copy()
    const last = sample.messages.at(-1)!
    const descriptor = openSync(fileOf(sample, last.physicalOffset), 'r+')
    const at = (last.physicalOffset % sample.segmentBytes) + 60
    writeSync(descriptor, Buffer.alloc(last.storeSize - 60), 0, last.storeSize - 60, at)
    const { store } = open(sample)
    assertReadable(store, sample.messages.slice(0, -1))
    assert.equal(store.reader.sizeAt(last.physicalOffset), -1)
    store.close()
  })
})
