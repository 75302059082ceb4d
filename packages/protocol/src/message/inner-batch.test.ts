import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeBatch } from './batch.ts'
import { encodeMessage, messageParts, messageSize } from './encode.ts'
import { innerBatchOffsets, innerNumOf, MAX_INNER_BATCH, msgQueueOffsets } from './inner-batch.ts'
import { MessageSysFlag } from './sys-flag.ts'

const { INNER_BATCH, NEED_UNWRAP, COMPRESSED } = MessageSysFlag
const FLAGS = INNER_BATCH | NEED_UNWRAP

function bodyOf(count: number): Buffer {
  const element = { flag: 0, body: Buffer.from('b'), properties: Buffer.alloc(0) }
  return encodeBatch(new Array(count).fill(element))
}

function message(body: Buffer, sysFlag: number, properties: string): Buffer {
  const parts = messageParts({ topic: 'B', body, sysFlag, properties })
  const bytes = Buffer.alloc(7 + messageSize(parts))
  encodeMessage(bytes, 7, parts)
  return bytes
}

test('a batch takes as many offsets as it has elements, whatever INNER_NUM says', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.string(), (count, text) => {
      const body = bodyOf(count)
      assert.equal(innerBatchOffsets(FLAGS, body, 0, body.length, text), count)
      const stored = message(body, FLAGS, `TAGS\u0001t\u0002INNER_NUM\u0001${count + 1}\u0002`)
      assert.equal(msgQueueOffsets(stored, 7), count)
    }),
  )
})

test('without the flag, without elements, with too many or a broken body it takes one', () => {
  const properties = 'INNER_NUM\u00015\u0002'
  assert.equal(msgQueueOffsets(message(bodyOf(5), 0, properties), 7), 1)
  assert.equal(msgQueueOffsets(message(bodyOf(5), NEED_UNWRAP, properties), 7), 1)
  assert.equal(msgQueueOffsets(message(Buffer.alloc(0), FLAGS, properties), 7), 1)
  assert.equal(msgQueueOffsets(message(bodyOf(5).subarray(1), FLAGS, properties), 7), 1)
  const most = bodyOf(MAX_INNER_BATCH)
  assert.equal(innerBatchOffsets(FLAGS, most, 0, most.length, ''), MAX_INNER_BATCH)
  const more = bodyOf(MAX_INNER_BATCH + 1)
  assert.equal(innerBatchOffsets(FLAGS, more, 0, more.length, ''), 1)
})

test('INNER_NUM counts for a compressed body only, and only a number in range', () => {
  const flags = FLAGS | COMPRESSED
  const body = Buffer.from('compressed')
  for (const [text, count] of [
    ['5', 5],
    ['32767', 32_767],
    ['32768', 1],
    ['0', 1],
    ['-3', 1],
    ['05', 1],
    ['5.5', 1],
    ['', 1],
    ['123456', 1],
  ] as const) {
    assert.equal(innerBatchOffsets(flags, body, 0, body.length, text), count, text)
  }
  assert.equal(msgQueueOffsets(message(body, flags, 'INNER_NUM\u00017'), 7), 7)
  assert.equal(innerNumOf('x'), -1)
})
