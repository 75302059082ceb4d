/**
 * Who produces: the connections of each producer group, learned from heartbeats. In memory of this
 * node only. Owns the invariants: a closed connection is in no group; the number of entries is
 * bounded.
 */
import type { Member } from './groups.ts'

const MAX_PRODUCERS = 200_000

export class Producers {
  readonly #groups = new Map<string, Map<number, Member>>()
  readonly #groupsOfConnection = new Map<number, Set<string>>()
  #count = 0

  get size(): number {
    return this.#count
  }

  all(): Iterable<readonly [group: string, producers: ReadonlyMap<number, Member>]> {
    return this.#groups
  }

  of(group: string): ReadonlyMap<number, Member> | undefined {
    return this.#groups.get(group)
  }

  /** False when there is no room for another producer. */
  register(group: string, member: Member): boolean {
    const known = this.#groups.get(group)?.get(member.connectionId)
    if (known !== undefined) {
      Object.assign(known, member)
      return true
    }
    if (this.#count >= MAX_PRODUCERS) return false
    this.#count += 1
    const producers = this.#groups.get(group)
    if (producers === undefined) this.#groups.set(group, new Map([[member.connectionId, member]]))
    else producers.set(member.connectionId, member)
    const names = this.#groupsOfConnection.get(member.connectionId)
    if (names === undefined) this.#groupsOfConnection.set(member.connectionId, new Set([group]))
    else names.add(group)
    return true
  }

  unregister(connectionId: number, group: string): void {
    const producers = this.#groups.get(group)
    if (!producers?.delete(connectionId)) return
    this.#count -= 1
    if (producers.size === 0) this.#groups.delete(group)
    const names = this.#groupsOfConnection.get(connectionId)
    if (names?.delete(group) && names.size === 0) this.#groupsOfConnection.delete(connectionId)
  }

  dropConnection(connectionId: number): void {
    for (const group of [...(this.#groupsOfConnection.get(connectionId) ?? [])]) {
      this.unregister(connectionId, group)
    }
  }

  /** Connections with an entry that was not renewed since `beforeMs`. */
  silentSince(beforeMs: number): number[] {
    const silent = new Set<number>()
    for (const producers of this.#groups.values()) {
      for (const producer of producers.values()) {
        if (producer.lastUpdateMs < beforeMs) silent.add(producer.connectionId)
      }
    }
    return [...silent]
  }

  /** The connection of a client by its id, for requests that must reach that very client. */
  connectionOf(clientId: string): number | undefined {
    for (const producers of this.#groups.values()) {
      for (const producer of producers.values()) {
        if (producer.clientId === clientId) return producer.connectionId
      }
    }
    return undefined
  }
}
