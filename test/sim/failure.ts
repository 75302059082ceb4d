/** A broken promise, found by a checker of the simulation. */
export class SimFailure extends Error {
  override readonly name = 'SimFailure'
}

/** As `assert`, for what the simulation demands of the code under test. */
export function ensure(condition: boolean, promise: string): asserts condition {
  if (!condition) throw new SimFailure(promise)
}

export function fail(promise: string): never {
  throw new SimFailure(promise)
}
