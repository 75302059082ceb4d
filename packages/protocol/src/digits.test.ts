import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { equalBytes, getInt64, readInt64, setInt64, writeInt64 } from './bytes.ts'
import { crc32, crc32OfShort } from './crc32.ts'
import { writeDecimal, writeHex, writeHexInt64 } from './digits.ts'
import { viewOf } from './recorded-samples.ts'

const safe = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
const EDGES = [0, -1, 9, 10, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53 - 1, 1 - 2 ** 53]

test('decimals are those of String', () => {
  const target = Buffer.alloc(30)
  fc.assert(
    fc.property(safe, (value) => {
      const size = writeDecimal(target, 3, value)
      assert.equal(target.toString('latin1', 3, 3 + size), String(value))
    }),
    { examples: EDGES.map((value): [number] => [value]), numRuns: 2_000 },
  )
})

test('int64 comes back through Buffer and DataView, as BigInt has it', () => {
  fc.assert(
    fc.property(safe, (value) => {
      const bytes = Buffer.alloc(10)
      writeInt64(bytes, 1, value)
      assert.equal(bytes.readBigInt64BE(1), BigInt(value))
      assert.equal(readInt64(bytes, 1), value)
      assert.equal(getInt64(viewOf(bytes), 1), value)
      const other = Buffer.alloc(10)
      setInt64(viewOf(other), 1, value)
      assert.deepEqual(other, bytes)
    }),
    { examples: EDGES.map((value): [number] => [value]) },
  )
})

test('hex is upper case', () => {
  const target = Buffer.alloc(40)
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 20 }),
      fc.nat(Number.MAX_SAFE_INTEGER),
      (bytes, value) => {
        const size = writeHex(target, 0, bytes, 0, bytes.length)
        assert.equal(
          target.toString('latin1', 0, size),
          Buffer.from(bytes).toString('hex').toUpperCase(),
        )
        assert.equal(writeHexInt64(target, 0, value), 16)
        const expected = value.toString(16).toUpperCase().padStart(16, '0')
        assert.equal(target.toString('latin1', 0, 16), expected)
      },
    ),
  )
})

test('both ways to a checksum agree with zlib, at any length and seed', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat({ max: 20 }),
      fc.nat({ max: 0xffffffff }),
      (array, start, seed) => {
        const bytes = Buffer.from(array)
        const from = Math.min(start, bytes.length)
        const expected = zlibCrc32(bytes.subarray(from), seed)
        assert.equal(crc32(bytes, from, bytes.length, seed), expected)
        assert.equal(crc32OfShort(bytes, from, bytes.length, seed), expected)
      },
    ),
  )
})

test('ranges are equal when their bytes are', () => {
  const left = Buffer.from('xabcx')
  const right = Buffer.from('abcd')
  assert.ok(equalBytes(left, 1, 4, right, 0, 3))
  assert.ok(!equalBytes(left, 1, 4, right, 0, 4))
  assert.ok(!equalBytes(left, 1, 4, right, 1, 4))
})
