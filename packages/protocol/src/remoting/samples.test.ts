import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkMessage, decodeMessage } from '../message/decode.ts'
import {
  dledgerFrames,
  recordedFrames,
  remotingSamples,
  sampleFrames,
  viewOf,
} from '../recorded-samples.ts'
import { encodeBinaryCommand } from './binary-header.ts'
import { RequestCode, ResponseCode } from './codes.ts'
import {
  decodeCommand,
  encodeCommand,
  encodeInto,
  isResponse,
  type RemotingCommand,
} from './command.ts'
import { nextFrame } from './frame.ts'
import { parseJsonBody, quotedKeys } from './json.ts'

function sameButType(left: RemotingCommand, right: RemotingCommand): void {
  assert.deepEqual({ ...left, serializeType: 0 }, { ...right, serializeType: 0 })
}

function checkBothWays(frame: Buffer): RemotingCommand {
  assert.equal(nextFrame(viewOf(frame), 0, frame.length), frame.length)
  const command = decodeCommand(frame)
  sameButType(decodeCommand(encodeCommand(command)), command)
  const target = Buffer.alloc(frame.length + 200)
  const sizeBytes = encodeInto(target, 7, command)
  sameButType(decodeCommand(target.subarray(7, 7 + sizeBytes)), command)
  return command
}

test('all 191 recorded exchanges decode, encode and decode to the same', () => {
  const samples = remotingSamples()
  assert.equal(samples.length, 191)
  for (const { name, code, request } of samples) {
    if (request !== undefined) assert.equal(decodeCommand(request).code, code, name)
  }
  for (const { frame } of sampleFrames()) checkBothWays(frame)
})

test('every frame of the whole recording decodes, encodes and decodes to the same', () => {
  const frames = recordedFrames()
  assert.ok(frames.length > 5_000)
  for (const frame of frames) checkBothWays(frame)
})

test('the frames of DLedger decode with JSON and with binary header', () => {
  const frames = dledgerFrames()
  for (const { name, frame } of frames) {
    const command = checkBothWays(frame)
    const isRequest = name.startsWith('req-')
    assert.equal(command.code, isRequest ? Number(name.split('-')[1]) : ResponseCode.SUCCESS + 200)
    assert.equal(isResponse(command), !isRequest)
    assert.doesNotThrow(() => parseJsonBody(command.body))
  }
  assert.ok(frames.length > 80)
})

test('a binary header carries what a JSON header does', () => {
  for (const { frame } of sampleFrames()) {
    const command = decodeCommand(frame)
    const hasEmpty = Object.values(command.ext).includes('') || command.remark === ''
    if (command.code > 0x7fff || hasEmpty) continue
    sameButType(decodeCommand(encodeBinaryCommand(command)), command)
  }
})

test('the bodies of pulls and pops are stored messages back to back', () => {
  const withMessages: readonly number[] = [
    RequestCode.PULL_MESSAGE,
    RequestCode.LITE_PULL_MESSAGE,
    RequestCode.POP_MESSAGE,
    RequestCode.QUERY_MESSAGE,
    RequestCode.VIEW_MESSAGE_BY_ID,
  ]
  let messages = 0
  for (const { code, response } of remotingSamples()) {
    if (!withMessages.includes(code) || response === undefined) continue
    const answer = decodeCommand(response)
    if (answer.code !== ResponseCode.SUCCESS) continue
    for (let at = 0; at < answer.body.length; messages++) {
      const rest = answer.body.length - at
      assert.equal(checkMessage(answer.body, at, rest, { verifyBodyCrc: true }), 'ok')
      const message = decodeMessage(answer.body, at)
      assert.match(message.topic, /^[%\w-]+$/)
      assert.ok(message.properties.size > 0)
      assert.ok(message.storeTimestampMs >= message.bornTimestampMs - 60_000)
      at += message.totalSize
    }
  }
  assert.ok(messages > 10)
})

test('every JSON body of the recording is read, and strict after quotedKeys', () => {
  let bodies = 0
  for (const frame of recordedFrames()) {
    const text = decodeCommand(frame).body.toString('utf8')
    if (!/^\{"[a-zA-Z]/.test(text) || !text.endsWith('}')) continue
    assert.doesNotThrow(() => JSON.parse(quotedKeys(text)), text)
    bodies++
  }
  assert.ok(bodies > 1_000)
})
