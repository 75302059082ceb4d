/**
 * The answers to plain sends as bytes, written straight into the connections' outboxes; for the
 * thread that owns the sockets. Allocates nothing per answer.
 */
import type { Connection } from '@ringledger/network'
import {
  errorResponseMaxBytes,
  ResponseCode,
  type SendExtConstants,
  SendResponse,
  sendResponseMaxBytes,
  writeErrorResponse,
  writeSendResponse,
} from '@ringledger/protocol'

interface RefusalText {
  readonly code: number
  readonly remark: Buffer
}

/** Why a plain send gets no place in the log. */
export const SendRefusal = {
  BUSY: 0,
  ILLEGAL: 1,
  DISK_FULL: 2,
  HANDING_OVER: 3,
  /** This node does not order writes now. */
  NOT_SERVING: 4,
  /** The topic was deleted or changed while the message was on its way. */
  TOPIC_CHANGED: 5,
  /** The only one that leaves open whether the message is stored. */
  LEADERSHIP_LOST: 6,
} as const
export type SendRefusal = (typeof SendRefusal)[keyof typeof SendRefusal]

/** By refusal. Client 4.9 retries on 14 (SERVICE_NOT_AVAILABLE) and 1, but not on 2. */
const TEXTS: readonly RefusalText[] = [
  text(
    ResponseCode.SYSTEM_BUSY,
    '[PC_SYNCHRONIZED]broker busy, start flow control for a while: the log waits for its disk or its followers',
  ),
  text(
    ResponseCode.MESSAGE_ILLEGAL,
    'the message is illegal, maybe msg body or properties length not matched',
  ),
  text(
    ResponseCode.SERVICE_NOT_AVAILABLE,
    'service not available now: the disk of the broker is full',
  ),
  text(
    ResponseCode.SERVICE_NOT_AVAILABLE,
    'service not available now: leadership is being handed over',
  ),
  text(
    ResponseCode.SERVICE_NOT_AVAILABLE,
    'service not available now: this broker does not take writes',
  ),
  text(
    ResponseCode.SERVICE_NOT_AVAILABLE,
    'service not available now: the topic has just been changed',
  ),
  text(
    ResponseCode.SYSTEM_ERROR,
    'leadership moved while the message was on its way; it may or may not be stored',
  ),
]

export class SendResponder {
  /** To be filled for `stored`; store host and constants are set. */
  readonly response: SendResponse = new SendResponse()
  readonly #ext: SendExtConstants

  constructor(storeHost: Buffer, ext: SendExtConstants) {
    this.#ext = ext
    this.response.storeHost = storeHost
    this.response.ext = ext
  }

  /** Sends `response`. */
  stored(connection: Connection): void {
    const { outbox } = connection
    const at = outbox.claim(sendResponseMaxBytes(this.response))
    outbox.commit(writeSendResponse(outbox.bytes, at, this.response))
  }

  refuse(connection: Connection, opaque: number, refusal: SendRefusal): void {
    const { code, remark } = TEXTS[refusal] as RefusalText
    const { outbox } = connection
    const at = outbox.claim(errorResponseMaxBytes(remark.length, this.#ext))
    outbox.commit(writeErrorResponse(outbox.bytes, at, opaque, code, remark, this.#ext))
  }
}

function text(code: number, remark: string): RefusalText {
  return { code, remark: Buffer.from(remark) }
}
