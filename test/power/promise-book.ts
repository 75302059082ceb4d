/**
 * What a load was promised: of each acknowledged message its number, queue, queue offset and
 * position in the log. Owns the content that belongs to a number: body and key follow from it, so
 * that a message of another number, or changed bytes, never pass for it.
 */
import { createHash } from 'node:crypto'
import { ResponseCode, type StoredMessage } from '@ringledger/protocol'

export const QUEUES = 4
export const CONSUMER_GROUP = 'power-loss-group'
const KEY_EVERY = 4
const HEAD_BYTES = 16
const MIN_BODY_BYTES = 32
const MAX_BODY_BYTES = 2400
/** Some messages are larger, so that entries lie on many sectors and segments fill. */
const LARGE_EVERY = 32
const MAX_LARGE_BODY_BYTES = 56_000

/** As senders and committers write down an answer. */
const NOT_THERE = new RegExp(
  `code (${ResponseCode.TOPIC_NOT_EXIST}|${ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST}) `,
)

export interface Promised {
  readonly sequence: number
  readonly queueId: number
  readonly queueOffset: number
  /** Of the message, in the log. */
  readonly position: number
}

export class PromiseBook {
  readonly run: number
  readonly topic: string
  /** By queue and queue offset. */
  readonly queues: readonly ReadonlyMap<number, Promised>[]
  readonly #queues: Map<number, Promised>[] = Array.from({ length: QUEUES }, () => new Map())
  /** Behind the highest acknowledged queue offset, by queue. */
  readonly ends: number[] = Array.from({ length: QUEUES }, () => 0)
  /** Answers that were no success and requests without an answer, by what they said. */
  readonly failures: Map<string, number> = new Map()
  /** Acknowledgements of one queue offset for two messages, in words. */
  readonly doubled: string[] = []
  /** What a client was told once the topic or the group, which nobody deletes, was not there. */
  gone: string | undefined
  acknowledged = 0
  attempted = 0
  #waiting: { count: number; resolve: () => void }[] = []

  constructor(run: number, topic: string) {
    this.run = run
    this.topic = topic
    this.queues = this.#queues
  }

  add(promised: Promised): void {
    const { queueId, queueOffset, sequence } = promised
    const queue = this.#queues[queueId]
    const other = queue?.get(queueOffset)
    if (queue === undefined || other !== undefined) {
      this.doubled.push(`queue ${queueId} offset ${queueOffset}: ${other?.sequence}, ${sequence}`)
      return
    }
    queue.set(queueOffset, promised)
    this.ends[queueId] = Math.max(this.ends[queueId] ?? 0, queueOffset + 1)
    this.acknowledged++
    const due = this.#waiting.filter(({ count }) => count <= this.acknowledged)
    this.#waiting = this.#waiting.filter(({ count }) => count > this.acknowledged)
    this.#resolve(due)
  }

  fail(reason: string): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1)
    if (this.gone !== undefined || !NOT_THERE.test(reason)) return
    this.gone = reason
    this.#resolve(this.#waiting)
  }

  /** Resolves when `count` more messages than now are acknowledged, or the topic is gone. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.gone === undefined) this.#waiting.push({ count: this.acknowledged + count, resolve })
      else resolve()
    })
  }

  #resolve(waiters: readonly { resolve: () => void }[]): void {
    for (const { resolve } of waiters) resolve()
  }
}

export function bodyOf(run: number, sequence: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeBigUInt64BE(BigInt(run), 0)
  head.writeBigUInt64BE(BigInt(sequence), 8)
  const digest = createHash('sha256').update(head).digest()
  const limit = sequence % LARGE_EVERY === 0 ? MAX_LARGE_BODY_BYTES : MAX_BODY_BYTES
  const sizeBytes = MIN_BODY_BYTES + (digest.readUInt16BE(0) % (limit - MIN_BODY_BYTES))
  // One byte more than the digest: no period of it falls on a sector.
  const pattern = Buffer.concat([digest, head.subarray(15)])
  const body = Buffer.alloc(sizeBytes, pattern)
  head.copy(body)
  return body
}

/** Only some messages have one, so that the key index does not outgrow the log. */
export function keyOf(sequence: number): string | undefined {
  return sequence % KEY_EVERY === 0 ? `key-${sequence}` : undefined
}

/** The number of a message of this run; undefined for another's, -1 for one that was changed. */
export function sequenceOf(run: number, { body, properties }: StoredMessage): number | undefined {
  if (body.length < HEAD_BYTES || body.readBigUInt64BE(0) !== BigInt(run)) return undefined
  const sequence = Number(body.readBigUInt64BE(8))
  const isWhole = body.equals(bodyOf(run, sequence)) && properties.get('KEYS') === keyOf(sequence)
  return isWhole ? sequence : -1
}
