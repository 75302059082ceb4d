/**
 * What the core thread knows of topics, looked up by the topic's bytes as they stand in a request,
 * and the next offset of every queue. Invariant: while this node leads and serves,
 * `nextOffset(slot)` is the offset that the next entry of that queue gets; only this table hands
 * offsets out.
 */
import { assert } from '@ringledger/base'
import type { PublishedTopic } from './core-port-api.ts'

export interface TopicSlot {
  readonly name: string
  readonly bytes: Buffer
  readonly queueSlotBase: number
  readonly queueCount: number
  /** Slots from `queueSlotBase` on that are the topic's: more than queues after it has shrunk. */
  readonly slotCount: number
  readonly writeQueueNums: number
  readonly readQueueNums: number
  readonly perm: number
  readonly fast: boolean
}

export class TopicTable {
  readonly #buckets = new Map<number, TopicSlot[]>()
  readonly #byName = new Map<string, TopicSlot>()
  #nextOffsets = new Float64Array(1024)

  find(bytes: Buffer, start: number, end: number): TopicSlot | undefined {
    const bucket = this.#buckets.get(hashBytes(bytes, start, end))
    if (bucket === undefined) return undefined
    for (const entry of bucket) if (equalBytes(entry.bytes, bytes, start, end)) return entry
    return undefined
  }

  put(topic: PublishedTopic): void {
    const known = this.#byName.get(topic.topic)
    const bytes = Buffer.from(topic.topic)
    const stays = known?.queueSlotBase === topic.queueSlotBase
    const entry: TopicSlot = {
      name: topic.topic,
      bytes,
      queueSlotBase: topic.queueSlotBase,
      queueCount: topic.queueCount,
      slotCount: Math.max(topic.queueCount, stays ? known.slotCount : 0),
      writeQueueNums: topic.writeQueueNums,
      readQueueNums: topic.readQueueNums,
      perm: topic.perm,
      fast: topic.fast,
    }
    this.#reserve(topic.queueSlotBase + topic.queueCount)
    if (!stays) this.#moveOffsets(known, entry, topic.nextOffsets)
    this.remove(topic.topic)
    const hash = hashBytes(bytes, 0, bytes.length)
    const bucket = this.#buckets.get(hash)
    if (bucket === undefined) this.#buckets.set(hash, [entry])
    else bucket.push(entry)
    this.#byName.set(entry.name, entry)
  }

  remove(name: string): void {
    const entry = this.#byName.get(name)
    if (entry === undefined) return
    this.#byName.delete(name)
    const hash = hashBytes(entry.bytes, 0, entry.bytes.length)
    const rest = (this.#buckets.get(hash) ?? []).filter((other) => other !== entry)
    if (rest.length === 0) this.#buckets.delete(hash)
    else this.#buckets.set(hash, rest)
  }

  setNextOffset(slot: number, nextOffset: number): void {
    this.#reserve(slot + 1)
    this.#nextOffsets[slot] = nextOffset
  }

  /** The offset for the next entry of the queue, which is thereby used up. */
  takeOffset(slot: number): number {
    assert(slot < this.#nextOffsets.length, 'the slot was published before')
    const offset = this.#nextOffsets[slot] as number
    this.#nextOffsets[slot] = offset + 1
    return offset
  }

  /** The last `count` offsets of the queue were not used after all. */
  giveBack(slot: number, count: number): void {
    this.#nextOffsets[slot] = (this.#nextOffsets[slot] as number) - count
  }

  #moveOffsets(
    from: TopicSlot | undefined,
    to: TopicSlot,
    given: readonly number[] | undefined,
  ): void {
    for (let queueId = 0; queueId < to.queueCount; queueId++) {
      const kept =
        from !== undefined && queueId < from.slotCount
          ? (this.#nextOffsets[from.queueSlotBase + queueId] as number)
          : 0
      const next = Math.max(kept, given?.[queueId] ?? 0)
      this.#nextOffsets[to.queueSlotBase + queueId] = next
    }
  }

  #reserve(slots: number): void {
    if (slots <= this.#nextOffsets.length) return
    const grown = new Float64Array(Math.max(slots, this.#nextOffsets.length * 2))
    grown.set(this.#nextOffsets)
    this.#nextOffsets = grown
  }
}

/** FNV-1a over the bytes. */
function hashBytes(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) {
    hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
  }
  return hash
}

function equalBytes(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[start + at]) return false
  return true
}
