/**
 * Picks out of a stored message, in one pass and without allocating, what dispatch needs. Owns the
 * check that the message's lengths add up and that it stands where it says; the fields are only
 * valid after `scan` returned 'ok'.
 */
import {
  bodyLengthAt,
  getInt64,
  MESSAGE_MAGIC_V1,
  MESSAGE_MAGIC_V2,
  MIN_MESSAGE_BYTES,
  PHYSICAL_OFFSET_AT,
  preparedTransactionOffsetAt,
  QUEUE_ID_AT,
  QUEUE_OFFSET_AT,
  SYS_FLAG_AT,
  storeTimestampAt,
} from '@ringledger/protocol'

export type ScanResult = 'ok' | 'size' | 'magic' | 'lengths' | 'position'

const NAME_END = 1
const VALUE_END = 2
const NAMES: Record<
  'tags' | 'keys' | 'uniqKey' | 'delay' | 'innerNum' | 'multiDispatch' | 'multiOffset',
  Buffer
> = {
  tags: Buffer.from('TAGS'),
  keys: Buffer.from('KEYS'),
  uniqKey: Buffer.from('UNIQ_KEY'),
  delay: Buffer.from('DELAY'),
  innerNum: Buffer.from('INNER_NUM'),
  multiDispatch: Buffer.from('INNER_MULTI_DISPATCH'),
  multiOffset: Buffer.from('INNER_MULTI_QUEUE_OFFSET'),
}

export class MessageScan {
  sizeBytes = 0
  queueId = 0
  queueOffset = 0
  physicalOffset = 0
  sysFlag = 0
  storeTimestampMs = 0
  preparedTransactionOffset = 0
  bodyStart = 0
  bodyEnd = 0
  topicStart = 0
  topicEnd = 0
  /** Value ranges; start = end when the property is not there. */
  tagsStart = 0
  tagsEnd = 0
  keysStart = 0
  keysEnd = 0
  uniqKeyStart = 0
  uniqKeyEnd = 0
  delayStart = 0
  delayEnd = 0
  innerNumStart = 0
  innerNumEnd = 0
  multiDispatchStart = 0
  multiDispatchEnd = 0
  multiOffsetStart = 0
  multiOffsetEnd = 0

  /** Reads the message of `sizeBytes` at `offset`, which must be at `physicalOffset` of the log. */
  scan(
    bytes: Buffer,
    view: DataView,
    offset: number,
    sizeBytes: number,
    physicalOffset: number,
  ): ScanResult {
    if (sizeBytes < MIN_MESSAGE_BYTES || view.getInt32(offset) !== sizeBytes) return 'size'
    const magic = view.getInt32(offset + 4)
    if (magic !== MESSAGE_MAGIC_V1 && magic !== MESSAGE_MAGIC_V2) return 'magic'
    const sysFlag = view.getInt32(offset + SYS_FLAG_AT)
    const end = offset + sizeBytes
    const bodyAt = offset + bodyLengthAt(sysFlag) + 4
    if (bodyAt + 3 > end) return 'lengths'
    const bodyEnd = bodyAt + view.getInt32(bodyAt - 4)
    if (bodyEnd < bodyAt || bodyEnd + 3 > end) return 'lengths'
    const isV2 = magic === MESSAGE_MAGIC_V2
    const topicStart = bodyEnd + (isV2 ? 2 : 1)
    const topicEnd = topicStart + (isV2 ? view.getInt16(bodyEnd) : view.getInt8(bodyEnd))
    if (topicEnd < topicStart || topicEnd + 2 > end) return 'lengths'
    const propertiesBytes = view.getInt16(topicEnd)
    if (propertiesBytes < 0 || topicEnd + 2 + propertiesBytes !== end) return 'lengths'
    this.physicalOffset = getInt64(view, offset + PHYSICAL_OFFSET_AT)
    if (this.physicalOffset !== physicalOffset) return 'position'
    this.sizeBytes = sizeBytes
    this.sysFlag = sysFlag
    this.queueId = view.getInt32(offset + QUEUE_ID_AT)
    this.queueOffset = getInt64(view, offset + QUEUE_OFFSET_AT)
    this.storeTimestampMs = getInt64(view, offset + storeTimestampAt(sysFlag))
    this.preparedTransactionOffset = getInt64(view, offset + preparedTransactionOffsetAt(sysFlag))
    this.bodyStart = bodyAt
    this.bodyEnd = bodyEnd
    this.topicStart = topicStart
    this.topicEnd = topicEnd
    this.#scanProperties(bytes, topicEnd + 2, end)
    return 'ok'
  }

  #scanProperties(bytes: Buffer, start: number, end: number): void {
    this.tagsEnd = this.tagsStart = 0
    this.keysEnd = this.keysStart = 0
    this.uniqKeyEnd = this.uniqKeyStart = 0
    this.delayEnd = this.delayStart = 0
    this.innerNumEnd = this.innerNumStart = 0
    this.multiDispatchEnd = this.multiDispatchStart = 0
    this.multiOffsetEnd = this.multiOffsetStart = 0
    let nameStart = start
    while (nameStart < end) {
      let nameEnd = nameStart
      while (nameEnd < end && bytes[nameEnd]! > VALUE_END) nameEnd++
      let valueEnd = nameEnd
      while (valueEnd < end && bytes[valueEnd] !== VALUE_END) valueEnd++
      if (bytes[nameEnd] === NAME_END && valueEnd > nameEnd + 1) {
        this.#take(bytes, nameStart, nameEnd, valueEnd)
      }
      nameStart = valueEnd + 1
    }
  }

  #take(bytes: Buffer, nameStart: number, nameEnd: number, valueEnd: number): void {
    switch (nameEnd - nameStart) {
      case 4:
        if (startsWith(bytes, nameStart, NAMES.tags)) {
          this.tagsStart = nameEnd + 1
          this.tagsEnd = valueEnd
        } else if (startsWith(bytes, nameStart, NAMES.keys)) {
          this.keysStart = nameEnd + 1
          this.keysEnd = valueEnd
        }
        break
      case 5:
        if (startsWith(bytes, nameStart, NAMES.delay)) {
          this.delayStart = nameEnd + 1
          this.delayEnd = valueEnd
        }
        break
      case 8:
        if (startsWith(bytes, nameStart, NAMES.uniqKey)) {
          this.uniqKeyStart = nameEnd + 1
          this.uniqKeyEnd = valueEnd
        }
        break
      case 9:
        if (startsWith(bytes, nameStart, NAMES.innerNum)) {
          this.innerNumStart = nameEnd + 1
          this.innerNumEnd = valueEnd
        }
        break
      case 20:
        if (startsWith(bytes, nameStart, NAMES.multiDispatch)) {
          this.multiDispatchStart = nameEnd + 1
          this.multiDispatchEnd = valueEnd
        }
        break
      case 24:
        if (startsWith(bytes, nameStart, NAMES.multiOffset)) {
          this.multiOffsetStart = nameEnd + 1
          this.multiOffsetEnd = valueEnd
        }
        break
    }
  }
}

function startsWith(bytes: Buffer, start: number, name: Buffer): boolean {
  for (let at = 0; at < name.length; at++) if (bytes[start + at] !== name[at]) return false
  return true
}
