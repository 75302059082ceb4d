/** Ports for tests that run beside each other. */
import { createServer } from 'node:net'

const LOWEST = 1_100
/**
 * All ports stay below this one, where Linux begins to take local ports of outgoing connections
 * from: such a connection could have the port before its server has. Apart from that the range is
 * as wide as can be: a port is free for others while its server is down.
 */
const FIRST_LOCAL_PORT = 32_768
/** Of a name server and a broker that somebody may run here. */
const COMMON_PORTS: readonly number[] = [9_876, 10_909, 10_911, 10_912, 30_911]

/** Offsets of the quick start's ports from its base port (fast-try.sh --help). */
export const QUICK_START_OFFSETS: readonly number[] = [
  0, 21_035, 21_045, 21_055, 31_035, 31_036, 31_037,
]

/** A base port for which every `base + offset` is free now. */
export async function freeBasePort(offsets: readonly number[]): Promise<number> {
  const above = FIRST_LOCAL_PORT - Math.max(...offsets)
  for (let attempt = 0; attempt < 100; attempt++) {
    const base = LOWEST + Math.floor(Math.random() * (above - LOWEST))
    if (offsets.some((offset) => COMMON_PORTS.includes(base + offset))) continue
    const free = await Promise.all(offsets.map((offset) => isFree(base + offset)))
    if (free.every(Boolean)) return base
  }
  throw new Error('no free ports found')
}

/** So many ports, one after another, that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const offsets = Array.from({ length: count }, (_, at) => at)
  const base = await freeBasePort(offsets)
  return offsets.map((offset) => base + offset)
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
