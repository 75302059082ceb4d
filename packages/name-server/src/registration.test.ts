import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { LedgerError } from '@ringledger/base'
import { decodeCommand, encodeCommand, type RemotingCommand } from '@ringledger/protocol'
import fc from 'fast-check'
import { type Registration, readRegistration } from './registration.ts'

const FIELDS = {
  brokerName: 'b',
  brokerAddr: '127.0.0.1:10911',
  clusterName: 'C',
  brokerId: '0',
  haServerAddr: '127.0.0.1:10912',
}

function request(body: Buffer, ext: Record<string, string> = {}): RemotingCommand {
  return decodeCommand(encodeCommand({ code: 103, opaque: 1, ext: { ...FIELDS, ...ext }, body }))
}

/** The registration, or undefined when it was refused; anything but a LedgerError is a bug. */
function readOrRefuse(command: RemotingCommand): Registration | undefined {
  try {
    return readRegistration(command)
  } catch (error) {
    if (error instanceof LedgerError) return undefined
    throw error
  }
}

function part(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([int32(bytes.length), bytes])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const topicName = fc.stringMatching(/^[%|a-zA-Z0-9_-]{1,60}$/)
const queueCount = fc.integer({ min: 0, max: 1_024 })
const topic = fc.record({
  readQueueNums: queueCount,
  writeQueueNums: queueCount,
  perm: fc.integer({ min: 0, max: 15 }),
})

test('plain and compressed bodies with the same topics read the same', () => {
  const table = fc.array(fc.tuple(topicName, topic), { maxLength: 20 })
  fc.assert(
    fc.property(table, fc.nat(), (entries, counter) => {
      const topics = new Map(entries)
      const dataVersion = { counter, stateVersion: 3, timestamp: 5 }
      const wrapper = { dataVersion, topicConfigTable: Object.fromEntries(topics) }
      const plain = Buffer.from(JSON.stringify({ topicConfigSerializeWrapper: wrapper }))
      const lines = [...topics].map(([name, { readQueueNums, writeQueueNums, perm }]) =>
        part(`${name} ${readQueueNums} ${writeQueueNums} ${perm} SINGLE_TAG {}`),
      )
      const packed = Buffer.concat([
        part(JSON.stringify(dataVersion)),
        int32(lines.length),
        ...lines,
      ])
      const left = readRegistration(request(plain))
      const right = readRegistration(request(deflateSync(packed), { compressed: 'true' }))
      const sorted = (registration: Registration) => [...registration.topics].sort()
      assert.deepEqual(sorted(right), sorted(left))
      assert.deepEqual(right.dataVersion, left.dataVersion)
      assert.equal(left.topics.size, topics.size)
    }),
  )
})

test('no bytes make the reader throw anything but a refusal', () => {
  const bytes = fc.uint8Array({ maxLength: 300 })
  fc.assert(
    fc.property(bytes, fc.boolean(), fc.boolean(), (content, compressed, packed) => {
      const body = packed ? deflateSync(content) : Buffer.from(content)
      readOrRefuse(request(body, { compressed: String(compressed) }))
    }),
  )
})

test('no JSON makes the reader throw anything but a refusal', () => {
  const shapes = fc.oneof(
    fc.json(),
    fc.jsonValue().map((value) => JSON.stringify({ topicConfigSerializeWrapper: value })),
    fc.tuple(topicName, fc.jsonValue(), fc.jsonValue()).map(([name, config, dataVersion]) =>
      JSON.stringify({
        topicConfigSerializeWrapper: { dataVersion, topicConfigTable: { [name]: config } },
      }),
    ),
  )
  fc.assert(fc.property(shapes, (text) => void readOrRefuse(request(Buffer.from(text)))))
})

test('no ext field makes the reader throw anything but a refusal', () => {
  const names = [...Object.keys(FIELDS), 'bodyCrc32', 'heartbeatTimeoutMillis', '__ZONE_NAME']
  const field = fc.tuple(fc.constantFrom(...names), fc.string({ unit: 'binary' }))
  fc.assert(
    fc.property(fc.array(field, { maxLength: 4 }), (fields) => {
      const registration = readOrRefuse(request(Buffer.alloc(0), Object.fromEntries(fields)))
      if (registration === undefined) return
      assert.ok(Number.isSafeInteger(registration.brokerId) && registration.brokerId >= 0)
      assert.ok(registration.timeoutMs > 0)
      assert.doesNotMatch(registration.brokerName, /\n/)
    }),
  )
})
