import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoundaryLog } from './boundary-log.ts'

test('the newest boundary at or below the commit position counts', () => {
  const log = new BoundaryLog()
  log.add(100, 0)
  log.add(250, 3)
  log.add(400, 5)
  log.commit(99)
  assert.deepEqual(log.committed, { position: 0, index: -1 })
  log.commit(399)
  assert.deepEqual(log.committed, { position: 250, index: 3 })
})

test('boundaries behind a cut are forgotten', () => {
  const log = new BoundaryLog()
  log.add(100, 0)
  log.add(250, 3)
  log.cut(100)
  log.add(180, 1)
  log.commit(1000)
  assert.deepEqual(log.committed, { position: 180, index: 1 })
})

test('more boundaries than it keeps cost the oldest ones only', () => {
  const log = new BoundaryLog()
  for (let at = 1; at <= 10_000; at++) log.add(at * 10, at)
  log.commit(99_995)
  assert.deepEqual(log.committed, { position: 99_990, index: 9999 })
})
