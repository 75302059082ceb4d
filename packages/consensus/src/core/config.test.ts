import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkConfig, type RaftConfig } from './config.ts'

const GOOD: RaftConfig = { selfId: 'n0', peerIds: ['n1', 'n2'], random: () => 0.5 }

test('the defaults are those of the design', () => {
  const config = checkConfig(GOOD)
  assert.equal(config.heartbeatTicks, 4)
  assert.equal(config.electionTicksMin, 24)
  assert.equal(config.electionTicksMax, 36)
  assert.equal(config.maxInflightBytes, 8 * 1024 * 1024)
  assert.equal(config.maxBatchBytes, 1024 * 1024)
  assert.equal(config.preferredCheckTicks, 40)
  assert.equal(config.preferredLeaderId, null)
})

const REFUSED: [string, Partial<RaftConfig>, RegExp][] = [
  ['an empty name', { selfId: '' }, /selfId/],
  ['itself as a peer', { peerIds: ['n0', 'n1'] }, /distinct/],
  ['a peer twice', { peerIds: ['n1', 'n1'] }, /distinct/],
  ['a tick of no length', { tickMs: 0 }, /tickMs/],
  ['a broken tick', { tickMs: Number.NaN }, /tickMs/],
  ['no heartbeats', { heartbeatTicks: 0 }, /heartbeatTicks/],
  ['half a tick', { heartbeatTicks: 1.5 }, /heartbeatTicks/],
  ['a timeout below two heartbeats', { electionTicksMin: 7 }, /twice/],
  ['equal timeouts', { electionTicksMax: 24 }, /exceed electionTicksMin/],
  ['equal retries', { retryTicksMax: 2 }, /exceed retryTicksMin/],
  ['retries beyond the timeout', { retryTicksMax: 37 }, /electionTicksMax/],
  ['a window below a batch', { maxInflightBytes: 1000 }, /one batch/],
  ['a stranger as preferred leader', { preferredLeaderId: 'n9' }, /not a member/],
  ['no room for reads', { maxPendingReads: 0 }, /maxPendingReads/],
]

for (const [name, part, reason] of REFUSED) {
  test(`refuses ${name}`, () => {
    assert.throws(() => checkConfig({ ...GOOD, ...part }), { code: 'BAD_CONFIG', message: reason })
  })
}
