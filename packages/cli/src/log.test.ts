import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatLine } from './log.ts'

test('an event is one line with its fields', () => {
  const line = JSON.stringify({ level: 30, time: 0, port: 9876, id: 'n0', msg: 'listens' })
  assert.equal(formatLine(line), '1970-01-01 00:00:00.000 INFO  listens port=9876 id=n0\n')
})

test('an error brings its stack', () => {
  const line = JSON.stringify({ level: 50, time: 1, msg: 'failed', err: { stack: 'E: x\n  at y' } })
  assert.equal(formatLine(line), '1970-01-01 00:00:00.001 ERROR failed\nE: x\n  at y\n')
})
