/**
 * Host fields of a message: 4 (IPv4) or 16 (IPv6) address bytes, then the port as int32,
 * big-endian.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { LedgerError } from '@ringledger/base'

export const HOST_V4_BYTES = 8
export const HOST_V6_BYTES = 20

const V4_IN_V6 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

function ipv6Groups(address: string): number[] {
  const [head = '', tail] = address.split('::')
  const groupsOf = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const left = groupsOf(head)
  if (tail === undefined) return left
  const right = groupsOf(tail)
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
}

function withoutDottedTail(address: string): string {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  if (dotted === null) return address
  const [a, b, c, d] = dotted.slice(2).map(Number) as [number, number, number, number]
  return `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

/**
 * Host bytes of an address and port; an IPv4 address mapped into IPv6 counts as IPv4.
 * Throws `BAD_REQUEST` when `address` is not an IP address.
 */
export function encodeHost(address: string, port: number): Buffer {
  const plain = V4_IN_V6.exec(address)?.[1] ?? address.replace(/%.*$/, '')
  if (isIPv4(plain)) {
    const host = Buffer.alloc(HOST_V4_BYTES)
    plain.split('.').forEach((part, at) => {
      host[at] = Number(part)
    })
    host.writeInt32BE(port, 4)
    return host
  }
  if (!isIPv6(plain)) throw new LedgerError('BAD_REQUEST', `${address} is not an IP address`)
  const host = Buffer.alloc(HOST_V6_BYTES)
  ipv6Groups(withoutDottedTail(plain)).forEach((group, at) => {
    host.writeUInt16BE(group, at * 2)
  })
  host.writeInt32BE(port, 16)
  return host
}

/** The address of host bytes as text. */
export function hostAddress(host: Buffer): string {
  if (host.length === HOST_V4_BYTES) return host.subarray(0, 4).join('.')
  const groups = Array.from({ length: 8 }, (_, at) => host.readUInt16BE(at * 2).toString(16))
  return groups.join(':')
}

export function hostPort(host: Buffer): number {
  return host.readInt32BE(host.length - 4)
}

/** `address:port`, an IPv6 address in brackets. */
export function hostText(host: Buffer): string {
  const address = hostAddress(host)
  return host.length === HOST_V4_BYTES
    ? `${address}:${hostPort(host)}`
    : `[${address}]:${hostPort(host)}`
}
