/** A broken invariant of our own code. Never caught to carry on: the thread that threw stops. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** Stops the caller when `condition` does not hold. Stays on in production. */
export function assert(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new InvariantError(reason)
}

/** For the `default` of a switch over a closed set: does not compile while a case is missing. */
export function unreachable(value: never, reason = 'unexpected value'): never {
  throw new InvariantError(`${reason}: ${String(value)}`)
}
