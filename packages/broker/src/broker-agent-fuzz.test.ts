import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { encodeCommand, RequestCode } from '@ringledger/protocol'
import fc from 'fast-check'
import { TestBroker } from './broker-agent-fake.ts'

const frames = (
  JSON.parse(
    readFileSync(new URL('../testdata/remoting/frames.json', import.meta.url), 'utf8'),
  ) as { request: string }[]
).map(({ request }) => Buffer.from(request, 'hex'))

const FIELDS = [
  ...['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n'],
  ...['topic', 'queueId', 'queueOffset', 'consumerGroup', 'group', 'offset', 'commitOffset'],
  ...['maxMsgNums', 'sysFlag', 'suspendTimeoutMillis', 'subVersion', 'subscription', 'key'],
  ...['maxNum', 'beginTimestamp', 'endTimestamp', 'timestamp', 'boundaryType', 'delayLevel'],
  ...['clientID', 'producerGroup', 'defaultTopic', 'defaultTopicQueueNums', 'bornTimestamp'],
  ...['flag', 'properties', 'reconsumeTimes', 'batch', 'maxReconsumeTimes', 'expressionType'],
]
const CODES = [10, 11, 12, 14, 15, 29, 30, 31, 32, 33, 34, 35, 36, 38, 41, 42, 46, 310, 320, 361]

const value = fc.oneof(
  fc.constantFrom('TBW102', 'G', '%RETRY%G', 'SCHEDULE_TOPIC_XXXX', '%DLQ%G', '', '*', 'a||b'),
  fc.integer({ min: -3, max: 40 }).map(String),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.string(),
  fc.constantFrom(
    'true',
    'NaN',
    '1e9',
    '0x10',
    'null',
    '[]',
    'DELAY\u00013\u0002',
    'x'.repeat(300),
  ),
)
const ext = fc.dictionary(fc.constantFrom(...FIELDS), value, { maxKeys: 14 })
const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
  fc
    .record(
      {
        clientID: fc.oneof(fc.string(), fc.integer()),
        clientId: fc.oneof(fc.string(), fc.integer()),
        consumerGroup: fc.oneof(fc.constant('G'), fc.anything()),
        topic: fc.anything(),
        consumerDataSet: fc.oneof(fc.array(fc.anything()), fc.anything()),
        producerDataSet: fc.array(fc.record({ groupName: fc.anything() })),
        mqSet: fc.array(fc.record({ topic: fc.anything(), queueId: fc.anything() })),
        subscriptionData: fc.anything(),
        heartbeatFingerprint: fc.anything(),
      },
      { requiredKeys: [] },
    )
    .map((object) => Buffer.from(jsonText(object))),
)

function jsonText(object: unknown): string {
  return JSON.stringify(object, (_, item) => (typeof item === 'bigint' ? String(item) : item)) ?? ''
}

/** The broker is alive and answers a sound request. */
function assertServes(broker: TestBroker): void {
  broker.port.closed.length = 0
  broker.run()
  broker.frames()
  const ext = { topic: 'TBW102', queueId: '0' }
  assert.equal(broker.request({ code: RequestCode.GET_MAX_OFFSET, ext })?.code, 0)
}

test('any request with any fields and body is answered at most once and never throws', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  fc.assert(
    fc.property(
      fc.constantFrom(...CODES),
      ext,
      body,
      fc.boolean(),
      (code, fields, data, oneWay) => {
        broker.frames()
        const opaque = broker.post({ code, ext: fields, body: data, oneWay })
        broker.run()
        const answers = broker.frames().filter(({ command }) => command.opaque === opaque)
        const own = answers.filter(({ command }) => (command.flag & 1) === 1)
        assert.ok(own.length <= (oneWay ? 0 : 1))
      },
    ),
    { numRuns: 1_500 },
  )
  assertServes(broker)
})

test('required fields that are missing or no numbers are named in the answer', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  const missing = broker.request({ code: 11, ext: { consumerGroup: 'G' } })
  assert.equal(missing?.code, 1)
  assert.match(missing?.remark ?? '', /topic/)
  const wrong = broker.request({ code: 30, ext: { topic: 'T', queueId: 'seven' } })
  assert.equal(wrong?.code, 1)
  assert.match(wrong?.remark ?? '', /queueId/)
})

test('random, cut and damaged frames end in an answer or a closed connection', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  const damaged = fc
    .tuple(fc.constantFrom(...frames), fc.nat(), fc.nat({ max: 255 }), fc.nat())
    .map(([frame, at, byte, keep]) => {
      const copy = Buffer.from(frame.subarray(0, Math.max(1, keep % (frame.length + 1))))
      copy[at % copy.length] = byte
      return copy
    })
  const random = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(random, damaged), (frame) => {
      broker.deliver(frame)
      broker.run()
    }),
    { numRuns: 1_500 },
  )
  assert.ok(broker.port.closed.length > 0)
  assertServes(broker)
})

test('a handler that fails answers code 1 with one log line', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  broker.store.reader.sizeAt = () => {
    throw new TypeError('a bug')
  }
  const answer = broker.request({ code: 33, ext: { offset: '48' } })
  assert.equal(answer?.code, 1)
  assert.match(answer?.remark ?? '', /a bug/)
  assert.equal(broker.logLines.length, 1)
})

test('bad input cannot flood the log', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  for (let count = 0; count < 500; count++) broker.deliver(Buffer.from('not a frame at all'))
  broker.run()
  assert.ok(broker.logLines.length <= 21)
  broker.advance(1_000)
  broker.deliver(Buffer.from('not a frame at all'))
  broker.run()
  assert.match(broker.logLines.join('\n'), /480 more lines/)
})

test('an answer to a request that was never made is ignored', (t) => {
  const broker = new TestBroker().lead()
  t.after(() => broker.close())
  broker.deliver(encodeCommand({ code: 0, opaque: 4242, flag: 1 }))
  broker.run()
  assert.deepEqual(broker.frames(), [])
})
