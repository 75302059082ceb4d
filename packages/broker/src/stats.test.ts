import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DayTotals } from './day-totals.ts'
import { PutCounts } from './put-counts.ts'
import { BrokerStats, SAMPLE_MS, StatName, WHOLE_BROKER } from './stats.ts'
import type { QueueView } from './store-view.ts'

const { TOPIC_PUT_NUMS, BROKER_PUT_NUMS } = StatName

/** Samples every ten seconds from `fromMs` on; `perSample` is added before each. */
function run(stats: BrokerStats, fromMs: number, samples: number, perSample: number): number {
  let nowMs = fromMs
  for (let sample = 0; sample < samples; sample++) {
    if (perSample > 0) stats.add(TOPIC_PUT_NUMS, 'T', perSample, perSample)
    stats.sample(nowMs)
    nowMs += SAMPLE_MS
  }
  return nowMs
}

test('windows reach back a minute, an hour and a day', () => {
  const stats = new BrokerStats()
  const hours = 30
  const nowMs = run(stats, SAMPLE_MS, hours * 360, 10)
  const view = stats.view(TOPIC_PUT_NUMS, 'T', nowMs - SAMPLE_MS)
  assert.deepEqual(view?.minute, { sum: 60, tps: 1, avgpt: 1 })
  assert.equal(view?.hour.tps, 1)
  assert.equal(view?.day.tps, 1)
  assert.ok(view.hour.sum >= 3_600 && view.hour.sum <= 4_200, String(view.hour.sum))
  assert.ok(view.day.sum >= 86_400 && view.day.sum <= 90_000, String(view.day.sum))
  for (const spanMs of [10_000, 60_000, 600_000]) {
    assert.equal(stats.rate(TOPIC_PUT_NUMS, 'T', spanMs, nowMs - SAMPLE_MS), 1)
  }
})

test('what was just counted shows before the next sample', () => {
  const stats = new BrokerStats()
  stats.sample(1_000)
  stats.add(TOPIC_PUT_NUMS, 'T', 30, 30)
  assert.equal(stats.view(TOPIC_PUT_NUMS, 'T', 4_000)?.minute.sum, 30)
  assert.equal(stats.rate(TOPIC_PUT_NUMS, 'T', 10_000, 4_000), 10)
  assert.equal(stats.rate(TOPIC_PUT_NUMS, 'U', 10_000, 4_000), 0)
})

test('a counter that stands still for a day is forgotten', () => {
  const stats = new BrokerStats()
  const idleFromMs = run(stats, 0, 1, 5)
  const nowMs = run(stats, idleFromMs, 26 * 360, 0)
  assert.equal(stats.view(TOPIC_PUT_NUMS, 'T', nowMs), undefined)
})

interface FakeQueue {
  topic: string
  maxOffset: number
}

test('messages are counted by the growth of queues, while this node leads', () => {
  const queues: FakeQueue[] = [{ topic: 'T', maxOffset: 100 }]
  const forEachQueue = (visit: (queue: QueueView) => void): void => {
    for (const queue of queues) visit(queue as QueueView)
  }
  const stats = new BrokerStats()
  const role = { role: 'leader' as const, term: 1, leaderId: 'n0', serving: true }
  const counts = new PutCounts({ forEachQueue }, stats, role)
  let nowMs = 0
  const stored = (): number => {
    nowMs += 1_000
    counts.refresh(nowMs)
    return stats.total(BROKER_PUT_NUMS, WHOLE_BROKER)
  }
  assert.equal(stored(), 0, 'what was there before does not count')
  queues.push({ topic: 'T', maxOffset: 7 }, { topic: 'U', maxOffset: 2 })
  assert.equal(stored(), 9)
  counts.refresh(nowMs + 1)
  role.serving = false
  queues[0] = { topic: 'T', maxOffset: 150 }
  assert.equal(stored(), 9, 'a follower counts nothing')
  role.serving = true
  assert.equal(stored(), 9, 'nor later')
  queues.splice(0, 2, { topic: 'T', maxOffset: 4 })
  assert.equal(stored(), 13, 'a topic that was made anew')
  assert.equal(stats.total(TOPIC_PUT_NUMS, 'U'), 2)
})

test('a day begins with what the last one ended with', () => {
  const totals = new DayTotals()
  const day = (number: number): number => new Date(2026, 10, number, 12).getTime()
  totals.observe(day(1), { put: 0, get: 0 })
  totals.observe(day(1) + 1, { put: 5, get: 3 })
  assert.equal(totals.todayMorning.put, 0)
  totals.observe(day(2), { put: 9, get: 4 })
  totals.observe(day(3), { put: 20, get: 8 })
  assert.deepEqual(totals.todayMorning, { put: 20, get: 8 })
  assert.deepEqual(totals.yesterdayMorning, { put: 9, get: 4 })
})
