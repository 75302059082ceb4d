/**
 * Inner batches of 5.x (topics with queue.type=BatchCQ, rocketmq-store.md §1.7): one stored message
 * whose body is the elements of a batch, which clients unwrap. Owns the rule how many offsets of
 * its queue such a message takes: as many as it has elements. The body has a checksum, the property
 * INNER_NUM has none, so the body decides.
 */
import { countBatchElements } from './batch.ts'
import { msgBodyRange, msgPropertiesRange, msgSysFlag } from './decode.ts'
import { PropertyName, parseProperties } from './properties.ts'
import { MessageSysFlag } from './sys-flag.ts'

/** Apache keeps the count in 16 bits. */
export const MAX_INNER_BATCH = 32_767

/** The number that INNER_NUM says; -1 when it is none. */
export function innerNumOf(text: string): number {
  return /^[1-9]\d{0,4}$/.test(text) ? Number(text) : -1
}

/**
 * Queue offsets of the inner batch with this body; 1 when that is no batch. `innerNum`, the value
 * of its property, only counts where the body cannot be looked into.
 */
export function innerBatchOffsets(
  sysFlag: number,
  bytes: Buffer,
  bodyStart: number,
  bodyEnd: number,
  innerNum: string,
): number {
  const isCompressed = (sysFlag & MessageSysFlag.COMPRESSED) !== 0
  const count = isCompressed ? innerNumOf(innerNum) : countBatchElements(bytes, bodyStart, bodyEnd)
  return count > 0 && count <= MAX_INNER_BATCH ? count : 1
}

/** Queue offsets of the checked message that starts at `start`: 1 but for an inner batch. */
export function msgQueueOffsets(bytes: Buffer, start: number): number {
  const sysFlag = msgSysFlag(bytes, start)
  if ((sysFlag & MessageSysFlag.INNER_BATCH) === 0) return 1
  const body = msgBodyRange(bytes, start)
  const properties = msgPropertiesRange(bytes, start)
  const text = bytes.toString('utf8', properties.start, properties.end)
  const innerNum = parseProperties(text).get(PropertyName.INNER_NUM) ?? ''
  return innerBatchOffsets(sysFlag, bytes, body.start, body.end, innerNum)
}
