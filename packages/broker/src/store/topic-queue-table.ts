/**
 * Topics and their queues, found by name or by the name's UTF-8 bytes as they stand in a message,
 * without making a string. Owns an open-addressing hash table over bytes; the hash has a seed of
 * its own, so that names cannot be chosen to collide.
 */
import { randomInt } from 'node:crypto'
import { equalBytes } from '@ringledger/protocol'
import type { ConsumeQueue } from './consume-queue.ts'
import { topicPrefixHash } from './key-hash.ts'

export interface TopicQueues {
  readonly topic: string
  readonly bytes: Buffer
  readonly hash: number
  /** Hash of `topic#`, from which the hashes of its index keys go on. */
  readonly keyPrefixHash: number
  /** By queue id. */
  readonly queues: Map<number, ConsumeQueue>
}

const FIRST_CAPACITY = 64

export class TopicQueueTable {
  readonly #byName = new Map<string, TopicQueues>()
  readonly #seed = randomInt(0x7fffffff)
  #cells: (TopicQueues | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined)
  #latest: TopicQueues | undefined

  byName(topic: string): TopicQueues | undefined {
    return this.#byName.get(topic)
  }

  byBytes(bytes: Buffer, start: number, end: number): TopicQueues | undefined {
    const latest = this.#latest
    if (
      latest !== undefined &&
      equalBytes(bytes, start, end, latest.bytes, 0, latest.bytes.length)
    ) {
      return latest
    }
    const hash = this.#hashOf(bytes, start, end)
    const mask = this.#cells.length - 1
    for (let cell = hash & mask; ; cell = (cell + 1) & mask) {
      const entry = this.#cells[cell]
      if (entry === undefined) return undefined
      if (
        entry.hash === hash &&
        equalBytes(bytes, start, end, entry.bytes, 0, entry.bytes.length)
      ) {
        this.#latest = entry
        return entry
      }
    }
  }

  /** The topic's entry, made when needed. */
  add(topic: string): TopicQueues {
    const known = this.#byName.get(topic)
    if (known !== undefined) return known
    const bytes = Buffer.from(topic)
    const hash = this.#hashOf(bytes, 0, bytes.length)
    const entry: TopicQueues = {
      topic,
      bytes,
      hash,
      keyPrefixHash: topicPrefixHash(topic),
      queues: new Map(),
    }
    this.#byName.set(topic, entry)
    if (this.#byName.size * 2 > this.#cells.length) this.#rebuild(this.#cells.length * 2)
    else this.#insert(entry)
    return entry
  }

  remove(topic: string): void {
    if (!this.#byName.delete(topic)) return
    this.#latest = undefined
    this.#rebuild(this.#cells.length)
  }

  clear(): void {
    this.#byName.clear()
    this.#latest = undefined
    this.#rebuild(FIRST_CAPACITY)
  }

  *all(): Generator<ConsumeQueue> {
    for (const entry of this.#byName.values()) yield* entry.queues.values()
  }

  #rebuild(capacity: number): void {
    this.#cells = new Array(capacity).fill(undefined)
    for (const entry of this.#byName.values()) this.#insert(entry)
  }

  #insert(entry: TopicQueues): void {
    const mask = this.#cells.length - 1
    let cell = entry.hash & mask
    while (this.#cells[cell] !== undefined) cell = (cell + 1) & mask
    this.#cells[cell] = entry
  }

  #hashOf(bytes: Buffer, start: number, end: number): number {
    let hash = this.#seed
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
    return (hash ^ (hash >>> 15)) >>> 0
  }
}
