/** A source of numbers in [0, 1). */
export type Random = () => number

/** A small seeded generator (mulberry32): the same seed gives the same run on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A whole number in [low, high). */
export function randomBetween(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low))
}
