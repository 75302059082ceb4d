/**
 * Reads plain sends to known topics from the socket's bytes and hands them on to be ordered; leaves
 * everything else to the broker thread. Runs where the sockets are. Invariants: what it takes needs
 * nothing but a place in the log; nothing is allocated per message.
 */
import type { Connection } from '@ringledger/network'
import {
  FRAME_HEADER_AT,
  frameHeaderBytes,
  MAX_PROPERTIES_BYTES,
  MessageSysFlag,
  messageSize,
  SendHeader,
  SerializeType,
  scanSendHeader,
  TopicPerm,
  UNIQUE_ID_BYTES,
  type UniqueIds,
  unescapeJson,
} from '@ringledger/protocol'
import { type PropertyScan, scanPlainProperties } from './send-properties.ts'
import { SendRefusal, type SendResponder } from './send-responder.ts'
import { PlainSend, type SubmitPort, Taken } from './submit-port.ts'
import type { TopicSlot, TopicTable } from './topic-table.ts'

export interface SendFrontOptions {
  port: SubmitPort
  topics: TopicTable
  responder: SendResponder
  uniqueIds: UniqueIds
  storeHost: Buffer
  maxMessageSize: number
  brokerPermission: number
  /** MSG_REGION, TRACE_ON and CLUSTER as property bytes, each ended by 0x02. */
  brokerProperties: Buffer
}

const ONE_WAY_FLAG = 2
const UNIQUE_KEY_NAME = Buffer.from('UNIQ_KEY\u0001')
const PROPERTY_END = 2

export class SendFront {
  readonly #options: SendFrontOptions
  readonly #header = new SendHeader()
  readonly #send = new PlainSend()
  readonly #scan: PropertyScan = { uniqueKeyStart: -1, uniqueKeyBytes: 0, terminated: true }
  readonly #properties = Buffer.allocUnsafeSlow(MAX_PROPERTIES_BYTES + 1)
  /**
   * The broker's properties followed by a UNIQ_KEY whose value is written anew for each message.
   */
  readonly #withUniqueKey: Buffer
  readonly #uniqueKeyAt: number

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
    this.#send.parts.storeHost = options.storeHost
  }

  /** Takes one frame (length field at `start`) if it is a plain send. */
  take(connection: Connection, frame: Buffer, start: number, end: number): Taken {
    const header = this.#header
    if (frame[start + 4] !== SerializeType.JSON) return Taken.FORWARD
    const bodyStart = start + FRAME_HEADER_AT + frameHeaderBytes(frame, start)
    if (bodyStart > end) return Taken.FORWARD
    const headerStart = start + FRAME_HEADER_AT
    if (!scanSendHeader(frame, headerStart, bodyStart - headerStart, header)) return Taken.FORWARD
    const { topics, port, maxMessageSize } = this.#options
    if (end - bodyStart > maxMessageSize) return Taken.FORWARD
    const topic = topics.find(frame, header.topic.start, header.topic.end)
    if (topic === undefined || !this.#isPlain(topic)) return Taken.FORWARD
    if (!port.serving) return port.holding ? Taken.LATER : Taken.FORWARD
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
    const send = this.#send
    send.parts.body = frame
    send.parts.bodyStart = bodyStart
    send.parts.bodyEnd = end
    send.opaque = header.opaque
    send.oneWay = (header.flag & ONE_WAY_FLAG) !== 0
    return this.#submit(connection, topic, propertiesBytes)
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

  #submit(connection: Connection, topic: TopicSlot, propertiesBytes: number): Taken {
    const { port, responder } = this.#options
    const send = this.#send
    const { parts } = send
    this.#fillParts(connection, topic, propertiesBytes)
    if (propertiesBytes + parts.brokerProperties.length >= MAX_PROPERTIES_BYTES) {
      if (!send.oneWay) responder.refuse(connection, send.opaque, SendRefusal.ILLEGAL)
      return Taken.DONE
    }
    send.sizeBytes = messageSize(parts)
    this.#noteUniqueKey()
    return port.submit(connection, topic, send)
  }

  #fillParts(connection: Connection, topic: TopicSlot, propertiesBytes: number): void {
    const header = this.#header
    const { brokerProperties, uniqueIds, port } = this.#options
    const { parts } = this.#send
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
      parts.brokerProperties = brokerProperties
    } else {
      uniqueIds.write(this.#withUniqueKey, this.#uniqueKeyAt, port.nowMs)
      parts.brokerProperties = this.#withUniqueKey
    }
  }

  /** The properties end the message, so the key's place is known from its end. */
  #noteUniqueKey(): void {
    const send = this.#send
    const { parts, sizeBytes } = send
    const scan = this.#scan
    const brokerBytes = parts.brokerProperties.length
    if (scan.uniqueKeyStart >= 0) {
      const separator = scan.terminated ? 0 : 1
      const propertiesAt = sizeBytes - brokerBytes - separator - parts.propertiesEnd
      send.uniqueKeyStart = propertiesAt + scan.uniqueKeyStart
      send.uniqueKeyBytes = scan.uniqueKeyBytes
    } else {
      send.uniqueKeyStart = sizeBytes - brokerBytes + this.#uniqueKeyAt
      send.uniqueKeyBytes = UNIQUE_ID_BYTES
    }
  }
}
