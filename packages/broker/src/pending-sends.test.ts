import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PendingSends } from './pending-sends.ts'

test('a commit completes exactly what ends at or before it, oldest first', () => {
  const pending = new PendingSends(4)
  const done: number[] = []
  const completeTo = (position: number): void => {
    for (;;) {
      const slot = pending.oldestUpTo(position)
      if (slot < 0) return
      done.push(pending.endPosition[slot] as number)
      pending.shift()
    }
  }
  for (let round = 0; round < 5; round++) {
    for (const end of [10, 20, 30]) pending.push(round * 100 + end)
    completeTo(round * 100 + 20)
    assert.equal(pending.size, 1)
    completeTo(round * 100 + 99)
  }
  assert.deepEqual(done, [10, 20, 30, 110, 120, 130, 210, 220, 230, 310, 320, 330, 410, 420, 430])
})

test('it is full at its capacity and refuses more', () => {
  const pending = new PendingSends(2)
  pending.push(1)
  pending.push(2)
  assert.ok(pending.full)
  assert.throws(() => pending.push(3))
})
