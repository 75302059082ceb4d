/** Binds a server to its port. Owns the words an operator reads when that fails. */
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { LedgerError } from '@ringledger/base'

export interface ListenAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Lets several threads share the port, each with its own queue of connections (Linux). */
  readonly reusePort?: boolean
}

const BACKLOG = 1024

/** How long a port that only an outgoing connection has is waited for, and how often tried. */
const PASSING_LIMIT_MS = 5_000
const PASSING_RETRY_MS = 100

/**
 * Resolves with the bound port. A port above 32767 may be taken by some outgoing connection of this
 * machine; that one is waited for, a listener is not.
 * @throws LedgerError PORT_BUSY when another process listens there, BAD_CONFIG when the address
 * cannot be used.
 */
export async function listenOn(server: Server, address: ListenAddress): Promise<number> {
  const endMs = performance.now() + PASSING_LIMIT_MS
  for (;;) {
    const error = await tryListen(server, address)
    if (error === undefined) return (server.address() as AddressInfo).port
    const mayPass = error.code === 'EADDRINUSE' && performance.now() < endMs
    if (!mayPass || (await isAnswered(address))) throw explain(error, address)
    await new Promise((resolve) => setTimeout(resolve, PASSING_RETRY_MS))
  }
}

function tryListen(
  server: Server,
  { host, port, reusePort = false }: ListenAddress,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(error)
    server.once('error', onError)
    server.listen({ host, port, reusePort, backlog: BACKLOG }, () => {
      server.off('error', onError)
      resolve(undefined)
    })
  })
}

/** Whether somebody listens there (and not only talks from there). */
function isAnswered({ host, port }: ListenAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const target = host === '0.0.0.0' || host === '::' ? 'localhost' : host
    const socket = connect({ host: target, port }, () => {
      // Dialling a port that nobody listens on can end up at its own source port.
      resolve(socket.localPort !== port)
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
  })
}

/**
 * Whether a listener could have this port alone: those with `reusePort` would share it with a
 * stranger who does the same, and clients would talk to either. Resolves with the port, for port 0
 * one that is free now.
 * @throws as {@link listenOn}.
 */
export async function probePort(address: ListenAddress): Promise<number> {
  const server = createServer()
  const port = await listenOn(server, { ...address, reusePort: false })
  await new Promise((resolve) => server.close(resolve))
  return port
}

function explain(error: NodeJS.ErrnoException, { host, port }: ListenAddress): Error {
  const cause = { cause: error }
  switch (error.code) {
    case 'EADDRINUSE':
      return new LedgerError(
        'PORT_BUSY',
        `port ${port} on ${host} is in use by another process; stop that one (find it with: ss -ltnp 'sport = :${port}') or set another port`,
        cause,
      )
    case 'EACCES':
      return new LedgerError(
        'BAD_CONFIG',
        `no right to listen on port ${port} of ${host}; use a port from 1024 up`,
        cause,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new LedgerError(
        'BAD_CONFIG',
        `${host} is not an address of this machine; check the configured host`,
        cause,
      )
    case 'ENOTSUP':
      return new LedgerError(
        'BAD_CONFIG',
        `this system does not let several threads share port ${port}; use one network thread`,
        cause,
      )
    default:
      return error
  }
}
