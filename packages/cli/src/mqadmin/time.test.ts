import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from './errors.ts'
import { formatTime, parseTime } from './time.ts'

test('times are milliseconds or a local calendar time', () => {
  assert.equal(parseTime('1795407443151'), 1795407443151)
  const calendar = parseTime('2026-11-23#06:15:09:007')
  assert.equal(calendar, new Date(2026, 10, 23, 6, 15, 9, 7).getTime())
  assert.equal(formatTime(calendar), '2026-11-23 06:15:09.007')
})

test('what is no time is refused', () => {
  const wrong = [
    '',
    'now',
    '-1',
    '1.5',
    '2026-11-23',
    '2026-13-01#00:00:00:000',
    '2026-02-30#00:00:00:000',
  ]
  for (const text of wrong) assert.throws(() => parseTime(text), UsageError, text)
})

test('a time of zero or less was never', () => {
  assert.equal(formatTime(0), undefined)
  assert.equal(formatTime(-1), undefined)
  assert.equal(formatTime(Number.NaN), undefined)
})
