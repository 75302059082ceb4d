/** Majority arithmetic. Invariant: any two majorities share a member. */
import { assert } from '@ringledger/base'

/** How many of `memberCount` members are a majority. */
export function majorityOf(memberCount: number): number {
  return Math.floor(memberCount / 2) + 1
}

/**
 * The greatest value that a majority has reached. Sorts `values` in place, so that the caller can
 * keep one scratch array for the life of the group.
 */
export function majorityReached(values: Float64Array): number {
  assert(values.length > 0, 'a group has at least one member')
  values.sort()
  return values[values.length - majorityOf(values.length)] as number
}

/** Where an election stands. */
export const Tally = {
  /** A majority granted. */
  won: 'won',
  /** So many refused that no majority can grant any more. */
  lost: 'lost',
  /** Answers are missing. */
  open: 'open',
} as const
export type Tally = (typeof Tally)[keyof typeof Tally]

/** Counts the answers given so far by a group of `memberCount`. */
export function tally(granted: number, refused: number, memberCount: number): Tally {
  const needed = majorityOf(memberCount)
  if (granted >= needed) return Tally.won
  return memberCount - refused < needed ? Tally.lost : Tally.open
}
