/**
 * A consumer group that comes further at one broker after the other, and what must be true in the
 * end: it got every message of its topic once.
 */
import assert from 'node:assert/strict'
import type { ClientDriver } from '../harness/client-driver.ts'
import { eventually } from '../harness/eventually.ts'
import { allOf, type BrokerContent, ContentReader } from './broker-content.ts'
import { consume, type Written } from './workload.ts'

export class HalfwayGroup {
  readonly topic: string
  readonly #group: string
  /** `queue/offset` of each. */
  readonly #got: Set<string>

  constructor({ halfway }: Written) {
    this.topic = halfway.topic
    this.#group = halfway.group
    this.#got = new Set(halfway.got)
  }

  /**
   * Gets `count` more, or a few more than that; resolves when the broker knows how far it is.
   * @throws AssertionError when it gets something again
   */
  async goOn(driver: ClientDriver, address: string, count: number): Promise<void> {
    const more = await consume(driver, this.topic, this.#group, count)
    const again = [...more].filter((place) => this.#got.has(place))
    assert.deepEqual(again, [])
    for (const place of more) this.#got.add(place)
    await eventually(
      async () => (sumOf(await this.#offsets(address)) === this.#got.size ? true : undefined),
      { what: `the offsets of ${this.#group}` },
    )
  }

  /** So many of the topic's it has not got yet. */
  left(content: BrokerContent): number {
    return this.#all(content).length - this.#got.size
  }

  assertGotAll(content: BrokerContent): void {
    assert.deepEqual([...this.#got].sort(), this.#all(content).sort())
  }

  #all(content: BrokerContent): string[] {
    return allOf(content)
      .filter(({ topic }) => topic === this.topic)
      .map(({ queueId, queueOffset }) => `${queueId}/${queueOffset}`)
  }

  #offsets(address: string): Promise<Record<string, number>> {
    const name = `${this.topic}@${this.#group}`
    return ContentReader.at(address, async (reader) => (await reader.consumerOffsets())[name] ?? {})
  }
}

function sumOf(offsets: Record<string, number>): number {
  return Object.values(offsets).reduce((sum, offset) => sum + offset, 0)
}
