/** Ports for tests that run beside each other. */
import { createServer } from 'node:net'

/**
 * Low enough that the quick start's ports stay below 32768, where Linux begins to take local ports
 * of outgoing connections from: such a connection could have the port before its server has.
 */
const LOWEST = 1_100
const HIGHEST = 1_700

/** Offsets of the quick start's ports from its base port (fast-try.sh --help). */
export const QUICK_START_OFFSETS: readonly number[] = [
  0, 21_035, 21_045, 21_055, 31_035, 31_036, 31_037,
]

/** A base port for which every `base + offset` is free now. */
export async function freeBasePort(offsets: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const base = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    const free = await Promise.all(offsets.map((offset) => isFree(base + offset)))
    if (free.every(Boolean)) return base
  }
  throw new Error('no free ports found')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
