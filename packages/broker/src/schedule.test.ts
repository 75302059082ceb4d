import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomBetween, seededRandom } from '@ringledger/base'
import { decodeMessage } from '@ringledger/protocol'
import { TestBroker } from './broker-agent-fake.ts'
import { delayMark, levelOfMark, parseDelayLevels, queueOffsetOfMark } from './delay-levels.ts'
import { defaultTopicConfig } from './state/configs.ts'

const LEVELS = '1s 5s 10s'

function leader(t: { after(callback: () => void): void }): TestBroker {
  const broker = new TestBroker({ messageDelayLevel: LEVELS }).lead()
  t.after(() => broker.close())
  broker.agent.context.topics.create(defaultTopicConfig('T', 2), () => {})
  broker.run()
  return broker
}

function sendDelayed(broker: TestBroker, level: number, body: string, queueId = 1): boolean {
  const ext = { a: 'P', b: 'T', c: 'TBW102', d: '4', e: String(queueId), f: '0', g: '1', h: '0' }
  const properties = `UNIQ_KEY\u0001${body}\u0002DELAY\u0001${level}\u0002TAGS\u0001A\u0002`
  return broker.request({ code: 310, ext: { ...ext, i: properties }, body })?.code === 0
}

function delivered(broker: TestBroker, queueId = 1): string[] {
  const bodies: string[] = []
  broker.store.queues.find('T', queueId)?.read(0, 100_000, (_, physicalOffset, sizeBytes) => {
    const bytes = Buffer.alloc(sizeBytes)
    assert.ok(broker.store.reader.read(physicalOffset, sizeBytes, bytes, 0))
    bodies.push(decodeMessage(bytes, 0).body.toString())
    return true
  })
  return bodies
}

test('delay levels are read as Apache writes them, and malformed ones refused', () => {
  assert.deepEqual(parseDelayLevels('1s 2m 3h 1d'), [1_000, 120_000, 10_800_000, 86_400_000])
  for (const bad of ['', '5', 'xs', '1s 2y', '-1s']) {
    assert.throws(() => parseDelayLevels(bad), { code: 'BAD_CONFIG' })
  }
})

test('a mark names level and offset, and ordinary numbers are none', () => {
  for (const [level, offset] of [
    [1, 0],
    [18, 123_456_789_012],
    [511, 2 ** 44 - 1],
  ] as const) {
    const mark = delayMark(level, offset)
    assert.deepEqual([levelOfMark(mark), queueOffsetOfMark(mark)], [level, offset])
  }
  assert.equal(levelOfMark(0), 0)
  assert.equal(levelOfMark(-5), 0)
})

test('a delayed message arrives when it is due, in its queue, unchanged but for its place', (t) => {
  const broker = leader(t)
  assert.ok(sendDelayed(broker, 2, 'five seconds'))
  assert.ok(sendDelayed(broker, 1, 'one second'))
  broker.advance(999)
  assert.deepEqual(delivered(broker), [])
  assert.ok(broker.agent.waitMs() <= 1)
  broker.advance(1)
  assert.deepEqual(delivered(broker), ['one second'])
  broker.advance(4_000)
  assert.deepEqual(delivered(broker), ['one second', 'five seconds'])
  assert.equal(broker.store.state.delayOffset(1), 1)
  assert.equal(broker.store.state.delayOffset(2), 1)
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  broker.store.queues.find('T', 1)?.unitAt(0, unit)
  assert.equal(unit.tagsCode, 65)
})

test('a message whose topic is gone is passed over, and those behind it arrive', (t) => {
  const broker = leader(t)
  broker.agent.context.topics.create(defaultTopicConfig('Gone', 1), () => {})
  broker.run()
  const ext = { a: 'P', b: 'Gone', c: 'TBW102', d: '4', e: '0', f: '0', g: '1', h: '0' }
  broker.request({ code: 310, ext: { ...ext, i: 'DELAY\u00011\u0002' }, body: 'lost' })
  sendDelayed(broker, 1, 'kept')
  broker.agent.context.changes.propose({ kind: 'deleteTopic', topic: 'Gone' }, () => {})
  broker.run()
  broker.advance(1_000)
  assert.deepEqual(delivered(broker), ['kept'])
  assert.equal(broker.store.state.delayOffset(1), 2)
  assert.match(broker.logLines.join('\n'), /delayed message 0 of level 1/)
})

test('a follower delivers nothing; the next leader goes on where the log says', (t) => {
  const broker = leader(t)
  for (let count = 0; count < 5; count++) sendDelayed(broker, 1, `m${count}`)
  broker.follow(2)
  broker.advance(5_000)
  assert.deepEqual(delivered(broker), [])
  broker.lead(3)
  broker.run()
  assert.deepEqual(delivered(broker), ['m0', 'm1', 'm2', 'm3', 'm4'])
  broker.follow(4)
  broker.lead(5)
  broker.advance(5_000)
  assert.equal(delivered(broker).length, 5)
})

test('writes that failed are done again, each message once', (t) => {
  const broker = leader(t)
  for (let count = 0; count < 6; count++) sendDelayed(broker, 1, `m${count}`)
  let appends = 0
  broker.port.failWith = () => (++appends % 3 === 2 ? 'BUSY' : undefined)
  broker.advance(1_000)
  broker.port.failWith = () => undefined
  for (let step = 0; step < 10; step++) broker.advance(100)
  assert.deepEqual(delivered(broker).sort(), ['m0', 'm1', 'm2', 'm3', 'm4', 'm5'])
  assert.equal(broker.store.state.delayOffset(1), 6)
})

test('random failures and changes of leader: every delayed message arrives exactly once', (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed)
    const broker = leader(t)
    let term = 1
    const sent: string[] = []
    for (let step = 0; step < 60; step++) {
      const body = `s${seed}-${step}`
      if (random() < 0.6 && sendDelayed(broker, randomBetween(random, 1, 4), body)) sent.push(body)
      broker.port.failWith = () => (random() < 0.1 ? 'BUSY' : undefined)
      broker.port.autoCommit = random() < 0.7
      broker.advance(randomBetween(random, 0, 1_500))
      broker.port.failWith = () => undefined
      if (random() < 0.15) {
        broker.port.abort('LEADERSHIP_LOST')
        if (random() < 0.4) broker.restart(random() < 0.5)
        broker.follow(++term)
        broker.lead(++term)
      }
      broker.port.autoCommit = true
      broker.port.commit()
      broker.run()
    }
    for (let step = 0; step < 150; step++) broker.advance(100)
    assert.deepEqual(delivered(broker).sort(), sent.sort(), `seed ${seed}`)
    const progress = [1, 2, 3].map((level) => broker.store.state.delayOffset(level))
    broker.restart(true)
    const again = [1, 2, 3].map((level) => broker.store.state.delayOffset(level))
    assert.deepEqual(again, progress, `seed ${seed}: the log alone gives the progress`)
  }
})
