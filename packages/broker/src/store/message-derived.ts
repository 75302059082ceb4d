/**
 * What queues and key index keep of a scanned message: the hashes of its keys, and the unit's tags
 * code where that is not the hash of a tag. Owns no state.
 */
import { javaHashCodeOfUtf8 } from '@ringledger/protocol'
import { keyHashOf } from './key-hash.ts'
import type { MessageScan } from './message-scan.ts'

/**
 * Keys of one message that are indexed; its properties have room for more, but no one needs them.
 */
export const MAX_KEYS = 1024
const KEY_SEPARATOR = 0x20
const UNKNOWN_LEVEL_DELAY_MS = 1000

/** Fills `hashes` with those of UNIQ_KEY and of each of KEYS; returns how many. */
export function hashKeys(
  bytes: Buffer,
  message: MessageScan,
  prefixHash: number,
  hashes: Int32Array,
): number {
  const { uniqKeyStart, uniqKeyEnd, keysStart, keysEnd } = message
  let count = 0
  if (uniqKeyEnd > uniqKeyStart) {
    hashes[count++] = keyHashOf(prefixHash, bytes, uniqKeyStart, uniqKeyEnd)
  }
  let start = keysStart
  while (start < keysEnd && count < MAX_KEYS) {
    let end = start
    while (end < keysEnd && bytes[end] !== KEY_SEPARATOR) end++
    if (end > start) hashes[count++] = keyHashOf(prefixHash, bytes, start, end)
    start = end + 1
  }
  return count
}

/**
 * Of a message in the schedule topic: when it is due, in ms. A level below 1 means that it is not
 * delayed.
 */
export function scheduleTagsCode(
  bytes: Buffer,
  message: MessageScan,
  delayLevelsMs: readonly number[],
): number {
  const { delayStart, delayEnd, storeTimestampMs, tagsStart, tagsEnd } = message
  const level = Number(bytes.toString('latin1', delayStart, delayEnd))
  if (!(level > 0)) return javaHashCodeOfUtf8(bytes, tagsStart, tagsEnd)
  const delayMs = delayLevelsMs[Math.min(level, delayLevelsMs.length) - 1] ?? UNKNOWN_LEVEL_DELAY_MS
  return storeTimestampMs + delayMs
}
