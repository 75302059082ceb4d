import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '@ringledger/base'
import { UniqueKeys } from './unique-key.ts'

test('keys are 32 upper-case hex characters and do not repeat within a millisecond', () => {
  const clock = new FakeClock(new Date(2026, 10, 23, 12).getTime())
  const keys = new UniqueKeys(clock, Buffer.from([127, 0, 0, 1, 0, 0, 1, 2]), 4711, 0xabcdef01)
  const seen = new Set<string>()
  const target = Buffer.alloc(40)
  for (let at = 0; at < 1000; at++) {
    keys.write(target, 4, clock.wallMs())
    const key = target.toString('latin1', 4, 36)
    assert.match(key, /^7F0000011267ABCDEF01[0-9A-F]{12}$/)
    seen.add(key)
  }
  assert.equal(seen.size, 1000)
})

test('the time part starts anew with the month', () => {
  const clock = new FakeClock(new Date(2026, 11, 1, 0, 0, 1).getTime())
  const keys = new UniqueKeys(clock, Buffer.alloc(8), 1, 1)
  const target = Buffer.alloc(32)
  keys.write(target, 0, clock.wallMs())
  assert.equal(
    target.toString('latin1', 20, 28),
    (1000).toString(16).padStart(8, '0').toUpperCase(),
  )
})
