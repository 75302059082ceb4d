import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpenSends } from './open-sends.ts'

test('a token is one connection’s until it comes back, and all can be out at once', () => {
  const capacity = 5
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 60 }), (choices) => {
      const open = new OpenSends(capacity)
      const out = new Map<number, number>()
      for (const [at, choice] of choices.entries()) {
        if (choice < 6 && open.freeCount > 0) {
          const token = open.take(at)
          assert.ok(token >= 0 && token < capacity && !out.has(token))
          out.set(token, at)
        } else {
          const token = [...out.keys()][choice % Math.max(1, out.size)]
          if (token === undefined) continue
          assert.equal(open.giveBack(token), out.get(token))
          out.delete(token)
        }
        assert.equal(open.freeCount, capacity - out.size)
      }
    }),
  )
})

test('a token that is not out is not taken back', () => {
  const open = new OpenSends(2)
  const token = open.take(7)
  open.giveBack(token)
  assert.throws(() => open.giveBack(token))
  assert.throws(() => open.giveBack(-1))
})
