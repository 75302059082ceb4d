import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import { parseCopyState, parseTables } from './copy.ts'

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

test('what a peer says of its copy or its tables, and is neither, is refused', () => {
  const bad = [Buffer.from('{'), bytesOf(null), bytesOf([]), bytesOf(5), bytesOf({ formed: 1 })]
  for (const bytes of bad) assert.throws(() => parseCopyState(bytes, 'n1'), isRefusalOfN1)
  for (const bytes of bad) assert.throws(() => parseTables(bytes, 'n1'), isRefusalOfN1)
})

test('tables are texts by name', () => {
  assert.deepEqual(parseTables(bytesOf({ 'topics.json': '{}' }), 'n1'), { 'topics.json': '{}' })
  assert.deepEqual(parseTables(bytesOf({}), 'n1'), {})
})

function isRefusalOfN1(error: unknown): boolean {
  assert.ok(error instanceof LedgerError, String(error))
  assert.match(error.message, /the answer of n1/)
  return error.code === 'BAD_REQUEST'
}
