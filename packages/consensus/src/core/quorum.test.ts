import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { majorityOf, majorityReached, Tally, tally } from './quorum.ts'

test('any two majorities share a member', () => {
  for (let members = 1; members <= 9; members++) {
    assert.ok(2 * majorityOf(members) > members)
    assert.ok(2 * (majorityOf(members) - 1) <= members)
  }
})

test('the reached value is the greatest that a majority has', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 9 }), (values) => {
      const reached = majorityReached(Float64Array.from(values))
      const having = (value: number): number => values.filter((each) => each >= value).length
      assert.ok(having(reached) >= majorityOf(values.length))
      assert.ok(
        values.every((value) => value <= reached || having(value) < majorityOf(values.length)),
      )
    }),
  )
})

test('an election is open until a majority granted or none can any more', () => {
  assert.equal(tally(2, 0, 3), Tally.won)
  assert.equal(tally(1, 1, 3), Tally.open)
  assert.equal(tally(1, 2, 3), Tally.lost)
  assert.equal(tally(1, 0, 1), Tally.won)
  assert.equal(tally(2, 2, 4), Tally.lost)
  assert.equal(tally(2, 1, 4), Tally.open)
})
