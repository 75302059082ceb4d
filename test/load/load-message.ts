/**
 * The messages that the load tests write. Owns their body: run, sequence number, then bytes that
 * follow from both, so that an audit can tell a lost message from a changed one.
 */

import type { RequestInit } from '@ringledger/network'
import { RequestCode } from '@ringledger/protocol'

const SEQUENCE_AT = 8
const FILLER_AT = 16
export const MIN_LOAD_BODY_BYTES: number = FILLER_AT

/** A number for one load, so that older messages of the topic are told apart. */
export function newRun(): number {
  return Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)
}

export function loadBody(run: number, sequence: number, sizeBytes: number): Buffer {
  const body = Buffer.alloc(Math.max(sizeBytes, FILLER_AT), fillerOf(sequence))
  body.writeBigUInt64BE(BigInt(run), 0)
  body.writeBigUInt64BE(BigInt(sequence), SEQUENCE_AT)
  return body
}

/** The sequence number; undefined for another run's message, -1 for one that was changed. */
export function sequenceOf(run: number, body: Buffer): number | undefined {
  if (body.length < FILLER_AT || body.readBigUInt64BE(0) !== BigInt(run)) return undefined
  const sequence = Number(body.readBigUInt64BE(SEQUENCE_AT))
  return body.equals(loadBody(run, sequence, body.length)) ? sequence : -1
}

function fillerOf(sequence: number): number {
  return sequence % 251
}

export function sendRequest(topic: string, queueId: number, body: Buffer): RequestInit {
  const ext = {
    a: 'load',
    b: topic,
    c: 'TBW102',
    d: '4',
    e: String(queueId),
    f: '0',
    g: String(Date.now()),
    h: '0',
    i: '',
    j: '0',
    k: 'false',
    m: 'false',
  }
  return { code: RequestCode.SEND_MESSAGE_V2, ext, body }
}
