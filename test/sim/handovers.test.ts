import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Handovers } from './handovers.ts'
import { Scheduler } from './scheduler.ts'
import { settingsOf } from './settings.ts'
import { SimMemory, World } from './world.ts'

test('a campaign is by order only when the order of the term before arrives with it', () => {
  const scheduler = new Scheduler()
  const handovers = new Handovers(scheduler)
  handovers.onCampaign('n0', 3)
  handovers.onArrived('n1', 3)
  handovers.onCampaign('n1', 4)
  handovers.onCampaign('n1', 5)
  handovers.onCampaign('n2', 4)
  scheduler.runSlot(() => {})
  handovers.onCampaign('n1', 4)
  const byOrder = handovers.takeCampaigns().map((campaign) => campaign.byOrder)
  assert.deepEqual(byOrder, [false, true, false, false, false])
  assert.deepEqual(handovers.takeCampaigns(), [])
})

test('heirs are who was told in this term, and the target of a transfer that is under way', () => {
  const handovers = new Handovers(new Scheduler())
  handovers.onTold('n1', 3)
  handovers.onTold('n2', 4)
  assert.deepEqual([...handovers.heirsOf({ term: 4, transferTarget: null })], ['n2'])
  assert.deepEqual([...handovers.heirsOf({ term: 4, transferTarget: 'n0' })], ['n2', 'n0'])
  assert.deepEqual([...handovers.heirsOf({ term: 5, transferTarget: null })], [])
})

const SEEDS = [
  { seed: 8878, course: 'handed over for a full disk, to who is cut off' },
  { seed: 32995, course: 'asked for, to who is cut off' },
  { seed: 12856, course: 'told before the drill, beside who is cut off' },
  { seed: 22259, course: 'told in the drill, beside who is cut off' },
]
for (const { seed, course } of SEEDS) {
  test(`a transfer that a drill meets is no disturbance: ${course}`, async () => {
    const { failure } = await new World(settingsOf(seed, 10_000), new SimMemory()).run()
    assert.equal(failure, '')
  })
}
