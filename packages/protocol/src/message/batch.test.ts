import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { remotingSamples } from '../recorded-samples.ts'
import { decodeCommand } from '../remoting/command.ts'
import { type BatchElement, countBatchElements, encodeBatch, forEachBatchElement } from './batch.ts'
import { parseProperties } from './properties.ts'

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const elements = fc.array(
  fc.record(
    { flag: fc.integer({ min: -5, max: 5 }), body: bytes, properties: bytes },
    { noNullPrototype: true },
  ),
  { maxLength: 6 },
)

function read(batch: Buffer, start: number, end: number): BatchElement[] {
  const found: BatchElement[] = []
  forEachBatchElement(batch, start, end, (flag, bodyStart, bodyEnd, from, to) => {
    found.push({
      flag,
      body: batch.subarray(bodyStart, bodyEnd),
      properties: batch.subarray(from, to),
    })
  })
  return found
}

test('elements come back as they were encoded', () => {
  fc.assert(
    fc.property(elements, (given) => {
      const batch = Buffer.concat([Buffer.from('xyz'), encodeBatch(given), Buffer.from('tail')])
      assert.deepEqual(read(batch, 3, batch.length - 4), given)
      assert.equal(countBatchElements(batch, 3, batch.length - 4), given.length)
    }),
  )
})

test('the recorded batches are read', () => {
  let batches = 0
  let named = 0
  for (const { code, request } of remotingSamples()) {
    if (code !== 320 || request === undefined) continue
    const { body } = decodeCommand(request)
    const found = read(body, 0, body.length)
    assert.ok(found.length >= 2)
    assert.ok(found.every((element) => element.body.length > 0))
    named += found.filter(({ properties }) =>
      parseProperties(properties.toString()).has('UNIQ_KEY'),
    ).length
    batches++
  }
  assert.ok(batches >= 3 && named >= 6)
})

test('a cut or changed batch is counted as malformed, and visiting it is a bad request', () => {
  fc.assert(
    fc.property(elements, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (given, at, byte, cut) => {
      const whole = encodeBatch([
        ...given,
        { flag: 0, body: Buffer.from('b'), properties: Buffer.alloc(0) },
      ])
      const batch = cut ? whole.subarray(0, at % whole.length) : whole
      if (!cut) batch[at % whole.length] = byte
      const count = countBatchElements(batch, 0, batch.length)
      try {
        assert.equal(read(batch, 0, batch.length).length, count)
      } catch (error) {
        assert.ok(error instanceof LedgerError && error.code === 'BAD_REQUEST', String(error))
        assert.equal(count, -1)
      }
    }),
    { numRuns: 1_000 },
  )
})
