/** What a message costs in bytes read and written, from the client's frame to the answer. */
import assert from 'node:assert/strict'
import {
  checkEntry,
  checkMessage,
  decodeCommand,
  decodeMessage,
  ENTRY_HEADER_BYTES,
  encodeMessage,
  FRAME_HEADER_AT,
  frameHeaderBytes,
  messageSize,
  SendHeader,
  SendResponse,
  scanSendHeader,
  sealEntry,
  sendResponseMaxBytes,
  writeEntryHeader,
  writeSendResponse,
} from '@ringledger/protocol'
import type { MicroBench, Operation } from '../micro-bench.ts'
import { BORN_MS, HOST, PROPERTIES, sendFrame, storedParts, TOPIC } from './sample-send.ts'

const BODY_BYTES = 1024
const OPAQUE = 4711
const UNIQUE_KEY = Buffer.from('7F000001000018B4AAC2165ED2C10000')

function scanHeader(): Operation {
  const frame = sendFrame(BODY_BYTES, OPAQUE)
  const headerBytes = frameHeaderBytes(frame, 0)
  const header = new SendHeader()
  return {
    name: `scanSendHeader, ${headerBytes} B`,
    batch: 128,
    bytes: headerBytes,
    run: (count) => {
      for (let index = 0; index < count; index++) {
        scanSendHeader(frame, FRAME_HEADER_AT, headerBytes, header)
      }
    },
    check: () => {
      assert.ok(scanSendHeader(frame, FRAME_HEADER_AT, headerBytes, header))
      const { start, end } = header.topic
      assert.equal(frame.toString('utf8', start, end), TOPIC)
      assert.deepEqual([header.opaque, header.queueId], [OPAQUE, 3])
      assert.equal(header.bornTimestampMs, BORN_MS)
    },
  }
}

function decodeFrame(): Operation {
  const frame = sendFrame(BODY_BYTES, OPAQUE)
  let opaque = 0
  return {
    name: 'decodeCommand, the same header',
    batch: 32,
    bytes: frameHeaderBytes(frame, 0),
    run: (count) => {
      for (let index = 0; index < count; index++) opaque = decodeCommand(frame).opaque
    },
    check: () => {
      const command = decodeCommand(frame)
      assert.deepEqual([command.opaque, command.ext.b, command.ext.i], [OPAQUE, TOPIC, PROPERTIES])
      assert.equal(command.body.length, BODY_BYTES)
      assert.ok(opaque === 0 || opaque === OPAQUE)
    },
  }
}

function encode(bodyBytes: number): Operation {
  const parts = storedParts(bodyBytes)
  const sizeBytes = messageSize(parts)
  const target = Buffer.alloc(sizeBytes)
  return {
    name: `encodeMessage, body of ${bodyBytes} B`,
    batch: 128,
    bytes: sizeBytes,
    run: (count) => {
      for (let index = 0; index < count; index++) encodeMessage(target, 0, parts)
    },
    check: () => {
      target.fill(0)
      assert.equal(encodeMessage(target, 0, parts), sizeBytes)
      assert.equal(checkMessage(target, 0, sizeBytes, { verifyBodyCrc: true }), 'ok')
      assert.equal(decodeMessage(target, 0).topic, TOPIC)
    },
  }
}

/** An entry with a body of 1 KiB, sealed again and again with the same seed. */
function entry(): { seal: Operation; check: Operation } {
  const seed = 0x1234_5678
  const bytes = Buffer.alloc(ENTRY_HEADER_BYTES + BODY_BYTES, 0x62)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const place = { index: 7, term: 3, position: 8192, bodyBytes: BODY_BYTES }
  const expected = { position: 8192, index: 7, previousChainCrc: seed }
  const sealAgain = (count: number): void => {
    for (let index = 0; index < count; index++) sealEntry(bytes, view, 0, seed)
  }
  const isSound = (): void => {
    assert.equal(checkEntry(bytes, view, 0, bytes.length, expected), 'ok')
    bytes[bytes.length - 1]! ^= 1
    assert.equal(checkEntry(bytes, view, 0, bytes.length, expected), 'bodyCrc')
    bytes[bytes.length - 1]! ^= 1
  }
  writeEntryHeader(view, 0, place)
  sealAgain(1)
  return {
    seal: {
      name: 'sealEntry, body of 1 KiB',
      batch: 128,
      bytes: bytes.length,
      run: sealAgain,
      check: () => {
        writeEntryHeader(view, 0, place)
        sealAgain(1)
        isSound()
      },
    },
    check: {
      name: 'checkEntry, body of 1 KiB',
      batch: 128,
      bytes: bytes.length,
      run: (count) => {
        for (let index = 0; index < count; index++) {
          checkEntry(bytes, view, 0, bytes.length, expected)
        }
      },
      check: isSound,
    },
  }
}

function answer(): Operation {
  const response = new SendResponse()
  response.opaque = OPAQUE
  response.queueId = 3
  response.queueOffset = 123_456
  response.storeHost = HOST
  response.physicalOffset = 987_654_321
  response.transactionId = UNIQUE_KEY
  response.transactionIdEnd = UNIQUE_KEY.length
  const target = Buffer.alloc(sendResponseMaxBytes(response))
  let written = 0
  return {
    name: 'writeSendResponse',
    batch: 128,
    run: (count) => {
      for (let index = 0; index < count; index++) written = writeSendResponse(target, 0, response)
    },
    check: () => {
      target.fill(0)
      written = writeSendResponse(target, 0, response)
      const { code, opaque, ext } = decodeCommand(target.subarray(0, written))
      assert.deepEqual([code, opaque], [0, OPAQUE])
      assert.deepEqual([ext.queueOffset, ext.queueId], ['123456', '3'])
      assert.equal(ext.transactionId, UNIQUE_KEY.toString())
    },
  }
}

export const bench: MicroBench = {
  title: 'remoting headers, stored messages, log entries, answers',
  open: () => {
    const { seal, check } = entry()
    const operations = [
      scanHeader(),
      decodeFrame(),
      encode(128),
      encode(BODY_BYTES),
      seal,
      check,
      answer(),
    ]
    return { operations }
  },
}
