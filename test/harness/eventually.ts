/**
 * State of another process that nobody tells us about is asked for, again and again, until it is as
 * wanted; the limit only ends a test that has failed.
 */

const PAUSE_MS = 25

export interface Until {
  /** What was waited for, for the message of the error. */
  readonly what: string
  readonly limitMs?: number
}

/**
 * The first answer of `look` that is not undefined; an error of `look` counts as not yet.
 * @throws Error naming what was waited for and the last error.
 */
export function eventually<T>(
  look: () => Promise<T | undefined>,
  { what, limitMs = 30_000 }: Until,
): Promise<T> {
  const endMs = performance.now() + limitMs
  return new Promise((resolve, reject) => {
    const again = async (): Promise<void> => {
      let last: unknown
      const answer = await look().catch((error: unknown) => {
        last = error
        return undefined
      })
      if (answer !== undefined) resolve(answer)
      else if (performance.now() > endMs) {
        reject(new Error(`${what}: not after ${limitMs} ms`, { cause: last }))
      } else setTimeout(again, PAUSE_MS)
    }
    void again()
  })
}
