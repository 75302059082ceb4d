import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, randomBetween, seededRandom } from '@ringledger/base'
import { type FakeEntry, logOfTerms, tailOf } from './driver-fake.ts'
import { LogView } from './log-view.ts'
import { NO_TERM } from './messages.ts'

/** Logs that the leaders of some terms could have had: each starts as a part of an earlier one. */
function histories(random: Random): FakeEntry[][] {
  const logs: FakeEntry[][] = [[]]
  for (let term = 1; term <= 6; term++) {
    const parent = logs[randomBetween(random, 0, logs.length)] as FakeEntry[]
    const log = parent.slice(0, randomBetween(random, 0, parent.length + 1))
    for (let count = randomBetween(random, 0, 5); count > 0; count--) {
      const position = log.at(-1)?.end ?? 0
      const end = position + randomBetween(random, 1, 4)
      log.push({ term, index: log.length, position, end, value: `${term}.${log.length}` })
    }
    logs.push(log)
  }
  return logs
}

function commonEntries(left: readonly FakeEntry[], right: readonly FakeEntry[]): number {
  let count = 0
  while (count < left.length && left[count]?.value === right[count]?.value) {
    if (right[count] === undefined) break
    count++
  }
  return count
}

function endOf(log: readonly FakeEntry[], count: number): number {
  return count === 0 ? 0 : (log[count - 1] as FakeEntry).end
}

test('takes over any range of any log as an array of entries would', () => {
  const random = seededRandom(7)
  let conflicts = 0
  for (let run = 0; run < 4000; run++) {
    const logs = histories(random)
    const leader = logs[randomBetween(random, 0, logs.length)] as FakeEntry[]
    const source = logs[randomBetween(random, 0, logs.length)] as FakeEntry[]
    const follower = source.slice(0, randomBetween(random, 0, source.length + 1))
    const common = commonEntries(leader, follower)
    const fromCount = randomBetween(random, 0, common + 1)
    const toCount = randomBetween(random, fromCount, leader.length + 1)
    const from = endOf(leader, fromCount)
    const to = endOf(leader, toCount)
    const view = new LogView(tailOf(follower))
    const spans = new LogView(tailOf(leader)).spansBetween(from, to)

    const conflict = view.findConflict(spans, from, to)
    const contradicts = common < toCount && common < follower.length
    assert.equal(conflict !== undefined, contradicts, `run ${run}`)
    let expected = follower
    if (conflict !== undefined) {
      conflicts++
      assert.deepEqual(conflict, { position: endOf(leader, common), lastIndex: common - 1 })
      view.truncate(conflict.position, conflict.lastIndex)
      expected = follower.slice(0, common)
    }
    assert.deepEqual([view.endPosition, view.lastIndex], tailEnd(expected))
    if (to > view.endPosition) {
      assert.ok(view.continues(spans, toCount - 1))
      view.extendBySpans(spans, to, toCount - 1)
      expected = leader.slice(0, toCount)
    }
    const tail = tailOf(expected)
    assert.deepEqual(view.spans, tail.spans)
    assert.deepEqual([view.endPosition, view.lastIndex], tailEnd(expected))
  }
  assert.ok(conflicts > 300, `only ${conflicts} conflicts`)
})

function tailEnd(log: readonly FakeEntry[]): [number, number] {
  const tail = tailOf(log)
  return [tail.endPosition, tail.lastIndex]
}

test('knows the term of every entry end', () => {
  const view = new LogView(tailOf(logOfTerms([1, 1, 3, 3, 7])))
  assert.deepEqual(
    [0, 100, 200, 300, 400, 500].map((position) => view.termAt(position)),
    [NO_TERM, 1, 1, 3, 3, 7],
  )
  assert.deepEqual(
    [100, 200, 300, 500].map((position) => view.spanStart(position)),
    [0, 0, 200, 400],
  )
  assert.throws(() => view.termAt(501), /not yet there/)
})

test('the newer last term wins, then the longer log', () => {
  const view = new LogView(tailOf(logOfTerms([1, 3])))
  assert.ok(view.isUpToDate(4, 50))
  assert.ok(view.isUpToDate(3, 200))
  assert.ok(!view.isUpToDate(3, 199))
  assert.ok(!view.isUpToDate(2, 900))
})

test('after trimming, the terms of what is kept stay known', () => {
  const view = new LogView(tailOf(logOfTerms([1, 1, 3, 3, 7])))
  view.trim(300, 3)
  assert.equal(view.termAt(300), 3)
  assert.equal(view.termAt(400), 3)
  assert.equal(view.spans.length, 2)
  assert.throws(() => view.termAt(299), /dropped/)
  view.trim(500, 5)
  assert.equal(view.lastTerm, 7)
})

test('a range that leaves a gap, or goes back in term or index, does not continue the log', () => {
  const view = new LogView(tailOf(logOfTerms([1, 3])))
  const span = (term: number, firstPosition: number, firstIndex: number) => [
    { term, firstPosition, firstIndex },
  ]
  assert.ok(view.continues(span(3, 100, 1), 2))
  assert.ok(view.continues(span(4, 200, 2), 2))
  assert.ok(!view.continues(span(4, 300, 2), 2), 'a gap in position')
  assert.ok(!view.continues(span(4, 200, 3), 3), 'a gap in index')
  assert.ok(!view.continues(span(2, 200, 2), 2), 'an older term')
  assert.ok(!view.continues(span(4, 100, 1), 2), 'a term that should have been a conflict')
  assert.ok(!view.continues(span(3, 100, 1), 1), 'no new index')
  assert.ok(!view.continues([], 2), 'no spans')
})

test('a tail that contradicts itself is refused', () => {
  const tail = tailOf(logOfTerms([1, 3]))
  assert.throws(() => new LogView({ ...tail, lastTerm: 2 }), /lastTerm/)
  assert.throws(() => new LogView({ ...tail, endPosition: 100 }), /past the end/)
  assert.throws(() => new LogView({ ...tail, spans: [] }), /lastTerm|spans/)
  assert.throws(() => new LogView({ ...tail, firstPosition: 300 }), /ends before/)
  assert.throws(
    () => new LogView({ ...tail, spans: [...tail.spans].reverse(), lastTerm: 1 }),
    /gap before|ascend/,
  )
})
