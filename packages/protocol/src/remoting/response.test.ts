import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeHost } from '../message/host.ts'
import { offsetMessageIdOfHost } from '../message/ids.ts'
import { viewOf } from '../recorded-samples.ts'
import { decodeCommand } from './command.ts'
import { nextFrame } from './frame.ts'
import {
  errorResponseMaxBytes,
  SendResponse,
  sendExtConstants,
  sendResponseMaxBytes,
  writeErrorResponse,
  writeSendResponse,
} from './response.ts'

// Any code point; fast-check's own unit for this costs a second to set up.
const character: fc.Arbitrary<string> = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint))

const safe = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const text = fc.string({ unit: character, maxLength: 40 })
const REGION = { MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' }

function written(response: SendResponse): Buffer {
  const target = Buffer.alloc(9 + sendResponseMaxBytes(response))
  const size = writeSendResponse(target, 9, response)
  assert.equal(nextFrame(viewOf(target), 9, target.length), size)
  return target.subarray(9, 9 + size)
}

test('an answer to any send is a frame that says what happened', () => {
  const hosts = fc.constantFrom(encodeHost('127.0.0.1', 20911), encodeHost('2001:db8::1', 65535))
  fc.assert(
    fc.property(
      int32,
      int32,
      safe,
      safe,
      hosts,
      text,
      (opaque, queueId, queueOffset, at, host, id) => {
        const response = new SendResponse()
        Object.assign(response, {
          opaque,
          queueId,
          queueOffset,
          physicalOffset: at,
          storeHost: host,
        })
        response.transactionId = Buffer.from(`<${id}>`)
        response.transactionIdStart = 1
        response.transactionIdEnd = response.transactionId.length - 1
        const command = decodeCommand(written(response))
        assert.deepEqual(command, {
          code: 0,
          language: 'JAVA',
          version: 493,
          opaque,
          flag: 1,
          ext: {
            queueId: String(queueId),
            msgId: offsetMessageIdOfHost(host, at),
            queueOffset: String(queueOffset),
            ...(id === '' ? {} : { transactionId: id }),
            ...REGION,
          },
          body: Buffer.alloc(0),
          serializeType: 0,
        })
      },
    ),
  )
})

test('a batch is answered with all its ids', () => {
  const response = new SendResponse()
  response.storeHost = encodeHost('127.0.0.1', 20911)
  response.physicalOffset = 0x1d32e
  response.batchOffsets = Float64Array.of(0, 0x1d396, 2 ** 40)
  response.batchCount = 3
  response.code = 10
  response.ext = sendExtConstants('east "1"', false)
  const command = decodeCommand(written(response))
  assert.equal(command.code, 10)
  const host = '7F000001000051AF'
  assert.equal(
    command.ext.msgId,
    `${host}000000000001D32E,${host}000000000001D396,${host}0000010000000000`,
  )
  assert.equal(command.ext.MSG_REGION, 'east "1"')
  assert.equal(command.ext.TRACE_ON, 'false')
})

test('an error answer carries code and remark, and the fields of a send when asked', () => {
  const ext = sendExtConstants('DefaultRegion', true)
  fc.assert(
    fc.property(
      int32,
      int32,
      fc.string({ unit: character, maxLength: 60 }),
      fc.boolean(),
      (opaque, code, remark, send) => {
        const bytes = Buffer.from(remark)
        const constants = send ? ext : undefined
        const target = Buffer.alloc(4 + errorResponseMaxBytes(bytes.length, constants))
        const size = writeErrorResponse(target, 4, opaque, code, bytes, constants)
        assert.equal(nextFrame(viewOf(target), 4, target.length), size)
        const command = decodeCommand(target.subarray(4, 4 + size))
        assert.deepEqual([command.opaque, command.code, command.flag], [opaque, code, 1])
        assert.equal(command.remark, remark === '' ? undefined : remark)
        assert.deepEqual(command.ext, send ? REGION : {})
      },
    ),
  )
})
