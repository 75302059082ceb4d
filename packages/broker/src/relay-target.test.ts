import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '@ringledger/base'
import { RELAY_MS, RelayTarget } from './relay-target.ts'

function setUp(): { target: RelayTarget; clock: FakeClock; relays: string[] } {
  const clock = new FakeClock()
  const relays: string[] = []
  const port = { relayTo: (address: string) => void relays.push(address) }
  return { target: new RelayTarget({ port, clock }), clock, relays }
}

test('after a handover sends go to the next leader, for a while', () => {
  const { target, clock, relays } = setUp()
  target.onRole('leader', 1, 'n0')
  target.onBarrier(1, 'own:1')
  target.onRole('follower', 2, '')
  target.onHandedOver()
  target.onRole('follower', 2, 'n1')
  assert.deepEqual(relays, [], 'the last barrier is its own')
  target.onBarrier(2, 'next:2')
  assert.deepEqual(relays, ['next:2'])
  target.onRole('follower', 3, '')
  target.onRole('follower', 3, 'n2')
  target.onBarrier(3, 'third:3')
  assert.deepEqual(relays.splice(0), ['next:2', '', 'third:3'])
  clock.advance(RELAY_MS)
  target.expire()
  assert.deepEqual(relays.splice(0), [''])
  target.onBarrier(4, 'late:4')
  assert.deepEqual(relays, [])
})

test('a follower, or a leader that was deposed against its will, hands nothing on', () => {
  const { target, relays } = setUp()
  target.onRole('follower', 1, 'n1')
  target.onBarrier(1, 'other:1')
  target.onRole('leader', 2, 'n0')
  target.onBarrier(2, 'own:2')
  target.onRole('follower', 3, 'n1')
  target.onBarrier(3, 'other:3')
  assert.deepEqual(relays, [])
})
