/**
 * Hashes of index keys straight from a message's bytes: Java's hash of `topic#key`, continued from
 * the hash of `topic#`, which is kept per topic. Text outside ASCII is decoded, because Java hashes
 * UTF-16 units.
 */
import { javaHashCode, nonNegativeHash } from '@ringledger/protocol'

/** Java's hash of `topic#`. */
export function topicPrefixHash(topic: string): number {
  return javaHashCode(`${topic}#`)
}

/** Non-negative hash of the prefix and the key `bytes[start, end)`. */
export function keyHashOf(prefixHash: number, bytes: Buffer, start: number, end: number): number {
  let hash = prefixHash
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte >= 0x80) return keyHashOfText(prefixHash, bytes.toString('utf8', start, end))
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  return nonNegativeHash(hash)
}

function keyHashOfText(prefixHash: number, key: string): number {
  let hash = prefixHash
  for (let at = 0; at < key.length; at++) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0
  return nonNegativeHash(hash)
}
