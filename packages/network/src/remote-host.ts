/**
 * The address of a peer as RocketMQ stores it in messages. Owns the byte form: address, then Int32
 * port, big-endian.
 */
import { isIPv6 } from 'node:net'

const MAPPED_PREFIX = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i

/**
 * Four bytes of IPv4 (also of an IPv4 address mapped into IPv6) or 16 of IPv6, then the port as
 * Int32.
 */
export function hostBytes(address: string, port: number): Buffer {
  const plain = address.replace(MAPPED_PREFIX, '')
  const host = isIPv6(plain) ? ipv6Bytes(plain) : ipv4Bytes(plain)
  const bytes = Buffer.allocUnsafeSlow(host.length + 4)
  host.copy(bytes)
  bytes.writeInt32BE(port, host.length)
  return bytes
}

/** `address:port`, with brackets around IPv6 and IPv4 without its IPv6 prefix. */
export function hostText(address: string, port: number): string {
  const plain = address.replace(MAPPED_PREFIX, '')
  return isIPv6(plain) ? `[${plain}]:${port}` : `${plain}:${port}`
}

function ipv4Bytes(address: string): Buffer {
  const bytes = Buffer.alloc(4)
  const parts = address.split('.')
  if (parts.length === 4) bytes.set(parts.map(Number))
  return bytes
}

function ipv6Bytes(address: string): Buffer {
  const withoutZone = address.split('%')[0]!
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(withoutZone)
  const text = dotted
    ? `${dotted[1]}${hex(dotted[2]!, dotted[3]!)}:${hex(dotted[4]!, dotted[5]!)}`
    : withoutZone
  const [head = '', tail] = text.split('::')
  const headGroups = head === '' ? [] : head.split(':')
  const tailGroups = tail === undefined || tail === '' ? [] : tail.split(':')
  const bytes = Buffer.alloc(16)
  headGroups.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  })
  tailGroups.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), (8 - tailGroups.length + index) * 2)
  })
  return bytes
}

function hex(high: string, low: string): string {
  return ((Number(high) << 8) | Number(low)).toString(16)
}
