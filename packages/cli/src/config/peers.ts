/**
 * `dLegerPeers`: `n0-host:port;n1-host:port;…`. The id ends at the first `-`, so hosts may hold
 * more of them.
 */
import type { PeerAddress } from '@ringledger/broker'
import { checkNodeId, formatHostPort, parseHostPort, splitList } from './value-checks.ts'

const EXAMPLE = 'n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-10.0.0.3:40911'

/** The members, or why the text is not a member list. */
export function parsePeers(text: string): PeerAddress[] | string {
  const peers: PeerAddress[] = []
  const places = new Map<string, string>()
  for (const part of splitList(text)) {
    const dash = part.indexOf('-')
    if (dash < 0) return `"${part}" has no id; write ${EXAMPLE}`
    const id = part.slice(0, dash)
    const idProblem = checkNodeId(id)
    if (idProblem !== undefined) return `in "${part}": ${idProblem}`
    if (peers.some((peer) => peer.id === id)) return `id ${id} stands twice`
    const address = parseHostPort(part.slice(dash + 1))
    if (typeof address === 'string') return `in "${part}": ${address}`
    const place = formatHostPort(address)
    const holder = places.get(place)
    if (holder !== undefined) return `${holder} and ${id} have the same address ${place}`
    places.set(place, id)
    peers.push({ id, ...address })
  }
  return peers.length === 0 ? `names no member; write ${EXAMPLE}` : peers
}

export function formatPeers(peers: readonly PeerAddress[]): string {
  return peers.map((peer) => `${peer.id}-${formatHostPort(peer)}`).join(';')
}

export function checkPeers(text: string): string | undefined {
  const peers = parsePeers(text)
  return typeof peers === 'string' ? peers : undefined
}
