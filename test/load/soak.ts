/**
 * Paced senders that go on over leader changes. Owns one rule: every attempt has a sequence number
 * of its own, so that a message whose answer was lost is no repetition of the next one.
 */
import { ResponseCode } from '@ringledger/protocol'
import { LeaderLink } from './leader-link.ts'
import { loadBody, newRun, sendRequest } from './load-message.ts'
import { LoadRecord } from './record.ts'

export interface SoakOptions {
  readonly nameServer: string
  readonly topic: string
  readonly senders?: number
  readonly bodyBytes?: number
  /** Each sender sends at most one message in this time. */
  readonly paceMs?: number
}

const REQUEST_TIMEOUT_MS = 1000
const QUEUES = 4

export class Soak {
  readonly record: LoadRecord
  readonly #options: SoakOptions
  readonly #link: LeaderLink
  readonly #pacer: NodeJS.Timeout
  readonly #senders: Promise<void>[]
  #onTick: (() => void)[] = []
  #ending = false

  constructor(options: SoakOptions) {
    const { nameServer, topic, senders = 8, paceMs = 5 } = options
    this.#options = options
    this.record = new LoadRecord(newRun(), topic)
    this.#link = new LeaderLink(nameServer)
    this.#pacer = setInterval(() => this.#tick(), paceMs)
    this.#senders = Array.from({ length: senders }, (_, at) => this.#send(at % QUEUES))
  }

  /** Resolves when every sender has had its last answer. */
  async end(): Promise<LoadRecord> {
    this.#ending = true
    clearInterval(this.#pacer)
    this.#tick()
    await Promise.all(this.#senders)
    await this.#link.close()
    return this.record
  }

  async #send(queueId: number): Promise<void> {
    while (!this.#ending) {
      const client = await this.#link.client()
      try {
        const reason = await this.#sendOne(queueId)
        if (reason !== undefined) {
          this.record.fail(reason)
          await this.#link.doubt(client)
        }
      } catch (error) {
        this.record.fail((error as { code?: string }).code ?? String(error))
        await this.#link.doubt(client)
      }
      if (!this.#ending) await new Promise<void>((resolve) => this.#onTick.push(resolve))
    }
  }

  /** Returns why it was not acknowledged, undefined when it was. */
  async #sendOne(queueId: number): Promise<string | undefined> {
    const { topic, bodyBytes = 256 } = this.#options
    const sequence = this.record.nextSequence()
    const body = loadBody(this.record.run, sequence, bodyBytes)
    const request = sendRequest(topic, queueId, body)
    const { code, ext, remark } = await this.#link.request(request, REQUEST_TIMEOUT_MS)
    if (code !== ResponseCode.SUCCESS) return `code ${code} ${remark ?? ''}`
    this.record.add(sequence, Number(ext.queueId), Number(ext.queueOffset))
    return undefined
  }

  #tick(): void {
    const waiting = this.#onTick
    this.#onTick = []
    for (const proceed of waiting) proceed()
  }
}
