/** Reads every queue of a topic from its start and compares it with what a load was promised. */
import { RemotingClient } from '@ringledger/network'
import {
  checkMessage,
  decodeMessage,
  msgTotalSize,
  RequestCode,
  ResponseCode,
  type StoredMessage,
} from '@ringledger/protocol'
import { pullRequest } from '../harness/pull-request.ts'
import { leaderAddress } from './leader-link.ts'
import { sequenceOf } from './load-message.ts'
import type { LoadRecord } from './record.ts'

export interface AuditResult {
  /** Acknowledged and not there. */
  readonly lost: number
  /** At another queue or offset than the answer said. */
  readonly moved: number
  readonly repeated: number
  readonly corrupt: number
  /** Offsets of a queue that no message has, or two have. */
  readonly offsetGaps: number
}

export const NOTHING_WRONG: AuditResult = {
  lost: 0,
  moved: 0,
  repeated: 0,
  corrupt: 0,
  offsetGaps: 0,
}

const QUEUES = 4
const READ_TIMEOUT_MS = 10_000

/** Reads at the leader. @throws Error when a queue cannot be read. */
export async function audit(nameServer: string, record: LoadRecord): Promise<AuditResult> {
  return await auditNode(await leaderAddress(nameServer), record)
}

/** Reads at the broker `address`, which may be a follower. */
export async function auditNode(address: string, record: LoadRecord): Promise<AuditResult> {
  const client = new RemotingClient()
  const check = new Check(record)
  await client.connect(address)
  try {
    for (let queueId = 0; queueId < QUEUES; queueId++) await check.queue(client, queueId)
    return check.result()
  } finally {
    await client.close()
  }
}

/** End of each queue at the broker `address`. */
export async function queueEnds(address: string, topic: string): Promise<number[]> {
  const client = new RemotingClient()
  await client.connect(address)
  try {
    const ends: number[] = []
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      const ext = { topic, queueId: String(queueId) }
      ends.push(await offsetOf(client, RequestCode.GET_MAX_OFFSET, ext))
    }
    return ends
  } finally {
    await client.close()
  }
}

class Check {
  readonly #record: LoadRecord
  readonly #found = new Map<number, { queueId: number; queueOffset: number }>()
  #repeated = 0
  #corrupt = 0
  #offsetGaps = 0

  constructor(record: LoadRecord) {
    this.#record = record
  }

  async queue(client: RemotingClient, queueId: number): Promise<void> {
    const { topic } = this.#record
    const ends = { topic, queueId: String(queueId) }
    const start = await offsetOf(client, RequestCode.GET_MIN_OFFSET, ends)
    const end = await offsetOf(client, RequestCode.GET_MAX_OFFSET, ends)
    let next = start
    while (next < end) {
      const bytes = await pull(client, topic, queueId, next)
      const before = next
      for (let at = 0; at < bytes.length; at += msgTotalSize(bytes, at)) {
        next = this.#message(bytes, at, queueId, next)
      }
      if (next <= before) throw new Error(`queue ${queueId} stands at ${next} of ${end}`)
    }
  }

  result(): AuditResult {
    let [lost, moved] = [0, 0]
    for (const { sequence, queueId, queueOffset } of this.#record.acknowledged) {
      const found = this.#found.get(sequence)
      if (found === undefined) lost++
      else if (found.queueId !== queueId || found.queueOffset !== queueOffset) moved++
    }
    const [repeated, corrupt, offsetGaps] = [this.#repeated, this.#corrupt, this.#offsetGaps]
    return { lost, moved, repeated, corrupt, offsetGaps }
  }

  /** Returns the offset that the next message of the queue must have. */
  #message(bytes: Buffer, at: number, queueId: number, expected: number): number {
    if (checkMessage(bytes, at, bytes.length - at, { verifyBodyCrc: true }) !== 'ok') {
      throw new Error(`queue ${queueId} offset ${expected}: damaged bytes`)
    }
    const message = decodeMessage(bytes, at)
    if (message.queueOffset !== expected) this.#offsetGaps++
    this.#note(message)
    return message.queueOffset + 1
  }

  #note({ body, queueId, queueOffset }: StoredMessage): void {
    const sequence = sequenceOf(this.#record.run, body)
    if (sequence === undefined) return
    if (sequence < 0) this.#corrupt++
    else if (this.#found.has(sequence)) this.#repeated++
    else this.#found.set(sequence, { queueId, queueOffset })
  }
}

async function offsetOf(
  client: RemotingClient,
  code: number,
  ext: Record<string, string>,
): Promise<number> {
  const answer = await client.request({ code, ext }, READ_TIMEOUT_MS)
  if (answer.code !== ResponseCode.SUCCESS) {
    throw new Error(`code ${code} was answered with ${answer.code} ${answer.remark ?? ''}`)
  }
  return Number(answer.ext.offset)
}

async function pull(
  client: RemotingClient,
  topic: string,
  queueId: number,
  queueOffset: number,
): Promise<Buffer> {
  const place = { group: 'audit', topic, queueId, queueOffset, maxMessages: 32 }
  const answer = await client.request(pullRequest(place), READ_TIMEOUT_MS)
  if (answer.code !== ResponseCode.SUCCESS) {
    throw new Error(
      `pull of ${topic}/${queueId} at ${queueOffset}: ${answer.code} ${answer.remark}`,
    )
  }
  return answer.body
}
