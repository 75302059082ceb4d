import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '@ringledger/base'
import { ClaimRefusal, EntryWriter } from '@ringledger/consensus'
import type { Connection } from '@ringledger/network'
import {
  decodeCommand,
  decodeMessage,
  ENTRY_HEADER_BYTES,
  encodeCommand,
  encodeHost,
  encodeMessage,
  messageParts,
  messageSize,
  RequestCode,
  ResponseCode,
  type StoredMessage,
  sendExtConstants,
  UniqueIds,
} from '@ringledger/protocol'
import { Doorbell, LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { BrokerLink } from './broker-link.ts'
import { LocalSubmit } from './local-submit.ts'
import { LogOrder, type OrderedLog } from './log-order.ts'
import { PendingSends } from './pending-sends.ts'
import { SendAnswers } from './send-answers.ts'
import { SendFront } from './send-front.ts'
import { SendResponder } from './send-responder.ts'
import { Taken } from './submit-port.ts'
import { TopicTable } from './topic-table.ts'

const STORE_HOST = encodeHost('127.0.0.1', 10911)
const NO_LOG = { endPosition: 0, lastIndex: -1, lastTerm: -1, lastChainCrc: 0 }

/** The outbox of a connection, as one growing buffer. */
class FakeOutbox {
  bytes = Buffer.alloc(64 * 1024)
  used = 0
  claim(): number {
    return this.used
  }
  commit(sizeBytes: number): void {
    this.used += sizeBytes
  }
  write(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.used)
    this.used += bytes.length
  }
  get frames() {
    const frames = []
    for (let at = 0; at < this.used; at += 4 + this.bytes.readInt32BE(at)) {
      frames.push(decodeCommand(this.bytes.subarray(at, at + 4 + this.bytes.readInt32BE(at))))
    }
    return frames
  }
}

function setUp(pendingCapacity = 64) {
  const arena = new LogArena(LogArena.allocate({ sizeBytes: 65_536, maxEntryBytes: 8192 }))
  arena.reset(0)
  const writer = new EntryWriter(arena, 1024 * 1024, NO_LOG)
  const log: OrderedLog & { handsOver: boolean } = {
    handsOver: false,
    claim: (bodyBytes) => (log.handsOver ? ClaimRefusal.HANDING_OVER : writer.claim(bodyBytes)),
    seal: () => writer.seal(1),
    takeBack: (end) => writer.takeBack(end),
    get end() {
      return writer.end
    },
    get claimedPosition() {
      return writer.claimedPosition
    },
    get endPosition() {
      return writer.endPosition
    },
    bytes: arena.bytes,
    view: arena.view,
  }
  const outbox = new FakeOutbox()
  const connection = { id: 7, outbox, remoteHost: encodeHost('10.1.2.3', 4711) }
  const connections = new Map([[7, connection as unknown as Connection]])
  const pending = new PendingSends(pendingCapacity)
  const topics = new TopicTable()
  topics.put({
    topic: 'orders',
    queueSlotBase: 0,
    queueCount: 4,
    readQueueNums: 4,
    writeQueueNums: 4,
    perm: 6,
    fast: true,
  })
  const link = new BrokerLink({
    fromBroker: new SpscRing(SpscRing.allocate(4096)),
    toBroker: new SpscRing(SpscRing.allocate(1024 * 1024)),
    brokerBell: new Doorbell(Doorbell.allocate()),
  })
  const order = new LogOrder({
    log,
    headerBytes: ENTRY_HEADER_BYTES,
    topics,
    pending,
    clock: new FakeClock(),
  })
  const responder = new SendResponder(STORE_HOST, sendExtConstants('DefaultRegion', true))
  const port = new LocalSubmit({ order, arena, responder, connections })
  const answers = new SendAnswers({ pending, link, owner: port })
  const front = new SendFront({
    port,
    topics,
    responder,
    uniqueIds: new UniqueIds(STORE_HOST.subarray(0, 4), 1),
    storeHost: STORE_HOST,
    maxMessageSize: 4096,
    brokerPermission: 6,
    brokerProperties: Buffer.from('MSG_REGION\u0001DefaultRegion\u0002'),
  })
  order.serving = true
  order.beginTurn()
  const take = (frame: Buffer) =>
    front.take(connections.get(7) as Connection, frame, 0, frame.length)
  const stored = (physicalOffset: number): StoredMessage =>
    decodeMessage(arena.bytes, arena.offsetOf(physicalOffset - 48) + 48)
  return { order, take, stored, outbox, answers, pending, topics, writer, arena, port, log }
}

function send(ext: Record<string, string> = {}, flag = 0): Buffer {
  return encodeCommand({
    code: RequestCode.SEND_MESSAGE_V2,
    opaque: 42,
    flag,
    ext: {
      a: 'producers',
      b: 'orders',
      c: 'TBW102',
      d: '4',
      e: '2',
      f: '0',
      g: '1700000000123',
      h: '5',
      i: 'TAGS\u0001A\u0002',
      j: '0',
      k: 'false',
      m: 'false',
      ...ext,
    },
    body: Buffer.from('hello'),
  })
}

test('a plain send is laid as a stored message and answered only once it has committed', () => {
  const { take, stored, outbox, answers, writer } = setUp()
  assert.equal(take(send()), Taken.DONE)
  assert.equal(outbox.used, 0)
  answers.complete(writer.endPosition - 1)
  assert.equal(outbox.used, 0)
  answers.complete(writer.endPosition)
  const [answer] = outbox.frames
  assert.equal(answer?.code, ResponseCode.SUCCESS)
  assert.equal(answer?.opaque, 42)
  assert.equal(answer?.ext.queueId, '2')
  assert.equal(answer?.ext.queueOffset, '0')
  assert.equal(answer?.ext.msgId, '7F00000100002A9F0000000000000030')
  const message = stored(48)
  assert.equal(message.topic, 'orders')
  assert.equal(message.body.toString(), 'hello')
  assert.equal(message.flag, 5)
  assert.equal(message.bornTimestampMs, 1_700_000_000_123)
  assert.equal(message.physicalOffset, 48)
  const { properties } = message
  assert.equal(properties.get('TAGS'), 'A')
  assert.equal(properties.get('MSG_REGION'), 'DefaultRegion')
  assert.equal(properties.get('UNIQ_KEY'), answer?.ext.transactionId)
})

test('the producer keeps its own unique key', () => {
  const { take, outbox, answers, writer } = setUp()
  take(send({ i: 'UNIQ_KEY\u0001MINE\u0002TAGS\u0001A' }))
  answers.complete(writer.endPosition)
  assert.equal(outbox.frames[0]?.ext.transactionId, 'MINE')
})

test('what is not plain, unknown or not served here goes to the broker thread untouched', () => {
  const { order, take, writer } = setUp()
  for (const ext of [
    { b: 'unknown' },
    { e: '4' },
    { f: '4' },
    { m: 'true' },
    { j: '1' },
    { i: 'DELAY\u00013\u0002' },
  ]) {
    assert.equal(take(send(ext)), Taken.FORWARD, JSON.stringify(ext))
  }
  order.serving = false
  assert.equal(take(send()), Taken.FORWARD)
  assert.equal(writer.endPosition, 0)
})

test('a send waits in its socket while a leader is found, and while this one hands over', () => {
  const { order, take, port, log, writer, outbox } = setUp()
  log.handsOver = true
  assert.equal(take(send()), Taken.LATER)
  order.serving = false
  order.holding = true
  assert.equal(take(send()), Taken.LATER)
  assert.equal(port.retry(), false)
  order.holding = false
  assert.equal(port.retry(), true)
  assert.equal(take(send()), Taken.FORWARD, 'another leads: the broker thread says so')
  assert.deepEqual([writer.endPosition, outbox.used], [0, 0])
})

test('a one-way send is stored and never answered', () => {
  const { take, outbox, answers, writer } = setUp()
  assert.equal(take(send({}, 2)), Taken.DONE)
  answers.complete(writer.endPosition)
  assert.ok(writer.endPosition > 0)
  assert.equal(outbox.used, 0)
})

test('a full log is answered as busy, a full disk with its cause, and nothing is written', () => {
  const { order, take, outbox, writer } = setUp(1)
  take(send())
  const end = writer.endPosition
  take(send())
  order.diskFull = true
  take(send())
  assert.equal(writer.endPosition, end)
  const [busy, full] = outbox.frames
  assert.equal(busy?.code, ResponseCode.SYSTEM_BUSY)
  assert.equal(full?.code, ResponseCode.SERVICE_NOT_AVAILABLE)
  assert.match(full?.remark ?? '', /disk/)
})

test('encoded messages are ordered all or none', () => {
  const { order, pending, topics, writer, stored } = setUp(4)
  const parts = messageParts({ topic: 'orders', body: 'x', queueId: 1, storeHost: STORE_HOST })
  const one = Buffer.alloc(messageSize(parts))
  encodeMessage(one, 0, parts)
  const three = Buffer.concat([one, one, one])
  assert.ok(order.appendAll(10, 1, three, 0, three.length) > 0)
  assert.deepEqual([...pending.queueOffset.subarray(0, 3)], [0, 1, 2])
  assert.deepEqual([...pending.sequence.subarray(0, 3)], [10, 11, 12])
  assert.equal(stored(pending.physicalOffset[2] as number).queueOffset, 2)
  const end = writer.end
  // Only one more fits: the second of these is refused, and the first goes with it.
  assert.equal(order.appendAll(13, 1, three, 0, three.length), ClaimRefusal.BUSY)
  assert.deepEqual(writer.end, end)
  assert.equal(pending.size, 3)
  assert.equal(topics.takeOffset(1), 3)
})
