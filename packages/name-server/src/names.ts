/**
 * Which names and addresses a registration may bring into the tables. Owns the rule that text from
 * the network is bounded and free of control characters before it is kept, logged or sent on.
 */

const MAX_NAME_LENGTH = 255
const MAX_ADDRESS_LENGTH = 255
/**
 * Letters, digits and `%|_-` as RocketMQ allows in topics; dots and colons as some brokers use
 * them.
 */
const TOPIC = /^[%|a-zA-Z0-9_.:-]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

/** True for a topic name that a route table may hold. */
export function isTopicName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && TOPIC.test(name)
}

/** True for the name of a broker, cluster, zone or KV namespace. */
export function isPlainName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && !UNPRINTABLE.test(name)
}

/** True for `host:port` with a usable port; IPv6 hosts come in brackets or bare. */
export function isAddress(address: string): boolean {
  if (address.length > MAX_ADDRESS_LENGTH || /\s/.test(address) || UNPRINTABLE.test(address)) {
    return false
  }
  const match = /^(.+):(\d{1,5})$/.exec(address)
  if (match === null) return false
  const port = Number(match[2])
  return port > 0 && port < 65_536
}
