/** Writes a log of some length, as fast as it goes. */
import type { SendTemplate } from '../resilience/send-connection.ts'
import { sendLoad } from './send-load.ts'

const LOAD = { connections: 4, window: 256, warmupSeconds: 0, seconds: 1 }

/**
 * Sends until at least so many are acknowledged; returns how many.
 * @throws Error when nothing is acknowledged any more.
 */
export async function fill(
  address: string,
  templates: readonly SendTemplate[],
  count: number,
  onProgress: (acknowledged: number) => void,
): Promise<number> {
  let acknowledged = 0
  while (acknowledged < count) {
    const step = await sendLoad({ ...LOAD, address, templates })
    if (step.acknowledged === 0) throw new Error('nothing is acknowledged any more')
    acknowledged += step.acknowledged
    onProgress(acknowledged)
  }
  return acknowledged
}
