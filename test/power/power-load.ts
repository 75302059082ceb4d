/**
 * Senders that go on whoever leads, and a consumer group's offsets that are committed meanwhile.
 * Every attempt has a number of its own, so that a message whose answer was lost is no repetition.
 */
import { jsonBody, parseOffsetMessageId, RequestCode, ResponseCode } from '@ringledger/protocol'
import type { Cluster } from '../harness/cluster.ts'
import { ask } from '../harness/name-server.ts'
import { LeaderLink } from '../load/leader-link.ts'
import { bodyOf, CONSUMER_GROUP, keyOf, PromiseBook, QUEUES } from './promise-book.ts'

export interface PowerLoadOptions {
  readonly nameServer: string
  readonly topic: string
  /** Tells this load's messages from others. */
  readonly run: number
  readonly senders: number
  /** Each sender sends at most one message in this time. */
  readonly paceMs: number
}

const REQUEST_TIMEOUT_MS = 2_000

/** Makes the topic and the group that a load uses. */
export async function prepareGroup(cluster: Cluster, topic: string): Promise<void> {
  await cluster.createTopic(topic, QUEUES)
  const leader = cluster.addressOf(await cluster.leader())
  const body = jsonBody({ groupName: CONSUMER_GROUP })
  await ask(leader, { code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body })
}

/** What is known of one queue's committed offset. */
export interface CommittedOffset {
  /** Acknowledged: less may never be seen again. */
  acknowledged: number
  /** Sent, with or without an answer: more may never be seen. */
  sent: number
}

export class PowerLoad {
  readonly book: PromiseBook
  readonly offsets: readonly CommittedOffset[] = Array.from({ length: QUEUES }, () => ({
    acknowledged: 0,
    sent: 0,
  }))
  readonly #options: PowerLoadOptions
  readonly #link: LeaderLink
  readonly #pacer: NodeJS.Timeout
  readonly #lanes: Promise<void>[]
  #onTick: (() => void)[] = []
  #ending = false

  constructor(options: PowerLoadOptions) {
    this.#options = options
    this.book = new PromiseBook(options.run, options.topic)
    this.#link = new LeaderLink(options.nameServer)
    this.#pacer = setInterval(() => this.#tick(), options.paceMs)
    const senders = Array.from({ length: options.senders }, (_, at) =>
      this.#lane(() => this.#send(at % QUEUES)),
    )
    const committers = this.offsets.map((_, queueId) => this.#lane(() => this.#commit(queueId)))
    this.#lanes = [...senders, ...committers]
  }

  /** What has not been answered is given up: it may be there or not. */
  async end(): Promise<void> {
    this.#ending = true
    clearInterval(this.#pacer)
    this.#tick()
    await this.#link.close()
    await Promise.all(this.#lanes)
  }

  /** `step` returns why it failed, undefined when it did not. */
  async #lane(step: () => Promise<string | undefined>): Promise<void> {
    while (!this.#ending) {
      const client = await this.#link.client().catch(() => undefined)
      if (client === undefined) return
      let reason: string | undefined
      try {
        reason = await step()
      } catch (error) {
        reason = (error as { code?: string }).code ?? String(error)
      }
      if (reason !== undefined) {
        this.book.fail(reason)
        await this.#link.doubt(client)
      }
      if (!this.#ending) await new Promise<void>((resolve) => this.#onTick.push(resolve))
    }
  }

  async #send(queueId: number): Promise<string | undefined> {
    const { run, topic } = this.#options
    const sequence = this.book.attempted++
    const key = keyOf(sequence)
    const request = {
      code: RequestCode.SEND_MESSAGE_V2,
      ext: {
        a: 'power',
        b: topic,
        c: 'TBW102',
        d: String(QUEUES),
        e: String(queueId),
        f: '0',
        g: String(Date.now()),
        h: '0',
        i: key === undefined ? '' : `KEYS\x01${key}\x02`,
        j: '0',
        k: 'false',
        m: 'false',
      },
      body: bodyOf(run, sequence),
    }
    const { code, ext, remark } = await this.#link.request(request, REQUEST_TIMEOUT_MS)
    if (code !== ResponseCode.SUCCESS) return `code ${code} ${remark ?? ''}`
    const { physicalOffset } = parseOffsetMessageId(ext.msgId ?? '')
    this.book.add({
      sequence,
      queueId: Number(ext.queueId),
      queueOffset: Number(ext.queueOffset),
      position: physicalOffset,
    })
    return undefined
  }

  async #commit(queueId: number): Promise<string | undefined> {
    const { topic } = this.#options
    const known = this.offsets[queueId]
    const offset = this.book.ends[queueId] ?? 0
    if (known === undefined || offset <= known.acknowledged) return undefined
    known.sent = Math.max(known.sent, offset)
    const ext = {
      consumerGroup: CONSUMER_GROUP,
      topic,
      queueId: String(queueId),
      commitOffset: String(offset),
    }
    const request = { code: RequestCode.UPDATE_CONSUMER_OFFSET, ext }
    const { code, remark } = await this.#link.request(request, REQUEST_TIMEOUT_MS)
    if (code !== ResponseCode.SUCCESS) return `commit: code ${code} ${remark ?? ''}`
    known.acknowledged = Math.max(known.acknowledged, offset)
    return undefined
  }

  #tick(): void {
    const waiting = this.#onTick
    this.#onTick = []
    for (const resolve of waiting) resolve()
  }
}
