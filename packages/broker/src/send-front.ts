/**
 * The core thread's fast path: plain sends to known topics go from the socket's bytes straight into
 * the log arena, and are answered when they have committed. Everything else is left to the broker
 * thread. Invariants: a queue's offsets are given out in log order; an answer leaves only after the
 * commit position has passed the message's end; nothing is allocated per message.
 */
import { assert, type Clock } from '@ringledger/base'
import { ClaimRefusal, type LogEnd } from '@ringledger/consensus'
import type { Connection } from '@ringledger/network'
import {
  ENTRY_HEADER_BYTES,
  encodeMessage,
  FRAME_HEADER_AT,
  frameHeaderBytes,
  MAX_PROPERTIES_BYTES,
  MessageParts,
  MessageSysFlag,
  messageSize,
  patchMessage,
  ResponseCode,
  SendHeader,
  SerializeType,
  scanSendHeader,
  TopicPerm,
  UNIQUE_ID_BYTES,
  type UniqueIds,
  unescapeJson,
} from '@ringledger/protocol'
import { PendingKind, type PendingSends } from './pending-sends.ts'
import { HANDING_OVER_REMARK, type SendAnswers } from './send-answers.ts'
import { type PropertyScan, scanPlainProperties } from './send-properties.ts'
import type { TopicSlot, TopicTable } from './topic-table.ts'

/** The log, as far as the one who orders writes needs it. */
export interface OrderedLog {
  /** Body offset in the arena's bytes, or a ClaimRefusal. */
  claim(bodyBytes: number): number
  readonly claimedPosition: number
  /** The claimed entry becomes the log's next one. */
  seal(): void
  /** The log's end now; `takeBack` forgets what was sealed since, within the same turn. */
  readonly end: LogEnd
  takeBack(end: LogEnd): void
  readonly endPosition: number
  readonly bytes: Buffer
  readonly view: DataView
}

export interface SendFrontOptions {
  log: OrderedLog
  topics: TopicTable
  pending: PendingSends
  answers: SendAnswers
  clock: Clock
  uniqueIds: UniqueIds
  storeHost: Buffer
  maxMessageSize: number
  brokerPermission: number
  /** MSG_REGION, TRACE_ON and CLUSTER as property bytes, each ended by 0x02. */
  brokerProperties: Buffer
}

/** What became of a frame. `FORWARD`: it is the broker thread's. */
export const Taken = { DONE: 0, FORWARD: 1 } as const
export type Taken = (typeof Taken)[keyof typeof Taken]

const ONE_WAY_FLAG = 2
const UNIQUE_KEY_NAME = Buffer.from('UNIQ_KEY\u0001')
const PROPERTY_END = 2

export class SendFront {
  readonly #options: SendFrontOptions
  readonly #header = new SendHeader()
  readonly #parts = new MessageParts()
  readonly #scan: PropertyScan = { uniqueKeyStart: -1, uniqueKeyBytes: 0, terminated: true }
  readonly #properties = Buffer.allocUnsafeSlow(MAX_PROPERTIES_BYTES + 1)
  /**
   * The broker's properties followed by a UNIQ_KEY whose value is written anew for each message.
   */
  readonly #withUniqueKey: Buffer
  readonly #uniqueKeyAt: number
  #serving = false
  #diskFull = false
  #nowMs = 0

  constructor(options: SendFrontOptions) {
    this.#options = options
    const { brokerProperties } = options
    this.#uniqueKeyAt = brokerProperties.length + UNIQUE_KEY_NAME.length
    this.#withUniqueKey = Buffer.concat([
      brokerProperties,
      UNIQUE_KEY_NAME,
      Buffer.alloc(UNIQUE_ID_BYTES),
      Buffer.from([PROPERTY_END]),
    ])
    this.#parts.storeHost = options.storeHost
  }

  get serving(): boolean {
    return this.#serving
  }

  /** Whether sends may be ordered here: leader, and the queue offsets are known. */
  setServing(serving: boolean): void {
    this.#serving = serving
  }

  get diskFull(): boolean {
    return this.#diskFull
  }

  setDiskFull(full: boolean): void {
    this.#diskFull = full
  }

  /** Once per loop turn: the store time of the turn's messages. Never goes back. */
  beginTurn(): void {
    this.#nowMs = Math.max(this.#nowMs, this.#options.clock.wallMs())
  }

  /** Takes one frame (length field at `start`) if it is a plain send. */
  take(connection: Connection, frame: Buffer, start: number, end: number): Taken {
    const header = this.#header
    if (frame[start + 4] !== SerializeType.JSON) return Taken.FORWARD
    const bodyStart = start + FRAME_HEADER_AT + frameHeaderBytes(frame, start)
    if (bodyStart > end) return Taken.FORWARD
    const headerStart = start + FRAME_HEADER_AT
    if (!scanSendHeader(frame, headerStart, bodyStart - headerStart, header)) return Taken.FORWARD
    if (end - bodyStart > this.#options.maxMessageSize) return Taken.FORWARD
    const topic = this.#options.topics.find(frame, header.topic.start, header.topic.end)
    if (topic === undefined || !this.#isPlain(topic)) return Taken.FORWARD
    if (!this.#serving) return Taken.FORWARD
    const propertiesBytes = unescapeJson(
      frame,
      header.properties.start,
      header.properties.end,
      this.#properties,
      0,
    )
    if (propertiesBytes < 0) return Taken.FORWARD
    if (!scanPlainProperties(this.#properties, 0, propertiesBytes, this.#scan)) {
      return Taken.FORWARD
    }
    this.#parts.body = frame
    this.#parts.bodyStart = bodyStart
    this.#parts.bodyEnd = end
    this.#fillParts(connection, topic, propertiesBytes)
    this.#order(connection, topic)
    return Taken.DONE
  }

  /**
   * Orders messages that the broker thread has encoded, back to back in `bytes`: all of them at consecutive offsets
   * of the queue, or none. Their answers go back by consecutive sequences. Returns a refusal or the end position.
   */
  orderEncoded(
    sequence: number,
    queueSlot: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): number {
    const { log, pending, topics } = this.#options
    const before = log.end
    const pendingBefore = pending.mark
    let taken = 0
    for (let at = start; at < end; taken++) {
      const sizeBytes = bytes.readInt32BE(at)
      assert(sizeBytes > 0 && at + sizeBytes <= end, 'messages lie back to back')
      const refusal = this.#orderOne(sequence + taken, queueSlot, bytes, at, at + sizeBytes)
      if (refusal < 0) {
        log.takeBack(before)
        pending.takeBack(pendingBefore)
        if (queueSlot >= 0) topics.giveBack(queueSlot, taken)
        return refusal
      }
      at += sizeBytes
    }
    return log.endPosition
  }

  #orderOne(
    sequence: number,
    queueSlot: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): number {
    const { log, pending, topics } = this.#options
    if (pending.full) return ClaimRefusal.BUSY
    const offset = log.claim(end - start)
    if (offset < 0) return offset
    bytes.copy(log.bytes, offset, start, end)
    const queueOffset = queueSlot < 0 ? 0 : topics.takeOffset(queueSlot)
    const physicalOffset = log.claimedPosition + ENTRY_HEADER_BYTES
    patchMessage(log.view, offset, queueOffset, physicalOffset, this.#nowMs)
    log.seal()
    const slot = pending.push(log.endPosition)
    pending.kind[slot] = PendingKind.BROKER
    pending.sequence[slot] = sequence
    pending.physicalOffset[slot] = physicalOffset
    pending.queueOffset[slot] = queueOffset
    pending.storeTimestampMs[slot] = this.#nowMs
    return log.endPosition
  }

  #isPlain(topic: TopicSlot): boolean {
    const header = this.#header
    return (
      topic.fast &&
      !header.batch &&
      header.reconsumeTimes === 0 &&
      (header.sysFlag & MessageSysFlag.TRANSACTION_MASK) === 0 &&
      (header.sysFlag & (MessageSysFlag.INNER_BATCH | MessageSysFlag.NEED_UNWRAP)) === 0 &&
      (topic.perm & this.#options.brokerPermission & TopicPerm.WRITE) !== 0 &&
      header.queueId < topic.queueCount
    )
  }

  #fillParts(connection: Connection, topic: TopicSlot, propertiesBytes: number): void {
    const header = this.#header
    const parts = this.#parts
    parts.topic = topic.bytes
    parts.topicEnd = topic.bytes.length
    parts.queueId =
      header.queueId >= 0 ? header.queueId : Math.floor(Math.random() * topic.writeQueueNums)
    parts.flag = header.messageFlag
    parts.sysFlag = header.sysFlag
    parts.bornTimestampMs = header.bornTimestampMs
    parts.bornHost = connection.remoteHost
    parts.reconsumeTimes = header.reconsumeTimes
    parts.properties = this.#properties
    parts.propertiesEnd = propertiesBytes
    if (this.#scan.uniqueKeyStart >= 0) {
      parts.brokerProperties = this.#options.brokerProperties
    } else {
      this.#options.uniqueIds.write(this.#withUniqueKey, this.#uniqueKeyAt, this.#nowMs)
      parts.brokerProperties = this.#withUniqueKey
    }
  }

  #order(connection: Connection, topic: TopicSlot): void {
    const { log, pending, topics, answers } = this.#options
    const header = this.#header
    const parts = this.#parts
    const oneWay = (header.flag & ONE_WAY_FLAG) !== 0
    if (this.#diskFull) {
      if (!oneWay) answers.refuse(connection, header.opaque, ResponseCode.SERVICE_NOT_AVAILABLE)
      return
    }
    if (parts.propertiesEnd + parts.brokerProperties.length >= MAX_PROPERTIES_BYTES) {
      if (!oneWay) answers.refuse(connection, header.opaque, ResponseCode.MESSAGE_ILLEGAL)
      return
    }
    const sizeBytes = messageSize(parts)
    const offset = pending.full ? ClaimRefusal.BUSY : log.claim(sizeBytes)
    if (offset < 0) {
      if (!oneWay) this.#refuse(connection, offset)
      return
    }
    const physicalOffset = log.claimedPosition + ENTRY_HEADER_BYTES
    parts.queueOffset = topics.takeOffset(topic.queueSlotBase + parts.queueId)
    parts.physicalOffset = physicalOffset
    parts.storeTimestampMs = this.#nowMs
    const written = encodeMessage(log.bytes, offset, parts)
    assert(written === sizeBytes, 'a message is as long as was claimed')
    log.seal()
    const slot = pending.push(log.endPosition)
    pending.kind[slot] = oneWay ? PendingKind.ONE_WAY : PendingKind.CLIENT
    pending.connectionId[slot] = connection.id
    pending.opaque[slot] = header.opaque
    pending.queueId[slot] = parts.queueId
    pending.queueOffset[slot] = parts.queueOffset
    pending.physicalOffset[slot] = physicalOffset
    this.#noteUniqueKey(slot, sizeBytes)
  }

  /** The properties end the message, so the key's place is known from its end. */
  #noteUniqueKey(slot: number, sizeBytes: number): void {
    const { pending } = this.#options
    const parts = this.#parts
    const scan = this.#scan
    const brokerBytes = parts.brokerProperties.length
    if (scan.uniqueKeyStart >= 0) {
      const separator = scan.terminated ? 0 : 1
      const propertiesAt = sizeBytes - brokerBytes - separator - parts.propertiesEnd
      pending.uniqueKeyStart[slot] = propertiesAt + scan.uniqueKeyStart
      pending.uniqueKeyBytes[slot] = scan.uniqueKeyBytes
    } else {
      pending.uniqueKeyStart[slot] = sizeBytes - brokerBytes + this.#uniqueKeyAt
      pending.uniqueKeyBytes[slot] = UNIQUE_ID_BYTES
    }
  }

  /** Client 4.9 retries on 14 but not on 2: a planned change of leader must not look like load. */
  #refuse(connection: Connection, refusal: number): void {
    const { answers } = this.#options
    const { opaque } = this.#header
    if (refusal === ClaimRefusal.HANDING_OVER) {
      const code = ResponseCode.SERVICE_NOT_AVAILABLE
      answers.refuse(connection, opaque, code, HANDING_OVER_REMARK)
    } else if (refusal === ClaimRefusal.TOO_LARGE) {
      answers.refuse(connection, opaque, ResponseCode.MESSAGE_ILLEGAL)
    } else {
      answers.refuse(connection, opaque, ResponseCode.SYSTEM_BUSY)
    }
  }
}
