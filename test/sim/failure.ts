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

/** What the shipped code calls an error must be one that was put there. */
export function judgeLine(name: string, level: string, line: string, rots: boolean): void {
  if (level !== 'error' || rots || line.startsWith('the disk is full')) return
  const unread = line.startsWith('cannot read the log')
  ensure(unread && /injected|do not hold/.test(line), `${name} says: ${line}`)
}
