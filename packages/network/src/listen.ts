/** Binds a server to its port. Owns the words an operator reads when that fails. */
import { type AddressInfo, createServer, type Server } from 'node:net'
import { LedgerError } from '@ringledger/base'

export interface ListenAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Lets several threads share the port, each with its own queue of connections (Linux). */
  readonly reusePort?: boolean
}

const BACKLOG = 1024

/**
 * Resolves with the bound port.
 * @throws LedgerError PORT_BUSY when another process listens there, BAD_CONFIG when the address
 * cannot be used.
 */
export function listenOn(server: Server, address: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(explain(error, address))
    server.once('error', onError)
    const { host, port, reusePort = false } = address
    server.listen({ host, port, reusePort, backlog: BACKLOG }, () => {
      server.off('error', onError)
      resolve((server.address() as AddressInfo).port)
    })
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
