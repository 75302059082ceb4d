import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flipMany } from './bit-flips.ts'

test('a bit flipped anywhere in the store of one member changes nothing that is served', async () => {
  const summary = await flipMany(40, 7, () => {})
  assert.equal(summary.flips, 40)
  assert.ok(summary.said > 10, `${summary.said} were noticed`)
})
