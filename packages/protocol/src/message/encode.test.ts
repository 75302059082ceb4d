import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { remotingSamples, viewOf } from '../recorded-samples.ts'
import { decodeCommand } from '../remoting/command.ts'
import {
  checkMessage,
  decodeMessage,
  msgBodyRange,
  msgMagic,
  msgPhysicalOffset,
  msgPreparedTransactionOffset,
  msgPropertiesRange,
  msgQueueOffset,
  msgReconsumeTimes,
  msgStoreTimestamp,
  msgTopicRange,
} from './decode.ts'
import {
  encodeMessage,
  type MessageInit,
  messageParts,
  messageSize,
  patchMessage,
} from './encode.ts'
import { encodeHost } from './host.ts'
import { MESSAGE_MAGIC_V1, MESSAGE_MAGIC_V2, MIN_MESSAGE_BYTES } from './layout.ts'
import { MessageSysFlag } from './sys-flag.ts'

const VERIFY = { verifyBodyCrc: true }
const HOST_BITS = MessageSysFlag.BORNHOST_V6 | MessageSysFlag.STOREHOST_V6
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const long = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
const host = fc.oneof(
  fc.tuple(fc.ipV4(), fc.nat({ max: 65_535 })),
  fc.tuple(fc.ipV6(), fc.nat({ max: 65_535 })),
)

type AnyMessage = Required<MessageInit> & { topic: string; body: Buffer; properties: Buffer }

const anyMessage: fc.Arbitrary<AnyMessage> = fc.record({
  topic: fc.stringMatching(/^[%|a-zA-Z0-9_-]{1,200}$/),
  body: bytes(300),
  properties: bytes(100),
  queueId: int32,
  flag: int32,
  sysFlag: int32.map((flag) => flag & ~HOST_BITS),
  bornTimestampMs: long,
  bornHost: host.map(([address, port]) => encodeHost(address, port)),
  storeHost: host.map(([address, port]) => encodeHost(address, port)),
  reconsumeTimes: int32,
  preparedTransactionOffset: long,
  queueOffset: long,
  physicalOffset: long,
  storeTimestampMs: long,
})

function encoded(init: MessageInit): Buffer {
  const parts = messageParts(init)
  const target = Buffer.alloc(messageSize(parts) + 10, 0xee)
  assert.equal(encodeMessage(target, 5, parts), target.length - 10)
  assert.ok(target.subarray(0, 5).every((byte) => byte === 0xee))
  assert.ok(target.subarray(-5).every((byte) => byte === 0xee))
  return target.subarray(5, -5)
}

function expectedSysFlag(init: AnyMessage): number {
  const born = init.bornHost.length === 20 ? MessageSysFlag.BORNHOST_V6 : 0
  const store = init.storeHost.length === 20 ? MessageSysFlag.STOREHOST_V6 : 0
  return init.sysFlag | born | store
}

test('any message comes back as it was encoded', () => {
  fc.assert(
    fc.property(anyMessage, (init) => {
      const message = encoded(init)
      assert.equal(checkMessage(message, 0, message.length, VERIFY), 'ok')
      const { totalSize, magic, bodyCrc, propertiesText, properties, ...rest } = decodeMessage(
        message,
        0,
      )
      const { properties: givenProperties, ...given } = init
      assert.deepEqual(rest, { ...given, sysFlag: expectedSysFlag(init) })
      assert.equal(propertiesText, givenProperties.toString())
      assert.equal(totalSize, message.length)
      assert.equal(bodyCrc, crc32(init.body) & 0x7fffffff)
      assert.equal(magic, init.topic.length > 127 ? MESSAGE_MAGIC_V2 : MESSAGE_MAGIC_V1)
    }),
  )
})

test('the bytes are those of the real broker', () => {
  let messages = 0
  for (const { code, response } of remotingSamples()) {
    if (code !== 11 || response === undefined) continue
    const { body, code: result } = decodeCommand(response)
    for (let at = 0; result === 0 && at < body.length; messages++) {
      const found = decodeMessage(body, at)
      const again = encoded({ ...found, properties: found.propertiesText })
      assert.deepEqual(again, body.subarray(at, at + found.totalSize))
      at += found.totalSize
    }
  }
  assert.ok(messages > 5)
})

test('queue offset, physical offset and store time are patched in place', () => {
  fc.assert(
    fc.property(anyMessage, long, long, long, (init, queueOffset, physicalOffset, timeMs) => {
      const message = encoded(init)
      patchMessage(viewOf(message), 0, queueOffset, physicalOffset, timeMs)
      const expected = encoded({ ...init, queueOffset, physicalOffset, storeTimestampMs: timeMs })
      assert.deepEqual(message, expected)
      assert.equal(msgQueueOffset(message, 0), queueOffset)
      assert.equal(msgPhysicalOffset(message, 0), physicalOffset)
      assert.equal(msgStoreTimestamp(message, 0), timeMs)
    }),
  )
})

test('the ranges of the readers hold what was put in', () => {
  const storeHost = encodeHost('::1', 10911)
  const message = encoded({
    topic: 'T',
    body: 'body',
    properties: new Map([['TAGS', 'a']]),
    storeHost,
    reconsumeTimes: 3,
    preparedTransactionOffset: 2 ** 40,
  })
  const textOf = ({ start, end }: { start: number; end: number }): string =>
    message.toString('utf8', start, end)
  assert.equal(textOf(msgBodyRange(message, 0)), 'body')
  assert.equal(textOf(msgTopicRange(message, 0)), 'T')
  assert.equal(textOf(msgPropertiesRange(message, 0)), 'TAGS\u0001a\u0002')
  assert.equal(msgReconsumeTimes(message, 0), 3)
  assert.equal(msgPreparedTransactionOffset(message, 0), 2 ** 40)
  assert.equal(msgMagic(message, 0), MESSAGE_MAGIC_V1)
})

test('the smallest message is as small as the layout says', () => {
  const message = encoded({ topic: '' })
  assert.equal(message.length, MIN_MESSAGE_BYTES)
  assert.equal(checkMessage(message, 0, message.length, VERIFY), 'ok')
})

test("the broker's properties follow the client's, with a separator if it left none", () => {
  const brokerProperties = Buffer.from('MSG_REGION\u0001R\u0002')
  const joined = (properties: string): string => {
    const parts = messageParts({ topic: 'T', properties })
    parts.brokerProperties = brokerProperties
    const target = Buffer.alloc(messageSize(parts))
    encodeMessage(target, 0, parts)
    return decodeMessage(target, 0).propertiesText
  }
  assert.equal(joined('A\u0001b\u0002'), 'A\u0001b\u0002MSG_REGION\u0001R\u0002')
  assert.equal(joined('A\u0001b'), 'A\u0001b\u0002MSG_REGION\u0001R\u0002')
  assert.equal(joined(''), 'MSG_REGION\u0001R\u0002')
})

test('what the format cannot carry is refused', () => {
  const tooLarge = { name: 'LedgerError', code: 'TOO_LARGE' }
  assert.throws(() => encoded({ topic: 'T', properties: 'p'.repeat(32_768) }), tooLarge)
  assert.throws(() => encoded({ topic: 't'.repeat(32_768) }), tooLarge)
  const largest = encoded({ topic: 't'.repeat(32_767), properties: 'p'.repeat(32_767) })
  assert.equal(checkMessage(largest, 0, largest.length, VERIFY), 'ok')
})

test('each kind of damage has its name', () => {
  const message = encoded({ topic: 'topic', body: 'body', properties: 'A\u0001b\u0002' })
  const check = (change: (copy: Buffer) => void, available = message.length): string => {
    const copy = Buffer.from(message)
    change(copy)
    return checkMessage(copy, 0, available, VERIFY)
  }
  const nothing = (): void => {}
  assert.equal(check(nothing), 'ok')
  assert.equal(check(nothing, 7), 'short')
  assert.equal(check(nothing, message.length - 1), 'short')
  assert.equal(
    check((copy) => copy.writeInt32BE(1, 4)),
    'magic',
  )
  assert.equal(
    check((copy) => copy.writeInt32BE(-1, 0)),
    'size',
  )
  assert.equal(
    check((copy) => copy.writeInt32BE(90, 0)),
    'size',
  )
  assert.equal(
    check((copy) => copy.writeInt32BE(message.length - 1, 0)),
    'lengths',
  )
  assert.equal(
    check((copy) => copy.writeInt32BE(1 << 30, 84)),
    'lengths',
  )
  assert.equal(
    check((copy) => copy.writeInt32BE(-4, 84)),
    'lengths',
  )
  assert.equal(
    check((copy) => (copy[92] = 200)),
    'lengths',
  )
  assert.equal(
    check((copy) => copy.writeInt32BE(HOST_BITS, 36)),
    'lengths',
  )
  assert.equal(
    check((copy) => (copy[88] = 0)),
    'bodyCrc',
  )
})

test('changed or cut bytes: a check answers, a decoder refuses with CORRUPT', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), fc.nat({ max: 255 }), fc.nat(), (init, at, byte, cut) => {
      const message = encoded(init)
      message[at % message.length] = byte
      const available = cut % (message.length + 1)
      const short = Buffer.from(message.subarray(0, available))
      assert.notEqual(checkMessage(short, 0, available, VERIFY), undefined)
      for (const damaged of [message, short]) {
        try {
          decodeMessage(damaged, 0)
        } catch (error) {
          assert.ok(error instanceof LedgerError && error.code === 'CORRUPT', String(error))
        }
      }
    }),
    { numRuns: 1_000 },
  )
})
