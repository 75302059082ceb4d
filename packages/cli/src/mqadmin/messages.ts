/**
 * Stored messages as an operator reads them. Bytes from a broker are checked before they are
 * decoded.
 */
import { inflateSync, zstdDecompressSync } from 'node:zlib'
import type { Cell } from '@ringledger/base'
import {
  checkMessage,
  decodeMessage,
  hostText,
  MessageSysFlag,
  msgTotalSize,
  offsetMessageIdOfHost,
  PropertyName,
  type StoredMessage,
} from '@ringledger/protocol'
import { AdminError } from './errors.ts'
import { formatTime } from './time.ts'

/** A compressed body may grow to this size (bytes). */
const MAX_BODY_BYTES = 64 * 1024 * 1024

/** One message for `--json`; times are milliseconds since the epoch. */
export interface MessageFacts {
  messageId: string
  offsetMessageId: string
  topic: string
  queueId: number
  queueOffset: number
  physicalOffset: number
  tags: string | undefined
  keys: string | undefined
  reconsumeTimes: number
  bornTimestamp: number
  bornHost: string
  storeTimestamp: number
  storeHost: string
  sysFlag: number
  flag: number
  bodyCrc: number
  storedBytes: number
  bodyBytes: number
  /** The body as text when it is UTF-8. */
  body: string | undefined
  /** The body when it is no text, or compressed in a way that cannot be read here. */
  bodyBase64: string | undefined
  properties: Record<string, string>
}

/**
 * The messages of an answer's body, one behind the other. @throws AdminError when it is malformed.
 */
export function readMessages(body: Buffer): MessageFacts[] {
  const messages: MessageFacts[] = []
  let offset = 0
  while (offset < body.length) {
    const check = checkMessage(body, offset, body.length - offset, { verifyBodyCrc: true })
    if (check !== 'ok') throw new AdminError(`the broker sent a malformed message (${check})`)
    messages.push(factsOf(decodeMessage(body, offset)))
    offset += msgTotalSize(body, offset)
  }
  return messages
}

function factsOf(message: StoredMessage): MessageFacts {
  const offsetMessageId = offsetMessageIdOfHost(message.storeHost, message.physicalOffset)
  const { properties } = message
  const body = readableBody(message)
  const text = body === undefined ? undefined : asText(body)
  return {
    messageId: properties.get(PropertyName.UNIQ_KEY) ?? offsetMessageId,
    offsetMessageId,
    topic: message.topic,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    physicalOffset: message.physicalOffset,
    tags: properties.get(PropertyName.TAGS),
    keys: properties.get(PropertyName.KEYS),
    reconsumeTimes: message.reconsumeTimes,
    bornTimestamp: message.bornTimestampMs,
    bornHost: hostText(message.bornHost),
    storeTimestamp: message.storeTimestampMs,
    storeHost: hostText(message.storeHost),
    sysFlag: message.sysFlag,
    flag: message.flag,
    bodyCrc: message.bodyCrc,
    storedBytes: message.totalSize,
    bodyBytes: (body ?? message.body).length,
    body: text,
    bodyBase64: text === undefined ? (body ?? message.body).toString('base64') : undefined,
    properties: Object.fromEntries(properties),
  }
}

/** The body as it was sent, or undefined when its compression cannot be undone here (LZ4). */
function readableBody(message: StoredMessage): Buffer | undefined {
  if ((message.sysFlag & MessageSysFlag.COMPRESSED) === 0) return message.body
  const type = message.sysFlag & MessageSysFlag.COMPRESSION_MASK
  const limit = { maxOutputLength: MAX_BODY_BYTES }
  try {
    if (type === 0 || type === MessageSysFlag.COMPRESSION_ZLIB) {
      return inflateSync(message.body, limit)
    }
    if (type === MessageSysFlag.COMPRESSION_ZSTD) return zstdDecompressSync(message.body, limit)
  } catch {
    return undefined
  }
  return undefined
}

function asText(body: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    return undefined
  }
}

/** One line for the body. */
export function bodyText(message: MessageFacts): string {
  return message.body ?? `(${message.bodyBytes} bytes, base64) ${message.bodyBase64 ?? ''}`
}

/** Everything about one message, name by name. */
export function messageFields(message: MessageFacts): [string, Cell][] {
  return [
    ['Message ID', message.messageId],
    ['Offset ID', message.offsetMessageId],
    ['Topic', message.topic],
    ['Tags', message.tags],
    ['Keys', message.keys],
    ['Queue ID', message.queueId],
    ['Queue offset', message.queueOffset],
    ['Log offset', message.physicalOffset],
    ['Times redelivered', message.reconsumeTimes],
    ['Born', formatTime(message.bornTimestamp)],
    ['Born host', message.bornHost],
    ['Stored', formatTime(message.storeTimestamp)],
    ['Store host', message.storeHost],
    ['System flag', message.sysFlag],
    [
      'Properties',
      Object.entries(message.properties)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    ],
    ['Body bytes', message.bodyBytes],
    ['Body', bodyText(message)],
  ]
}
