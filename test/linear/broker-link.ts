/** A client's connection to a real broker as a node of a history: sends and pulls of one queue. */
import { LedgerError } from '@ringledger/base'
import { RemotingClient } from '@ringledger/network'
import {
  checkMessage,
  decodeMessage,
  msgTotalSize,
  type RemotingCommand,
  ResponseCode,
} from '@ringledger/protocol'
import { pullRequest } from '../harness/pull-request.ts'
import { sendRequest } from '../load/load-message.ts'
import type { Operation } from './actor.ts'
import type { NodeAnswer } from './line-link.ts'

export const TOPIC = 'Linear'
export const QUEUES = 4
const CONNECT_LIMIT_MS = 500
const BODY_BYTES = 100
const PULLED_AT_ONCE = 32
/** With code 14: the only refusal after which a message may be stored (docs/guarantees.md). */
const MAYBE_STORED = /LEADERSHIP_LOST/

const NOTHING_THERE: ReadonlySet<number> = new Set([
  ResponseCode.PULL_NOT_FOUND,
  ResponseCode.PULL_RETRY_IMMEDIATELY,
  ResponseCode.PULL_OFFSET_MOVED,
])
/** Answers that say that nothing was written. */
const REFUSED: ReadonlySet<number> = new Set([
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.TOPIC_NOT_EXIST,
])

export class BrokerLink {
  readonly #address: string
  #client: RemotingClient | undefined

  constructor(address: string) {
    this.#address = address
  }

  async request(operation: Operation, limitMs: number): Promise<NodeAnswer> {
    const client = await this.#connected()
    if (client === undefined) return { outcome: 'failed' }
    try {
      if (operation.op === 'send') return sent(await client.request(send(operation), limitMs))
      return pulled(await client.request(pull(operation), limitMs), operation.position!)
    } catch (error) {
      const timedOut = error instanceof LedgerError && error.code === 'TIMEOUT'
      if (!timedOut) this.#client = undefined
      return { outcome: 'unknown' }
    }
  }

  async close(): Promise<void> {
    await this.#client?.close()
  }

  async #connected(): Promise<RemotingClient | undefined> {
    if (this.#client?.connected === true) return this.#client
    const client = new RemotingClient({ connectTimeoutMs: CONNECT_LIMIT_MS })
    try {
      await client.connect(this.#address)
    } catch {
      return undefined
    }
    this.#client = client
    return client
  }
}

function queueOf({ object }: Operation): number {
  return Number(object.slice('queue/'.length))
}

function send(operation: Operation): ReturnType<typeof sendRequest> {
  return sendRequest(TOPIC, queueOf(operation), bodyOf(operation.value!))
}

function sent({ code, remark, ext }: RemotingCommand): NodeAnswer {
  if (code === ResponseCode.SUCCESS) return { outcome: 'ok', position: Number(ext.queueOffset) }
  const refused = REFUSED.has(code) && !MAYBE_STORED.test(remark ?? '')
  return { outcome: refused ? 'failed' : 'unknown' }
}

function pull(operation: Operation): ReturnType<typeof pullRequest> {
  return pullRequest({
    group: 'linear',
    topic: TOPIC,
    queueId: queueOf(operation),
    queueOffset: operation.position!,
    maxMessages: Math.min(operation.count ?? 1, PULLED_AT_ONCE),
  })
}

/** Values by place from the asked one on; 0 where a message is missing, misplaced or damaged. */
function pulled({ code, body }: RemotingCommand, asked: number): NodeAnswer {
  if (NOTHING_THERE.has(code)) return { outcome: 'ok', values: [] }
  if (code !== ResponseCode.SUCCESS) return { outcome: 'failed' }
  const values: number[] = []
  for (let at = 0; at < body.length; at += msgTotalSize(body, at)) {
    const expected = asked + values.length
    const whole = checkMessage(body, at, body.length - at, { verifyBodyCrc: true }) === 'ok'
    const message = whole ? decodeMessage(body, at) : undefined
    values.push(message?.queueOffset === expected ? valueIn(message.body) : 0)
    if (message === undefined) break
  }
  return { outcome: 'ok', values }
}

function valueIn(body: Buffer): number {
  const value = Number(body.readBigUInt64BE())
  return body.equals(bodyOf(value)) ? value : 0
}

function bodyOf(value: number): Buffer {
  const body = Buffer.alloc(BODY_BYTES, value % 251)
  body.writeBigUInt64BE(BigInt(value))
  return body
}
