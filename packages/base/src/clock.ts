/** Time, passed in so that tests and the simulator own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. For time stamps. */
  wallMs(): number
  /** Milliseconds that never go back. For durations and deadlines. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}
