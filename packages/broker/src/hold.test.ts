import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomBetween, seededRandom } from '@ringledger/base'
import { DeadlineHeap } from './deadline-heap.ts'
import { HeldPulls, type WatchedQueue } from './hold.ts'
import { tagSubscription } from './subscription.ts'

const ALL = tagSubscription('T', '*', 0)
const TAG_A = tagSubscription('T', 'A', 0)

interface Held {
  connectionId: number
  queueOffset: number
  deadlineMs: number
  tagged?: boolean
}

function holdOn(
  held: HeldPulls,
  queue: WatchedQueue,
  given: Held,
  resumed: number[],
  id: number,
): boolean {
  const subscription = given.tagged ? TAG_A : ALL
  assert.ok(subscription)
  return held.hold({
    ticket: { connectionId: given.connectionId, opaque: id, oneWay: false, code: 11 },
    queue,
    queueOffset: given.queueOffset,
    deadlineMs: given.deadlineMs,
    heapIndex: -1,
    subscription,
    resume: () => resumed.push(id),
  })
}

test('a deadline heap gives items in order, whatever is removed in between', () => {
  for (let seed = 1; seed < 30; seed++) {
    const random = seededRandom(seed)
    const heap = new DeadlineHeap<{ deadlineMs: number; heapIndex: number }>()
    const items = Array.from({ length: 200 }, () => ({
      deadlineMs: randomBetween(random, 0, 100),
      heapIndex: -1,
    }))
    for (const item of items) heap.add(item)
    const kept = items.filter((item) => {
      if (random() < 0.5) return true
      heap.remove(item)
      heap.remove(item)
      return false
    })
    assert.equal(heap.size, kept.length)
    const taken: number[] = []
    for (let nowMs = 0; nowMs <= 100; nowMs += 7) {
      for (let due = heap.takeDue(nowMs); due !== undefined; due = heap.takeDue(nowMs)) {
        assert.ok(due.deadlineMs <= nowMs)
        taken.push(due.deadlineMs)
      }
    }
    for (let due = heap.takeDue(1_000); due !== undefined; due = heap.takeDue(1_000)) {
      taken.push(due.deadlineMs)
    }
    assert.deepEqual(
      taken,
      kept.map(({ deadlineMs }) => deadlineMs).sort((a, b) => a - b),
    )
  }
})

test('a pull wakes once: at its message or at its deadline', () => {
  const held = new HeldPulls(10)
  const queue: WatchedQueue = { topic: 'T', waiters: 0 }
  const resumed: number[] = []
  holdOn(held, queue, { connectionId: 1, queueOffset: 5, deadlineMs: 100 }, resumed, 1)
  holdOn(held, queue, { connectionId: 2, queueOffset: 6, deadlineMs: 50, tagged: true }, resumed, 2)
  assert.equal(queue.waiters, 2)
  held.onMessage(queue, 4, 65)
  held.onMessage(queue, 5, 66)
  assert.equal(held.nextDeadlineMs, 0)
  assert.equal(held.runReady(10), 1)
  held.onMessage(queue, 6, 66)
  assert.equal(held.runReady(10), 0)
  held.onMessage(queue, 7, 65)
  assert.equal(held.runReady(60), 1)
  assert.deepEqual(resumed, [1, 2])
  assert.deepEqual([held.size, queue.waiters, held.runReady(1_000)], [0, 0, 0])
})

test('no more pulls are held than the bound, and a closed connection frees its own', () => {
  const held = new HeldPulls(2)
  const queue: WatchedQueue = { topic: 'T', waiters: 0 }
  const resumed: number[] = []
  const one = { connectionId: 1, queueOffset: 0, deadlineMs: 100 }
  assert.ok(holdOn(held, queue, one, resumed, 1))
  assert.ok(holdOn(held, queue, { ...one, connectionId: 2 }, resumed, 2))
  assert.equal(holdOn(held, queue, one, resumed, 3), false)
  held.onMessage(queue, 0, 0)
  held.dropConnection(1)
  assert.equal(held.runReady(0), 1)
  assert.deepEqual(resumed, [2])
})

test('a topic that changes wakes its pulls only', () => {
  const held = new HeldPulls(10)
  const mine: WatchedQueue = { topic: 'T', waiters: 0 }
  const other: WatchedQueue = { topic: 'U', waiters: 0 }
  const resumed: number[] = []
  const one = { connectionId: 1, queueOffset: 0, deadlineMs: 100 }
  holdOn(held, mine, one, resumed, 1)
  holdOn(held, other, one, resumed, 2)
  held.wakeTopic('T')
  held.runReady(0)
  assert.deepEqual(resumed, [1])
  assert.deepEqual([mine.waiters, other.waiters], [0, 1])
})
