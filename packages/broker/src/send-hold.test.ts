import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '@ringledger/base'
import { Role } from '@ringledger/consensus'
import { HOLD_MS, SendHold } from './send-hold.ts'

test('sends wait from the end of one leader until the next one serves', () => {
  const hold = new SendHold(new FakeClock())
  assert.equal(hold.holds, false, 'nothing is known yet')
  hold.onRole(Role.follower, 'n1')
  assert.equal(hold.holds, false)
  hold.onRole(Role.follower, '')
  assert.equal(hold.holds, true)
  hold.onRole(Role.leader, 'n0')
  assert.equal(hold.holds, true, 'it has not applied its barrier')
  hold.onServing()
  assert.equal(hold.holds, false)
  hold.onRole(Role.candidate, '')
  assert.equal(hold.holds, true)
  hold.onRole(Role.follower, 'n2')
  assert.equal(hold.holds, false, 'the next leader is another node')
})

test('after a handover sends wait until they can be handed on', () => {
  const clock = new FakeClock()
  const hold = new SendHold(clock)
  hold.onRole(Role.leader, 'n0')
  hold.onServing()
  hold.onRole(Role.follower, '')
  hold.onHandedOver()
  hold.onRole(Role.follower, 'n1')
  assert.equal(hold.holds, true)
  hold.onRelay()
  assert.equal(hold.holds, false)
  hold.onRole(Role.follower, '')
  hold.onRole(Role.follower, 'n2')
  assert.equal(hold.holds, false, 'this change was not its own')
})

test('a group without a leader refuses after a while, however often it campaigns', () => {
  const clock = new FakeClock()
  const hold = new SendHold(clock)
  hold.onRole(Role.preCandidate, '')
  clock.advance(HOLD_MS - 1)
  hold.onRole(Role.candidate, '')
  assert.equal(hold.holds, true)
  clock.advance(1)
  hold.onRole(Role.preCandidate, '')
  assert.equal(hold.holds, false)
})
