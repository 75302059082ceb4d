/** Binds a server to its port. Owns the words an operator reads when that fails. */
import type { AddressInfo, Server } from 'node:net'
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
    default:
      return error
  }
}
