/**
 * A producer that goes on whatever happens to its brokers, and what must be true of what it sent:
 * nothing that was acknowledged is lost, and each queue has it in the order of sending.
 */
import assert from 'node:assert/strict'
import type { ClientDriver } from '../harness/client-driver.ts'
import { newName } from '../harness/client-test.ts'
import type { Sent } from '../harness/messages.ts'
import { allOf, type BrokerContent, type Content } from './broker-content.ts'

const ROUND = 40

export interface LiveOptions {
  readonly driver: ClientDriver
  readonly topic: string
  readonly brokerName: string
  readonly queues: number
  /** How long it tries to send a message again. */
  readonly patienceMs: number
}

export class LiveProducer {
  readonly #prefix = newName('live')
  readonly #options: LiveOptions
  readonly #ended: Promise<void>
  #stopped = false

  constructor(options: LiveOptions) {
    this.#options = options
    this.#ended = this.#produce()
    // Whoever stops it gets the error.
    this.#ended.catch(() => {})
  }

  /** What was acknowledged so far. */
  get sent(): readonly Sent[] {
    return this.#options.driver.sent.filter(({ key }) => key.startsWith(`${this.#prefix}-`))
  }

  /** Resolves when `count` more than now are acknowledged. */
  async more(count: number): Promise<void> {
    const wanted = this.sent.length + count
    await Promise.race([
      this.#options.driver.until(`${count} more of a live producer`, () => {
        return this.sent.length >= wanted
      }),
      this.#ended,
    ])
  }

  /** Resolves with all that was acknowledged. */
  async stop(): Promise<readonly Sent[]> {
    this.#stopped = true
    await this.#ended
    return this.sent
  }

  /** Queue = number modulo queues; in a queue, one is sent when that before is acknowledged. */
  async #produce(): Promise<void> {
    const { driver, topic, queues, brokerName: broker, patienceMs } = this.#options
    const values = { topic, prefix: this.#prefix, mode: 'ordered', queues, broker, patienceMs }
    for (let first = 0; !this.#stopped; first += ROUND) {
      await driver.call('produce', { ...values, first, count: ROUND })
    }
  }
}

/**
 * What is acknowledged is where it was said to be, and in no queue a message comes before an
 * earlier one; one whose answer was lost may be there twice.
 */
export function assertInOrder(content: BrokerContent, sent: readonly Sent[]): void {
  const all = new Map(allOf(content).map((message) => [placeOf(message), message]))
  const lost = sent.filter((one) => {
    const message = all.get(`${one.topic} ${one.queue} ${one.offset}`)
    return message === undefined || keyOf(message) !== one.key
  })
  assert.deepEqual(lost, [])
  const keys = new Set(sent.map(({ key }) => key))
  for (const [name, { messages }] of content) {
    const numbers = messages.map(keyOf).filter((key) => keys.has(key))
    const firsts = [...new Set(numbers)].map((key) => Number(key.split('-').at(-1)))
    const inOrder = [...firsts].sort((left, right) => left - right)
    assert.deepEqual(firsts, inOrder, name)
  }
}

/** Longest time in which no message of the producer was stored. */
export function longestPauseMs(content: BrokerContent, sent: readonly Sent[]): number {
  const keys = new Set(sent.map(({ key }) => key))
  const times = allOf(content)
    .filter((message) => keys.has(keyOf(message)))
    .map(({ storeTimestampMs }) => storeTimestampMs)
    .sort((left, right) => left - right)
  return Math.max(...times.slice(1).map((time, index) => time - times[index]!))
}

function keyOf({ properties }: Content): string {
  return properties.get('KEYS') ?? ''
}

function placeOf({ topic, queueId, queueOffset }: Content): string {
  return `${topic} ${queueId} ${queueOffset}`
}
