/**
 * Members and their addresses, as DLedger's command line spells them: `n0-host:port;n1-host:port`.
 * Owns the convention that a member listens for clients 1000 ports above the one for its peers
 * unless it is told otherwise, so that one text says everything.
 */
import { LedgerError } from '@ringledger/base'

/** Distance of the default client port from the peer port. */
export const CLIENT_PORT_DISTANCE = 1000
export const DEFAULT_PEERS = 'n0-localhost:20911'

export interface MemberAddress {
  /** Empty for a client address without one. */
  readonly id: string
  readonly host: string
  readonly port: number
}

/** `host:port`, an IPv6 host in brackets. */
export function addressText({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `n0-host:port;…`; the id ends at the first `-`. @throws LedgerError BAD_CONFIG */
export function parsePeers(text: string, option: string): MemberAddress[] {
  const members = parts(text, option).map((part) => {
    const match = /^([A-Za-z0-9_]+)-(.+)$/.exec(part)
    if (match === null) {
      throw new LedgerError(
        'BAD_CONFIG',
        `${option}: '${part}' is not id-host:port (n0-localhost:20911)`,
      )
    }
    return { id: match[1]!, ...parseAddress(match[2]!, option) }
  })
  refuseTwice(members, option)
  return members
}

/**
 * As {@link parsePeers}, and plain `host:port` where the host has no `-` in it.
 * @throws LedgerError BAD_CONFIG
 */
export function parseClients(text: string, option: string): MemberAddress[] {
  const members = parts(text, option).flatMap((part) => {
    if (part.includes('-')) return parsePeers(part, option)
    return [{ id: '', ...parseAddress(part, option) }]
  })
  refuseTwice(members, option)
  return members
}

/** Where clients reach these members when nothing else is said. @throws LedgerError BAD_CONFIG */
export function clientsOfPeers(peers: readonly MemberAddress[]): MemberAddress[] {
  return peers.map(({ id, host, port }) => {
    const clientPort = port + CLIENT_PORT_DISTANCE
    if (clientPort > 65_535) {
      const why = `${id}: its client port would be ${clientPort}`
      throw new LedgerError('BAD_CONFIG', `${why}; say where with --clients ${id}-${host}:port`)
    }
    return { id, host, port: clientPort }
  })
}

function parts(text: string, option: string): string[] {
  const found = text
    .split(/[;,]/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
  if (found.length === 0) throw new LedgerError('BAD_CONFIG', `${option} is empty`)
  return found
}

function parseAddress(text: string, option: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    throw new LedgerError('BAD_CONFIG', `${option}: '${text}' is not host:port`)
  }
  return { host: (match[1] ?? match[2])!, port }
}

function refuseTwice(members: readonly MemberAddress[], option: string): void {
  const ids = members.map(({ id }) => id).filter((id) => id !== '')
  const twice = ids.find((id, at) => ids.indexOf(id) !== at)
  if (twice !== undefined) throw new LedgerError('BAD_CONFIG', `${option} names ${twice} twice`)
}
