/**
 * Queues and index of real brokers are gone on with when they are proven complete; whatever is
 * missing or damaged in them, every message is there in the end.
 */
import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { randomBetween, seededRandom } from '@ringledger/base'
import { assertReadable, openPlain, type PlainSample, unpackPlain } from './plain-sample.ts'
import { queueUnitsOf } from './sample-store.ts'

const USE_ALWAYS = { useFoundFromBytes: 0 }
const UNIT_BYTES = 20
const scratch = mkdtempSync(join(tmpdir(), 'ringledger-found-'))
after(() => rmSync(scratch, { recursive: true }))

for (const name of ['plain-4.9.4', 'kill9-5.4.0'] as const) {
  describe(name, () => {
    const whole = unpackPlain(name, scratch)
    const original = queueUnitsOf(join(whole.root, 'consumequeue'))
    const queuesOf = ({ root }: PlainSample): string => join(root, 'consumequeue')

    function copy(): PlainSample {
      const root = join(mkdtempSync(join(scratch, 'copy-')), 'store')
      cpSync(whole.root, root, { recursive: true })
      return { ...whole, root }
    }

    /** Everything is served, and the queues are what they were; returns what the start said. */
    function assertWhole(sample: PlainSample): string {
      const { store, lines } = openPlain(sample, USE_ALWAYS)
      assertReadable(store, sample.messages)
      store.close()
      assert.deepEqual([...queueUnitsOf(queuesOf(sample))].sort(), [...original].sort())
      const again = openPlain(sample, USE_ALWAYS)
      assertReadable(again.store, sample.messages)
      again.store.close()
      return lines.join('\n')
    }

    test('what the broker left is gone on with', () => {
      const said = assertWhole(copy())
      assert.match(said, /have every message below position \d+/)
      assert.doesNotMatch(said, /built anew/)
    })

    test('what was not dispatched yet is added', () => {
      const sample = copy()
      const cut = sample.messages[Math.floor(sample.messages.length / 2)]!
      const queue = join(queuesOf(sample), cut.topic, String(cut.queueId))
      cutQueue(queue, cut.queueOffset)
      assert.match(assertWhole(sample), /lack messages|have every message below position \d+/)
    })

    test('a queue that is gone is built anew', () => {
      const sample = copy()
      rmSync(join(queuesOf(sample), 'FixTopicB', '0'), { recursive: true })
      assertWhole(sample)
    })

    test('all queues are gone', () => {
      const sample = copy()
      rmSync(queuesOf(sample), { recursive: true })
      assert.match(assertWhole(sample), /built anew/)
    })

    test('an index file is gone', () => {
      const sample = copy()
      const index = join(sample.root, 'index')
      rmSync(join(index, readdirSync(index).sort()[0]!))
      assert.match(assertWhole(sample), /the key index that was found .*\n.*built anew/s)
    })

    test('queues that were mixed up are built anew', () => {
      const sample = copy()
      const [left = '', right = ''] = [...original.keys()]
        .map((queue) => join(queuesOf(sample), queue))
        .sort()
      renameSync(left, `${left}0000`)
      renameSync(right, left)
      renameSync(`${left}0000`, right)
      assert.match(assertWhole(sample), /built anew/)
    })

    test('damage of the log that was not read is found while nothing else is to be done', () => {
      const sample = copy()
      const ofTopic = sample.messages.filter(({ topic }) => topic === 'FixTopicB')
      const damaged = [ofTopic[20]!, ofTopic[60]!]
      for (const { physicalOffset } of damaged) flipByte(sample, physicalOffset + 100)
      const left = sample.messages.filter((message) => !damaged.includes(message))
      const first = openPlain(sample, USE_ALWAYS)
      assert.match(first.lines.join('\n'), /have every message below/)
      assertReadable(first.store, left)
      const { topic, queueId, queueOffset } = damaged[0]!
      assert.ok(first.store.repairUnit(topic, queueId, queueOffset), 'a reader passes over it')
      first.store.abandon()
      const { store, lines } = openPlain(sample, USE_ALWAYS)
      const note = join(sample.root, 'ringledger-unread')
      for (let nowMs = Date.now(); existsSync(note); nowMs += 1000) store.tick(nowMs, true)
      assert.match(lines.join('\n'), /looked through: 1 units of damaged messages/)
      const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
      for (const message of damaged) {
        const queue = store.queues.find(message.topic, message.queueId)!
        assert.ok(!queue.unitAt(message.queueOffset, unit))
        assert.match(
          lines.join('\n'),
          new RegExp(`no message at positions ${message.physicalOffset} `),
        )
      }
      assertReadable(store, left)
      store.close()
    })

    test('a unit with a wrong place or length is found, whichever it is', (t) => {
      const seed = Date.now()
      t.diagnostic(`seed ${seed}`)
      const random = seededRandom(seed)
      for (let round = 0; round < 8; round++) {
        const sample = copy()
        damageUnit(sample, [...original.keys()], random)
        assertWhole(sample)
      }
    })
  })

  function flipByte({ root, segmentBytes }: PlainSample, position: number): void {
    const start = position - (position % segmentBytes)
    const path = join(root, 'commitlog', String(start).padStart(20, '0'))
    const bytes = readFileSync(path)
    bytes[position - start]! ^= 0x20
    writeFileSync(path, bytes)
  }

  function damageUnit(sample: PlainSample, queues: string[], random: () => number): void {
    const queue = queues[randomBetween(random, 0, queues.length - 1)]!
    const directory = join(sample.root, 'consumequeue', queue)
    const [name = ''] = readdirSync(directory)
    const bytes = readFileSync(join(directory, name))
    let units = 0
    const isUnit = (unit: number): boolean =>
      unit * UNIT_BYTES < bytes.length && bytes.readInt32BE(unit * UNIT_BYTES + 8) > 0
    while (isUnit(units)) units++
    const at = randomBetween(random, 0, units - 1) * UNIT_BYTES + randomBetween(random, 0, 11)
    bytes[at]! ^= 1 << randomBetween(random, 0, 7)
    writeFileSync(join(directory, name), bytes)
  }
}

/** Units from `queueOffset` on were never written. */
function cutQueue(directory: string, queueOffset: number): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    const bytes = readFileSync(path)
    const from = queueOffset * UNIT_BYTES - Number(name)
    if (from < bytes.length) writeFileSync(path, bytes.fill(0, Math.max(0, from)))
  }
}
