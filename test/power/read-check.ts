/**
 * Compares what a broker serves with what a load was promised, through the protocol: every
 * acknowledged message at its queue offset and position with its content, no gap, nothing twice,
 * committed offsets of consumers, and keys.
 */
import { RemotingClient } from '@ringledger/network'
import {
  checkMessage,
  decodeMessage,
  msgTotalSize,
  RequestCode,
  ResponseCode,
  type StoredMessage,
} from '@ringledger/protocol'
import { eventually } from '../harness/eventually.ts'
import { pullRequest } from '../harness/pull-request.ts'
import { CONSUMER_GROUP, type PromiseBook, QUEUES, sequenceOf } from './promise-book.ts'

const TIMEOUT_MS = 10_000
const VISIBLE_LIMIT_MS = 20_000
const PULL_MESSAGES = 1000
const SHOWN = 5

/** Findings; all empty or zero when every promise was kept. */
export class Findings {
  /** Acknowledged messages that were looked at. */
  checked = 0
  /** Acknowledged and not there. */
  lost = 0
  /** Another message, other bytes or another position where an acknowledged one belongs. */
  changed = 0
  /** Everything else, such as offsets that went back. */
  other = 0
  /** The first of each in words. */
  readonly texts: string[] = []

  get wrong(): number {
    return this.lost + this.changed + this.other
  }

  note(kind: 'lost' | 'changed' | 'other', text: string): void {
    this[kind]++
    if (this.texts.length < SHOWN) this.texts.push(`${kind}: ${text}`)
  }

  add(more: Findings): void {
    this.checked += more.checked
    this.lost += more.lost
    this.changed += more.changed
    this.other += more.other
    this.texts.push(...more.texts.slice(0, SHOWN - this.texts.length))
  }
}

export interface NodeToCheck {
  /** In findings. */
  readonly id: string
  readonly address: string
}

/** Reads queues of one broker from where the last look ended; sequences seen are kept. */
export class QueueReader {
  readonly #book: PromiseBook
  readonly #next: number[] = Array.from({ length: QUEUES }, () => 0)
  readonly #seen = new Set<number>()

  constructor(book: PromiseBook) {
    this.#book = book
  }

  /** Up to the highest offset that is acknowledged now. @throws Error when the broker refuses. */
  async read(node: NodeToCheck): Promise<Findings> {
    const findings = new Findings()
    await withClient(node.address, async (client) => {
      for (let queueId = 0; queueId < QUEUES; queueId++) {
        const end = this.#book.ends[queueId] ?? 0
        await this.#readQueue(client, node.id, queueId, end, findings)
      }
    })
    return findings
  }

  async #readQueue(
    client: RemotingClient,
    id: string,
    queueId: number,
    end: number,
    findings: Findings,
  ): Promise<void> {
    const { topic } = this.#book
    const max = await visibleEnd(client, topic, queueId, end)
    const min = await queueOffset(client, RequestCode.GET_MIN_OFFSET, topic, queueId)
    if (min !== 0) findings.note('other', `${id} queue ${queueId} begins at ${min}`)
    let next = this.#next[queueId] ?? 0
    while (next < Math.min(end, max)) {
      const bytes = await pull(client, topic, queueId, next)
      for (let at = 0; at < bytes.length; at += msgTotalSize(bytes, at)) {
        this.#check(bytes, at, `${id} queue ${queueId} offset ${next}`, queueId, next, findings)
        next++
        this.#next[queueId] = next
      }
    }
    for (; next < end; next++) {
      if (!this.#book.queues[queueId]?.has(next)) continue
      findings.note('lost', `${id} queue ${queueId} ends at ${max}, acknowledged is ${next}`)
    }
  }

  #check(
    bytes: Buffer,
    at: number,
    where: string,
    queueId: number,
    expected: number,
    findings: Findings,
  ): void {
    const promised = this.#book.queues[queueId]?.get(expected)
    if (promised !== undefined) findings.checked++
    if (checkMessage(bytes, at, bytes.length - at, { verifyBodyCrc: true }) !== 'ok') {
      findings.note('changed', `${where} is damaged`)
      return
    }
    const message = decodeMessage(bytes, at)
    if (message.queueOffset !== expected || message.queueId !== queueId) {
      findings.note('changed', `${where} holds ${message.queueId}/${message.queueOffset}`)
    }
    const sequence = sequenceOf(this.#book.run, message)
    if (sequence === undefined || sequence < 0) {
      findings.note('changed', `${where} has other content`)
      return
    }
    if (this.#seen.has(sequence)) findings.note('other', `${where}: ${sequence} is there twice`)
    this.#seen.add(sequence)
    if (promised !== undefined) checkPromised(message, sequence, promised, where, findings)
  }
}

function checkPromised(
  message: StoredMessage,
  sequence: number,
  promised: { sequence: number; position: number },
  where: string,
  findings: Findings,
): void {
  if (sequence !== promised.sequence) {
    findings.note('changed', `${where} holds ${sequence}, acknowledged was ${promised.sequence}`)
  } else if (message.physicalOffset !== promised.position) {
    const { physicalOffset } = message
    findings.note('changed', `${where} is at ${physicalOffset}, not at ${promised.position}`)
  }
}

/** Ends of all queues at a broker. */
export async function queueEnds(address: string, topic: string): Promise<number[]> {
  return await withClient(address, async (client) => {
    const ends: number[] = []
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      ends.push(await queueOffset(client, RequestCode.GET_MAX_OFFSET, topic, queueId))
    }
    return ends
  })
}

/** What may be seen of the offset of one queue. */
export interface OffsetRange {
  /** Acknowledged before: less may never be seen again. */
  readonly acknowledged: number
  /** The highest that was sent up to now. */
  sent(): number
}

/** A group's offsets never go back, and none is invented. */
export async function checkOffsets(
  node: NodeToCheck,
  topic: string,
  offsets: readonly OffsetRange[],
): Promise<Findings> {
  const findings = new Findings()
  await withClient(node.address, async (client) => {
    for (const [queueId, known] of offsets.entries()) {
      const atLeast = known.acknowledged
      const ext = { consumerGroup: CONSUMER_GROUP, topic, queueId: String(queueId) }
      const { code, ext: answer } = await client.request(
        { code: RequestCode.QUERY_CONSUMER_OFFSET, ext },
        TIMEOUT_MS,
      )
      const offset = code === ResponseCode.SUCCESS ? Number(answer.offset) : -1
      if (offset >= atLeast && offset <= known.sent()) continue
      if (atLeast === 0 && offset <= 0) continue
      const range = `${atLeast} to ${known.sent()}`
      findings.note('other', `${node.id}: the group stands at ${queueId}/${offset}, not ${range}`)
    }
  })
  return findings
}

/** Each key finds its message. */
export async function checkKeys(
  node: NodeToCheck,
  topic: string,
  keys: ReadonlyMap<string, number>,
): Promise<Findings> {
  const findings = new Findings()
  await withClient(node.address, async (client) => {
    for (const [key, position] of keys) {
      const ext = { topic, key, maxNum: '32', beginTimestamp: '0', endTimestamp: FAR_FUTURE }
      const answer = await client.request({ code: RequestCode.QUERY_MESSAGE, ext }, TIMEOUT_MS)
      if (answer.code === ResponseCode.SUCCESS && positionsIn(answer.body).has(position)) continue
      findings.note('other', `${node.id}: key ${key} does not find the message at ${position}`)
    }
  })
  return findings
}

const FAR_FUTURE = String(Number.MAX_SAFE_INTEGER)

function positionsIn(bytes: Buffer): Set<number> {
  const positions = new Set<number>()
  for (let at = 0; at < bytes.length; at += msgTotalSize(bytes, at)) {
    positions.add(decodeMessage(bytes, at).physicalOffset)
  }
  return positions
}

async function withClient<Result>(
  address: string,
  use: (client: RemotingClient) => Promise<Result>,
): Promise<Result> {
  const client = new RemotingClient()
  await client.connect(address)
  try {
    return await use(client)
  } finally {
    await client.close()
  }
}

async function queueOffset(
  client: RemotingClient,
  code: number,
  topic: string,
  queueId: number,
): Promise<number> {
  const answer = await client.request(
    { code, ext: { topic, queueId: String(queueId) } },
    TIMEOUT_MS,
  )
  if (answer.code !== ResponseCode.SUCCESS) throw new Error(`${code}: ${answer.remark ?? ''}`)
  return Number(answer.ext.offset)
}

/**
 * The end of a queue once it has reached `end`: queues follow the log, so a message may be
 * acknowledged a moment before it is in its queue. After a while it is what it is.
 */
async function visibleEnd(
  client: RemotingClient,
  topic: string,
  queueId: number,
  end: number,
): Promise<number> {
  const ask = (): Promise<number> => queueOffset(client, RequestCode.GET_MAX_OFFSET, topic, queueId)
  const look = async (): Promise<number | undefined> => {
    const max = await ask()
    return max >= end ? max : undefined
  }
  const what = `queue ${queueId} reaches ${end}`
  return await eventually(look, { what, limitMs: VISIBLE_LIMIT_MS }).catch(ask)
}

async function pull(
  client: RemotingClient,
  topic: string,
  queueId: number,
  queueOffset: number,
): Promise<Buffer> {
  const place = { group: CONSUMER_GROUP, topic, queueId, queueOffset, maxMessages: PULL_MESSAGES }
  const answer = await client.request(pullRequest(place), TIMEOUT_MS)
  if (answer.code === ResponseCode.SUCCESS) return answer.body
  throw new Error(`pull of ${topic}/${queueId} at ${queueOffset}: ${answer.code} ${answer.remark}`)
}
