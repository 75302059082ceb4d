/** What a run did and what was done to it, as numbers that add up over runs. */

const NAMES = [
  'runs',
  'ticks',
  'events',
  'committed',
  'acknowledged',
  'refused',
  'reads',
  'elections',
  'truncations',
  'transfers',
  'trims',
  'catchUpReads',
  'healed',
  'drills',
  'lost',
  'duplicated',
  'reordered',
  'brokenLinks',
  'partitions',
  'oneWayPartitions',
  'pauses',
  'clockSkews',
  'powerLosses',
  'powerLossesInCalls',
  'powerLossesInRecovery',
  'kills',
  'cleanStops',
  'restarts',
  'diskErrors',
  'failStops',
  'fullDisks',
  'slowDisks',
  'slowSockets',
  'bitFlips',
  'refusedStarts',
  'repairs',
  'reported',
] as const

export type CountName = (typeof NAMES)[number]
export type Counts = Record<CountName, number>

export function noCounts(): Counts {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as Counts
}

export function addCounts(sum: Counts, more: Counts): void {
  for (const name of NAMES) sum[name] += more[name]
}
