/**
 * What a seed decides before a run begins: the group, the sizes of everything, and how bad the
 * weather is. Owns nothing; the same seed gives the same settings.
 */
import { type Random, randomBetween, seededRandom } from '@ringledger/base'

/** How often faults of one kind come, against the others. */
export interface FaultWeights {
  readonly link: number
  readonly partition: number
  readonly oneWay: number
  readonly pause: number
  readonly skew: number
  readonly power: number
  readonly powerInCall: number
  readonly kill: number
  readonly stop: number
  readonly diskError: number
  readonly fullDisk: number
  readonly slowDisk: number
  readonly slowSocket: number
  readonly transfer: number
  readonly trim: number
  readonly flip: number
}

export interface SimSettings {
  readonly seed: number
  readonly ticks: number
  readonly members: number
  /** Messages are lost, repeated and reordered one by one; else links break and lose a suffix. */
  readonly rawNetwork: boolean
  readonly lossRate: number
  readonly duplicateRate: number
  readonly maxDelaySlots: number
  readonly heartbeatTicks: number
  readonly electionTicksMin: number
  readonly preferredLeader: number
  readonly arenaBytes: number
  readonly maxEntryBytes: number
  readonly segmentBytes: number
  readonly indexSegmentBytes: number
  readonly zeroAheadBytes: number
  readonly markEveryBytes: number
  readonly maxSyncSlots: number
  /** Of direct writes; 0: the disk has none. */
  readonly directBlockBytes: number
  /** Mean pause between two faults. */
  readonly faultTicks: number
  readonly faults: FaultWeights
  /** Mean pause between two batches of a client. */
  readonly appendTicks: number
}

const MEMBERS = [3, 3, 3, 5, 3, 1, 3, 4, 3, 5, 2, 3]
const KIB = 1024

function pick<Value>(random: Random, values: readonly Value[]): Value {
  return values[randomBetween(random, 0, values.length)] as Value
}

/**
 * Passes of a scrub: one that finds the damage, one that finds its neighbours made good, one that
 * finds nothing.
 */
export const MAX_PASSES = 4

/** Every kind is off in some runs, so that what only shows without it is met, too. */
function weights(random: Random): FaultWeights {
  const weight = (high: number): number => (random() < 0.3 ? 0 : random() * high)
  const rots = random() < 0.5
  return {
    link: weight(2),
    partition: weight(2),
    oneWay: weight(1.5),
    pause: weight(2),
    skew: weight(1),
    power: weight(2),
    powerInCall: weight(2),
    kill: weight(1.5),
    stop: weight(1),
    diskError: weight(1),
    fullDisk: weight(1),
    slowDisk: weight(1),
    slowSocket: weight(1),
    transfer: weight(1.5),
    // What every other member has dropped cannot be repaired any more: either, or.
    trim: rots ? 0 : weight(1),
    flip: rots ? random() * 3 : 0,
  }
}

/** The slowest of the networks. */
export const MAX_DELAY_SLOTS = 8

export function settingsOf(seed: number, ticks: number, members?: number): SimSettings {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ 0x5eed)
  const size = members ?? pick(random, MEMBERS)
  const rawNetwork = random() < 0.25
  const electionTicksMin = pick(random, [16, 24, 24, 32])
  return {
    seed,
    ticks,
    members: size,
    rawNetwork,
    lossRate: rawNetwork ? random() * 0.1 : 0,
    duplicateRate: rawNetwork ? random() * 0.1 : 0,
    maxDelaySlots: pick(random, [1, 2, 4, MAX_DELAY_SLOTS]),
    heartbeatTicks: Math.floor(electionTicksMin / pick(random, [2, 3, 4])),
    electionTicksMin,
    preferredLeader: random() < 0.2 ? randomBetween(random, 0, size) : -1,
    arenaBytes: pick(random, [16 * KIB, 16 * KIB, 32 * KIB]),
    maxEntryBytes: 1024,
    segmentBytes: pick(random, [4 * KIB, 8 * KIB, 16 * KIB]),
    indexSegmentBytes: 32 * pick(random, [20, 64, 160]),
    zeroAheadBytes: pick(random, [0, 2 * KIB]),
    markEveryBytes: pick(random, [2 * KIB, 6 * KIB, 16 * KIB]),
    maxSyncSlots: pick(random, [1, 2, 4]),
    faultTicks: pick(random, [60, 120, 200]),
    faults: weights(random),
    appendTicks: pick(random, [30, 60, 120]),
    directBlockBytes: pick(random, [0, 512, 4096]),
  }
}
