import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPlainLogBlank, PLAIN_LOG_BLANK_BYTES, writePlainLogBlank } from './plain-blank.ts'

test('a blank is the bytes that Apache writes, and is known again by its size', () => {
  const bytes = Buffer.alloc(3 + PLAIN_LOG_BLANK_BYTES)
  writePlainLogBlank(bytes, 3, 1024)
  assert.equal(bytes.toString('hex'), '00000000000400cbd43194')
  assert.ok(isPlainLogBlank(bytes, 3, 1024))
  assert.ok(!isPlainLogBlank(bytes, 3, 1023))
  bytes[10]! ^= 1
  assert.ok(!isPlainLogBlank(bytes, 3, 1024))
})
