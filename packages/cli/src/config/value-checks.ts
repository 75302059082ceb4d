/**
 * Checks of values that are more than a number or a word; each returns why the text is wrong, or
 * nothing.
 */
import { isIP } from 'node:net'

export interface HostPort {
  readonly host: string
  readonly port: number
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/

/** `host:port`, where an IPv6 address stands in brackets. */
export function parseHostPort(text: string): HostPort | string {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text)
  if (match === null) {
    const ipv6 = text.split(':').length > 2
    return ipv6
      ? `"${text}": an IPv6 address needs brackets, [fd00::1]:10911`
      : `"${text}" is not host:port`
  }
  const host = match[1] ?? match[2]!
  const valid = match[1] === undefined ? isIP(host) === 4 || HOST_NAME.test(host) : isIP(host) === 6
  if (!valid || looksLikeBrokenIpv4(host)) return `"${host}" is not a host name or address`
  const port = Number(match[3])
  return port >= 1 && port <= 65535 ? { host, port } : `port ${port} is not within 1 to 65535`
}

function looksLikeBrokenIpv4(host: string): boolean {
  return /^[\d.]+$/.test(host) && isIP(host) !== 4
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export function splitList(text: string): string[] {
  return text
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** `host:port;host:port`. */
export function checkAddressList(text: string): string | undefined {
  return splitList(text)
    .map(parseHostPort)
    .find((result) => typeof result === 'string')
}

/** An address that clients can connect to. */
export function checkAdvertised(text: string): string | undefined {
  if (isIP(text) !== 4) return 'must be an IPv4 address; clients get it from the name server'
  return text === '0.0.0.0' ? 'must be an address that clients can reach, not 0.0.0.0' : undefined
}

export function checkBindAddress(text: string): string | undefined {
  return isIP(text) === 0 ? 'must be an IP address of this machine, or 0.0.0.0 for all' : undefined
}

/** Names of brokers, clusters and groups go into topic names, file names and tables. */
export function checkName(text: string): string | undefined {
  if (!/^[%|a-zA-Z0-9_.-]+$/.test(text)) return 'may hold letters, digits and _ - . % | only'
  return text.length > 127 ? 'may be 127 letters long at most' : undefined
}

/** Delay levels, `1s 5s 10m 2h 1d`. */
export function checkDelayLevels(text: string): string | undefined {
  const bad = text.split(/\s+/).find((level) => !/^[1-9]\d{0,8}[smhd]$/.test(level))
  return bad === undefined ? undefined : `"${bad}" is not a delay such as 10s, 5m, 2h or 1d`
}

export function checkNodeId(text: string): string | undefined {
  return /^[A-Za-z](0|[1-9]\d{0,4})$/.test(text)
    ? undefined
    : `"${text}" is not a letter and a number, such as n0 (RocketMQ takes the broker id from it)`
}
