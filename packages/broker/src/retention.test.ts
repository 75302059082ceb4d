/** When the log is deleted: the clock, the disk, an administrator; and when not. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseJsonBody, RequestCode, ResponseCode } from '@ringledger/protocol'
import { TestBroker } from './broker-agent-fake.ts'
import type { BrokerSettings } from './settings.ts'

const SEGMENT_BYTES = 64 * 1024
const HOUR_MS = 3_600_000
const SEGMENTS = 5
const BODY = 'x'.repeat(2000)

function send(broker: TestBroker): void {
  const answer = broker.request({
    code: RequestCode.SEND_MESSAGE_V2,
    ext: { a: 'P', b: 'T', c: 'TBW102', d: '1', e: '0', f: '0', g: '1', h: '0', i: '', j: '0' },
    body: BODY,
  })
  assert.equal(answer?.code, ResponseCode.SUCCESS)
}

/** Leads, and has written five segments, the first at `hour` o'clock an hour after the other. */
function started(t: TestContext, override: Partial<BrokerSettings> = {}): TestBroker {
  const broker = new TestBroker({
    mappedFileSizeCommitLog: SEGMENT_BYTES,
    deleteWhen: '23',
    ...override,
  })
  t.after(() => broker.close())
  toHour(broker, 12)
  broker.lead()
  while (broker.port.endPosition < SEGMENTS * SEGMENT_BYTES) {
    send(broker)
    const count = Math.floor(broker.port.endPosition / SEGMENT_BYTES) + 1
    if (broker.segments.length === count) continue
    const endPosition = count * SEGMENT_BYTES
    broker.segments.push({ endPosition, modifiedMs: broker.clock.wallMs() })
    broker.advance(2000)
  }
  // What was dispatched is synced, and the tables are saved.
  for (let n = 0; n < 30; n++) broker.advance(6000)
  return broker
}

/** Time goes on to a full hour of the local day. */
function toHour(broker: TestBroker, hour: number): void {
  for (let n = 0; n < 25; n++) {
    const now = new Date(broker.clock.wallMs())
    if (now.getHours() === hour) return
    broker.clock.advance(HOUR_MS - (broker.clock.wallMs() % HOUR_MS))
  }
}

/** All but the newest two segments: the snapshot stands in the last but one or later. */
const OLDEST = [1, 2, 3].map((count) => count * SEGMENT_BYTES)

function deleted(broker: TestBroker): number[] {
  for (let n = 0; n < 4; n++) broker.advance(10_000)
  return broker.port.trims.map((position) => position)
}

test('what is expired goes at the hour of deleteWhen, and not before', (t) => {
  const broker = started(t, { fileReservedTime: 2 })
  broker.advance(HOUR_MS * 3)
  assert.deepEqual(deleted(broker), [], 'it is not the hour')
  toHour(broker, 23)
  const trimmed = deleted(broker)
  assert.deepEqual(trimmed.slice(0, 3), OLDEST)
  assert.ok(trimmed.every((position) => position < SEGMENTS * SEGMENT_BYTES))
})

test('what is not expired stays at that hour', (t) => {
  const broker = started(t, { fileReservedTime: 72 })
  toHour(broker, 23)
  assert.deepEqual(deleted(broker), [])
  const { segments } = broker
  const oldMs = broker.clock.wallMs() - 80 * HOUR_MS
  broker.segments = segments.map((segment, at) => {
    return at === 1 ? segment : { ...segment, modifiedMs: oldMs }
  })
  assert.deepEqual(deleted(broker), [SEGMENT_BYTES], 'the first that is not expired ends it')
})

test('an administrator deletes what is expired at any hour, and nothing else', (t) => {
  const broker = started(t, { fileReservedTime: 2 })
  const ask = { code: RequestCode.DELETE_EXPIRED_COMMITLOG }
  assert.equal(broker.request(ask)?.code, ResponseCode.SUCCESS)
  assert.deepEqual(deleted(broker), [])
  broker.advance(HOUR_MS * 3)
  assert.equal(broker.request(ask)?.code, ResponseCode.SUCCESS)
  assert.deepEqual(deleted(broker).slice(0, 3), OLDEST)
})

test('a disk above diskMaxUsedSpaceRatio deletes what is expired at any hour', (t) => {
  const broker = started(t, { fileReservedTime: 2 })
  broker.usedRatios = { log: 0.76, rest: 0.1 }
  assert.deepEqual(deleted(broker), [])
  assert.match(broker.logLines.join('\n'), /used to 76 %, and no segment .* may be deleted/)
  broker.advance(HOUR_MS * 3)
  assert.deepEqual(deleted(broker).slice(0, 3), OLDEST)
})

test('a disk above diskSpaceCleanForciblyRatio deletes what is not expired', (t) => {
  const broker = started(t)
  broker.usedRatios = { log: 0.1, rest: 0.85 }
  assert.deepEqual(deleted(broker), [], 'at the limit is not above it')
  broker.usedRatios = { log: 0.1, rest: 0.86 }
  assert.deepEqual(deleted(broker).slice(0, 3), OLDEST)
})

test('unless cleanFileForciblyEnable is off', (t) => {
  const broker = started(t, { cleanFileForciblyEnable: false })
  broker.usedRatios = { log: 0.95, rest: 0.95 }
  assert.deepEqual(deleted(broker), [])
})

test('a round deletes no more than deleteFileBatchMax', (t) => {
  const broker = started(t, { deleteFileBatchMax: 1 })
  broker.usedRatios = { log: 0.95, rest: 0.95 }
  broker.advance(10_000)
  assert.deepEqual(broker.port.trims, [SEGMENT_BYTES])
})

test('consumers and figures see the beginning that is left', (t) => {
  const broker = started(t)
  broker.usedRatios = { log: 0.95, rest: 0.95 }
  const first = deleted(broker).at(-1) ?? 0
  const ext = { topic: 'T', queueId: '0' }
  const minOffset = Number(broker.request({ code: RequestCode.GET_MIN_OFFSET, ext })?.ext.offset)
  assert.ok(minOffset > 0)
  const pull = broker.request({
    code: RequestCode.PULL_MESSAGE,
    ext: {
      ...ext,
      consumerGroup: 'g',
      queueOffset: '0',
      maxMsgNums: '32',
      sysFlag: '4',
      commitOffset: '0',
      suspendTimeoutMillis: '0',
      subscription: '*',
      subVersion: '0',
      expressionType: 'TAG',
    },
  })
  assert.equal(pull?.code, ResponseCode.PULL_OFFSET_MOVED)
  assert.equal(pull?.ext.nextBeginOffset, String(minOffset))
  const info = broker.request({ code: RequestCode.GET_BROKER_RUNTIME_INFO })
  const { table } = parseJsonBody(info?.body ?? Buffer.alloc(0)) as {
    table: Record<string, string>
  }
  assert.equal(table.commitLogMinOffset, String(first))
  const earliest = broker.request({ code: RequestCode.GET_EARLIEST_MSG_STORETIME, ext })
  assert.ok(Number(earliest?.ext.timestamp) > 0)
})

test('a clean-up of queues that an administrator asks for keeps their next offsets', (t) => {
  const broker = started(t)
  broker.usedRatios = { log: 0.95, rest: 0.95 }
  deleted(broker)
  const ext = { topic: 'T', queueId: '0' }
  const maxOffset = (): string | undefined =>
    broker.request({ code: RequestCode.GET_MAX_OFFSET, ext })?.ext.offset
  const before = maxOffset()
  assert.equal(broker.request({ code: RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE })?.code, 0)
  broker.advance(10_000)
  assert.equal(maxOffset(), before)
})

test('the hours and sizes can be changed while the broker runs', (t) => {
  const broker = started(t, { fileReservedTime: 72 })
  const change = (text: string) =>
    broker.request({ code: RequestCode.UPDATE_BROKER_CONFIG, body: text })
  assert.match(change('deleteWhen=25')?.remark ?? '', /hours of the day/)
  broker.advance(HOUR_MS * 3)
  const hour = new Date(broker.clock.wallMs()).getHours()
  assert.equal(change(`fileReservedTime=1\ndeleteWhen=${hour};${(hour + 1) % 24}`)?.code, 0)
  assert.deepEqual(deleted(broker).slice(0, 3), OLDEST)
})
