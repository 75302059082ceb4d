/**
 * Scripted trouble for a group that is well: what a node must not do that nobody hears. Random
 * faults show that nothing is lost; these show that a healthy group is left in peace and that a
 * leader without a group gives up.
 */
import { type Random, randomBetween } from '@ringledger/base'
import { ensure } from './failure.ts'
import type { Machine } from './machine.ts'
import { LONGEST_FLIGHT_SLOTS } from './network.ts'
import type { SimProcess } from './process.ts'
import { TICK_SLOTS } from './scheduler.ts'
import type { World } from './world.ts'

export type Drill = (world: World) => Promise<void>

const ISOLATION_TICKS = 150
const RETURN_TICKS = 200
/** An election with its pauses, and the disk's time. */
const ELECTION_TICKS = 250
/** The last messages under way, and the turn of a tick. */
const SLACK_TICKS = Math.ceil(LONGEST_FLIGHT_SLOTS / TICK_SLOTS) + 4

export function drillOf(random: Random, world: World): Drill | undefined {
  const { machines, leader } = world
  if (machines.length < 3 || leader === undefined || random() < 0.3) return undefined
  // Who has no space hands over when it can.
  if (machines.some(({ process }) => process === undefined || process.diskFull)) return undefined
  // The preferred leader may take over at any time.
  if (leader.preferred !== undefined && leader.preferred !== leader.name) return undefined
  const drills: readonly Drill[] = [isolateFollower, deafLeader, cutOffLeader]
  return drills[randomBetween(random, 0, drills.length)]
}

/**
 * A follower that nobody hears raises no term, and deposes nobody when it is back. Only a transfer
 * that was begun before can still end the term: its TimeoutNow is under way or to be sent, and
 * whom it reaches campaigns at once, also cut off. Such a campaign ends the drill.
 */
async function isolateFollower(world: World): Promise<void> {
  const leader = world.leader as Machine
  const follower = world.machines.find((machine) => machine !== leader) as Machine
  const status = (leader.process as SimProcess).raft.status()
  const { term } = status
  const heirs = world.handovers.heirsOf(status)
  world.handovers.takeCampaigns()
  const givenAway = (): boolean => {
    const campaigns = world.handovers.takeCampaigns()
    for (const { name, byOrder, term: campaignTerm } of campaigns) {
      ensure(
        byOrder && heirs.has(name) && campaignTerm === term + 1,
        `${name} campaigned against the healthy leader ${leader.name}`,
      )
    }
    if (campaigns.length > 0) return true
    ensure(
      leader.leads && leader.process?.raft.term === term,
      `${follower.name} was away and disturbed the healthy leader ${leader.name}`,
    )
    return false
  }
  block(world, follower, true, true)
  if (await world.pass(ISOLATION_TICKS, givenAway)) return
  ensure(follower.process?.raft.term === term, `${follower.name} raised its term all alone`)
  world.network.heal()
  await world.pass(RETURN_TICKS, givenAway)
}

/** A leader that is heard and hears nobody makes room. */
async function deafLeader(world: World): Promise<void> {
  await loseLeader(world, true, false)
}

/** A leader that is cut off gives up, and answers no read; the others go on. */
async function cutOffLeader(world: World): Promise<void> {
  await loseLeader(world, true, true)
}

async function loseLeader(world: World, inward: boolean, outward: boolean): Promise<void> {
  const leader = world.leader as Machine
  const term = leader.process?.raft.term as number
  block(world, leader, inward, outward)
  const patience = Math.ceil(world.settings.electionTicksMin * 1.5) + SLACK_TICKS
  const gaveUp = await world.pass(patience, () => !leader.leads)
  ensure(gaveUp, `${leader.name} hears no majority and still leads after ${patience} ticks`)
  const replaced = await world.pass(ELECTION_TICKS, () => {
    return world.machines.some((one) => one !== leader && serves(one, term))
  })
  ensure(replaced, `nobody leads ${ELECTION_TICKS} ticks after ${leader.name} was cut off`)
}

function serves(machine: Machine, above: number): boolean {
  const raft = machine.process?.raft
  return raft?.serving === true && raft.term > above
}

function block(world: World, machine: Machine, inward: boolean, outward: boolean): void {
  const { trace } = world
  const how = inward && outward ? 'cut off' : 'deaf'
  trace.print && trace.line(machine.number, `drill: ${how}`)
  for (const other of world.machines) {
    if (other === machine) continue
    if (inward) world.network.setBlocked(other.number, machine.number, true)
    if (outward) world.network.setBlocked(machine.number, other.number, true)
  }
}
