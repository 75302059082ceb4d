import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isPeerMessage } from './message-check.ts'
import type { PeerMessage } from './messages.ts'

const HEAD = { from: 'n0', to: 'n1', term: 3 }
const SAMPLES: PeerMessage[] = [
  {
    ...HEAD,
    type: 'preVote',
    nextTerm: 4,
    lastTerm: -1,
    endPosition: 0,
    priority: 0.5,
    askedTick: 9,
  },
  {
    ...HEAD,
    type: 'preVoteReply',
    nextTerm: 4,
    askedTick: 9,
    granted: false,
    reason: 'leaderAlive',
  },
  { ...HEAD, type: 'vote', lastTerm: 2, endPosition: 100, transfer: true },
  { ...HEAD, type: 'voteReply', granted: true, reason: 'none' },
  {
    ...HEAD,
    type: 'append',
    prevPosition: 100,
    prevTerm: 2,
    endPosition: 300,
    lastIndex: 2,
    spans: [{ term: 2, firstPosition: 0, firstIndex: 0 }],
    commitPosition: 100,
    round: 7,
  },
  {
    ...HEAD,
    type: 'appendReply',
    accepted: false,
    matchPosition: 0,
    endPosition: 100,
    conflictTerm: 1,
    round: -1,
    diskFull: true,
  },
  { ...HEAD, type: 'timeoutNow' },
]

for (const sample of SAMPLES) {
  test(`${sample.type} passes, and fails with any field missing or of another type`, () => {
    assert.ok(isPeerMessage(sample))
    for (const key of Object.keys(sample)) {
      const { [key]: _dropped, ...rest } = sample as unknown as Record<string, unknown>
      assert.ok(!isPeerMessage(rest), `without ${key}`)
      for (const wrong of [null, Number.NaN, {}, -2]) {
        assert.ok(!isPeerMessage({ ...sample, [key]: wrong }), `${key} = ${String(wrong)}`)
      }
    }
  })
}

test('a span with a missing field fails', () => {
  const spans = [{ term: 1, firstPosition: 0 }]
  assert.ok(!isPeerMessage({ ...SAMPLES[4], spans }))
  assert.ok(!isPeerMessage({ ...SAMPLES[4], spans: [null] }))
})

test('arbitrary values never throw', () => {
  fc.assert(
    fc.property(fc.anything(), fc.constantFrom(...SAMPLES, {}), (junk, sample) => {
      assert.equal(typeof isPeerMessage(junk), 'boolean')
      for (const key of Object.keys(sample)) isPeerMessage({ ...sample, [key]: junk })
      assert.ok(!isPeerMessage({ ...sample, type: junk === sample ? 0 : { junk } }))
    }),
  )
})
