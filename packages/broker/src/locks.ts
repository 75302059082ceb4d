/**
 * Queue locks of ordered consumers: in memory of the leader only, rocketmq-remoting.md §5.3. Owns
 * the invariant that at most one client holds an unexpired lock of a queue within a group.
 */
export interface QueueName {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

interface Lock {
  clientId: string
  lockedAtMs: number
}

/** A lock that was not renewed for this long may be taken by another client. */
export const LOCK_EXPIRY_MS = 60_000
const MAX_LOCKS = 1_000_000

export class QueueLocks {
  readonly #groups = new Map<string, Map<string, Lock>>()
  #count = 0

  get size(): number {
    return this.#count
  }

  /** Takes or renews every lock that is free; returns those that `clientId` now holds. */
  lock<T extends QueueName>(
    group: string,
    clientId: string,
    queues: readonly T[],
    nowMs: number,
  ): T[] {
    let locks = this.#groups.get(group)
    if (locks === undefined) locks = new Map()
    const granted: T[] = []
    for (const queue of queues) {
      const key = keyOf(queue)
      const held = locks.get(key)
      if (held === undefined) {
        if (this.#count >= MAX_LOCKS) continue
        this.#count += 1
        locks.set(key, { clientId, lockedAtMs: nowMs })
      } else if (held.clientId === clientId || expired(held, nowMs)) {
        held.clientId = clientId
        held.lockedAtMs = nowMs
      } else {
        continue
      }
      granted.push(queue)
    }
    if (locks.size > 0) this.#groups.set(group, locks)
    return granted
  }

  unlock(group: string, clientId: string, queues: readonly QueueName[]): void {
    const locks = this.#groups.get(group)
    if (locks === undefined) return
    for (const queue of queues) {
      const key = keyOf(queue)
      if (locks.get(key)?.clientId !== clientId) continue
      locks.delete(key)
      this.#count -= 1
    }
    if (locks.size === 0) this.#groups.delete(group)
  }

  /** Whether any member of the group consumes in order right now. */
  anyHeld(group: string, nowMs: number): boolean {
    const locks = this.#groups.get(group)
    if (locks === undefined) return false
    for (const lock of locks.values()) if (!expired(lock, nowMs)) return true
    return false
  }

  /** Forgets expired locks; without this, groups that are gone would keep their memory. */
  sweep(nowMs: number): void {
    for (const [group, locks] of this.#groups) {
      for (const [key, lock] of locks) {
        if (!expired(lock, nowMs)) continue
        locks.delete(key)
        this.#count -= 1
      }
      if (locks.size === 0) this.#groups.delete(group)
    }
  }

  /** A node that does not lead holds no locks. */
  clear(): void {
    this.#groups.clear()
    this.#count = 0
  }
}

function expired(lock: Lock, nowMs: number): boolean {
  return nowMs - lock.lockedAtMs > LOCK_EXPIRY_MS
}

function keyOf(queue: QueueName): string {
  return `${queue.topic}@${queue.brokerName}@${queue.queueId}`
}
