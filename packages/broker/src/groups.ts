/**
 * Who consumes: the members of each group and what the group subscribes to, learned from heartbeats
 * (rocketmq-remoting.md §5.2). In memory of this node only. Owns the invariants: a connection is a
 * member of a group at most once, a closed connection of none; members and subscriptions are
 * bounded.
 */
import type { Subscription } from './subscription.ts'

export interface Member {
  readonly connectionId: number
  clientId: string
  language: string
  version: number
  lastUpdateMs: number
}

export interface ConsumerGroup {
  readonly name: string
  /** CONSUME_PASSIVELY, CONSUME_ACTIVELY or CONSUME_POP. */
  consumeType: string
  /** CLUSTERING or BROADCASTING. */
  messageModel: string
  consumeFromWhere: string
  /** By connection. */
  readonly members: Map<number, Member>
  /** By topic. */
  readonly subscriptions: Map<string, Subscription>
  /** Of the newest V2 heartbeat; 0: none yet. */
  fingerprint: number
}

export interface GroupHeartbeat {
  readonly name: string
  readonly consumeType: string
  readonly messageModel: string
  readonly consumeFromWhere: string
  /** Undefined keeps what is stored (a V2 heartbeat without subscriptions). */
  readonly subscriptions: readonly Subscription[] | undefined
}

export const BROADCASTING = 'BROADCASTING'

export interface GroupLimits {
  readonly maxGroups: number
  readonly maxMembers: number
  readonly maxSubscriptionsPerGroup: number
}

export const DEFAULT_GROUP_LIMITS: GroupLimits = {
  maxGroups: 50_000,
  maxMembers: 200_000,
  maxSubscriptionsPerGroup: 5_000,
}

/** `changed`: the members have to rebalance. `full`: a bound was reached and nothing was taken. */
export type HeartbeatOutcome = 'unchanged' | 'changed' | 'full'

export class ConsumerGroups {
  readonly #limits: GroupLimits
  readonly #groups = new Map<string, ConsumerGroup>()
  readonly #groupsOfConnection = new Map<number, Set<string>>()
  #memberCount = 0

  constructor(limits: GroupLimits = DEFAULT_GROUP_LIMITS) {
    this.#limits = limits
  }

  get(name: string): ConsumerGroup | undefined {
    return this.#groups.get(name)
  }

  get size(): number {
    return this.#groups.size
  }

  all(): Iterable<ConsumerGroup> {
    return this.#groups.values()
  }

  register(member: Member, heartbeat: GroupHeartbeat): HeartbeatOutcome {
    let group = this.#groups.get(heartbeat.name)
    const isNew = group === undefined || !group.members.has(member.connectionId)
    if (isNew && this.#memberCount >= this.#limits.maxMembers) return 'full'
    const subscriptionCount = heartbeat.subscriptions?.length ?? 0
    if (subscriptionCount > this.#limits.maxSubscriptionsPerGroup) return 'full'
    if (group === undefined) {
      if (this.#groups.size >= this.#limits.maxGroups) return 'full'
      group = newGroup(heartbeat)
      this.#groups.set(heartbeat.name, group)
    }
    group.consumeType = heartbeat.consumeType
    group.messageModel = heartbeat.messageModel
    group.consumeFromWhere = heartbeat.consumeFromWhere
    this.#putMember(group, member)
    const subscribed = updateSubscriptions(group, heartbeat.subscriptions)
    return isNew || subscribed ? 'changed' : 'unchanged'
  }

  /** Takes the connection out of one group; true if it was in it. */
  unregister(connectionId: number, name: string): boolean {
    const group = this.#groups.get(name)
    if (!group?.members.delete(connectionId)) return false
    this.#memberCount -= 1
    if (group.members.size === 0) this.#groups.delete(name)
    const names = this.#groupsOfConnection.get(connectionId)
    if (names?.delete(name) && names.size === 0) this.#groupsOfConnection.delete(connectionId)
    return true
  }

  /** Takes a closed connection out of all groups and returns those it was in. */
  dropConnection(connectionId: number): string[] {
    const names = [...(this.#groupsOfConnection.get(connectionId) ?? [])]
    for (const name of names) this.unregister(connectionId, name)
    return names
  }

  /** Connections with a membership that was not renewed since `beforeMs`. */
  silentSince(beforeMs: number): number[] {
    const silent = new Set<number>()
    for (const group of this.#groups.values()) {
      for (const member of group.members.values()) {
        if (member.lastUpdateMs < beforeMs) silent.add(member.connectionId)
      }
    }
    return [...silent]
  }

  /**
   * Client ids of a group, without repeats, sorted: every member derives the same assignment from
   * it.
   */
  clientIds(name: string): string[] {
    const group = this.#groups.get(name)
    if (group === undefined) return []
    return [...new Set([...group.members.values()].map((member) => member.clientId))].sort()
  }

  #putMember(group: ConsumerGroup, member: Member): void {
    const known = group.members.get(member.connectionId)
    if (known !== undefined) {
      Object.assign(known, member)
      return
    }
    group.members.set(member.connectionId, member)
    this.#memberCount += 1
    const names = this.#groupsOfConnection.get(member.connectionId)
    if (names === undefined)
      this.#groupsOfConnection.set(member.connectionId, new Set([group.name]))
    else names.add(group.name)
  }
}

function newGroup(heartbeat: GroupHeartbeat): ConsumerGroup {
  return {
    name: heartbeat.name,
    consumeType: heartbeat.consumeType,
    messageModel: heartbeat.messageModel,
    consumeFromWhere: heartbeat.consumeFromWhere,
    members: new Map(),
    subscriptions: new Map(),
    fingerprint: 0,
  }
}

/** True when a topic came or went; a newer version of a known topic needs no rebalance. */
function updateSubscriptions(
  group: ConsumerGroup,
  subscriptions: readonly Subscription[] | undefined,
): boolean {
  if (subscriptions === undefined) return false
  let changed = false
  const topics = new Set<string>()
  for (const subscription of subscriptions) {
    topics.add(subscription.topic)
    const known = group.subscriptions.get(subscription.topic)
    if (known === undefined) changed = true
    if (known === undefined || subscription.subVersion > known.subVersion) {
      group.subscriptions.set(subscription.topic, subscription)
    }
  }
  for (const topic of group.subscriptions.keys()) {
    if (topics.has(topic)) continue
    group.subscriptions.delete(topic)
    changed = true
  }
  return changed
}
