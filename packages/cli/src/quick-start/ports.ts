/** Is a port free, and if not, who has it? */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename } from 'node:path'

const LISTEN_STATE = '0A'
const MAX_COMMAND = 100

/** True when `host:port` can be listened on now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false)
      else reject(error)
    })
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/**
 * `pid 4711 (java -cp …)` as far as /proc tells; undefined when it does not. The DLedger ports lie
 * among those that Linux gives to outgoing connections, so the holder may be no server at all.
 */
export function portHolder(port: number): string | undefined {
  const sockets = socketsOn(port)
  const listening = processOf(sockets.listening)
  if (listening !== undefined) return listening
  const calling = processOf(sockets.connected)
  return calling === undefined
    ? undefined
    : `an outgoing connection of ${calling}; it may be free again in a moment`
}

interface Sockets {
  readonly listening: Set<string>
  readonly connected: Set<string>
}

/** Inodes of the sockets whose local port this is. */
function socketsOn(port: number): Sockets {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const sockets: Sockets = { listening: new Set(), connected: new Set() }
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readLines(table)) {
      const fields = line.trim().split(/\s+/)
      if (!fields[1]?.endsWith(`:${wanted}`) || fields[9] === undefined) continue
      sockets[fields[3] === LISTEN_STATE ? 'listening' : 'connected'].add(fields[9])
    }
  }
  return sockets
}

function processOf(inodes: ReadonlySet<string>): string | undefined {
  if (inodes.size === 0) return undefined
  for (const pid of numericEntries('/proc')) {
    for (const descriptor of numericEntries(`/proc/${pid}/fd`)) {
      const inode = socketInode(`/proc/${pid}/fd/${descriptor}`)
      if (inode !== undefined && inodes.has(inode)) return `pid ${pid} (${commandLine(pid)})`
    }
  }
  return undefined
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch {
    return []
  }
}

function numericEntries(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
}

function socketInode(path: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1]
  } catch {
    return undefined
  }
}

/** Arguments as they were given, the program and its script without their directories. */
function commandLine(pid: string): string {
  const [program = '', script = '', ...rest] = readLines(`/proc/${pid}/cmdline`)
    .join(' ')
    .split('\0')
  const text = [basename(program), basename(script), ...rest].join(' ').trim()
  return text.length > MAX_COMMAND ? `${text.slice(0, MAX_COMMAND - 3)}...` : text || 'unknown'
}
