/**
 * The route tables: topic → broker name → queues, broker name → addresses by id, cluster → broker
 * names, and the live brokers. Owns three invariants: an address holds at most one id of its broker
 * name; every live entry has its address in the tables; a broker name without addresses, a topic
 * without queues and a cluster without broker names do not exist.
 */
import { type Clock, LedgerError } from '@ringledger/base'
import { type DataVersion, TopicPerm } from '@ringledger/protocol'
import type { NameServerSettings } from './config.ts'
import { sameDataVersion } from './data-version.ts'
import type { Registration, TopicQueues } from './registration.ts'

export const MASTER_ID = 0

export interface BrokerEntry {
  cluster: string
  readonly brokerName: string
  readonly addresses: Map<number, string>
  zoneName: string | undefined
  enableActingMaster: boolean
}

interface LiveBroker {
  readonly brokerName: string
  readonly brokerAddr: string
  lastUpdateMs: number
  timeoutMs: number
  dataVersion: DataVersion
  haServerAddr: string
  connectionId: number
}

export interface BrokerIdentity {
  brokerName: string
  brokerAddr: string
}

/** What became of a registration. */
export type RegisterOutcome =
  | { kind: 'registered'; masterAddr?: string; haServerAddr?: string }
  /**
   * Another address holds the id with a newer state version: nothing changed, the answer is empty.
   */
  | { kind: 'outdated' }
  /** A single topic from a broker that is not known yet: it must register in full first. */
  | { kind: 'incremental-first' }

export interface RouteLimits {
  /** Broker names. */
  maxBrokerNames: number
  /** Addresses under one broker name. */
  maxReplicas: number
  maxTopics: number
}

export const DEFAULT_ROUTE_LIMITS: RouteLimits = {
  maxBrokerNames: 4_096,
  maxReplicas: 64,
  maxTopics: 500_000,
}

export class Routes {
  readonly #clock: Clock
  readonly #settings: NameServerSettings
  readonly #limits: RouteLimits
  readonly #topics = new Map<string, Map<string, TopicQueues>>()
  readonly #brokers = new Map<string, BrokerEntry>()
  readonly #clusters = new Map<string, Set<string>>()
  readonly #live = new Map<string, LiveBroker>()
  readonly #liveByConnection = new Map<number, Set<string>>()

  constructor(
    clock: Clock,
    settings: NameServerSettings,
    limits: RouteLimits = DEFAULT_ROUTE_LIMITS,
  ) {
    this.#clock = clock
    this.#settings = settings
    this.#limits = limits
  }

  /**
   * Takes over a registration that came on `connectionId` (reference §2.2, rules 1 to 7).
   * @throws LedgerError BUSY when a table is full; nothing changed then.
   */
  register(registration: Registration, connectionId: number): RegisterOutcome {
    const { brokerName, brokerAddr, brokerId } = registration
    const known = this.#brokers.get(brokerName)
    const holder = known?.addresses.get(brokerId)
    if (known !== undefined && holder !== undefined && holder !== brokerAddr) {
      const holderLive = this.#live.get(liveKey(brokerName, holder))
      const holderState = holderLive?.dataVersion.stateVersion ?? 0
      if (holderState > registration.dataVersion.stateVersion) return { kind: 'outdated' }
    }
    if (holder === undefined && registration.topics.size === 1) return { kind: 'incremental-first' }
    this.#checkLimits(registration, known)

    const broker = this.#placeBroker(registration, known)
    const live = this.#live.get(liveKey(brokerName, brokerAddr))
    const versionChanged =
      live === undefined || !sameDataVersion(live.dataVersion, registration.dataVersion)
    const actsAsMaster =
      broker.enableActingMaster &&
      !broker.addresses.has(MASTER_ID) &&
      brokerId === smallestId(broker)
    if (brokerId === MASTER_ID || actsAsMaster) {
      this.#takeTopics(registration, versionChanged || holder === undefined, actsAsMaster)
    }
    this.#putLive(registration, connectionId)
    return this.#registeredOutcome(broker, brokerId)
  }

  #checkLimits(registration: Registration, known: BrokerEntry | undefined): void {
    const { maxBrokerNames, maxReplicas, maxTopics } = this.#limits
    if (known === undefined && this.#brokers.size >= maxBrokerNames) {
      throw new LedgerError('BUSY', `no room for more than ${maxBrokerNames} broker names`)
    }
    if (known !== undefined && known.addresses.size >= maxReplicas) {
      const present = [...known.addresses.values()].includes(registration.brokerAddr)
      if (!present && !known.addresses.has(registration.brokerId)) {
        throw new LedgerError('BUSY', `no room for more than ${maxReplicas} addresses of a broker`)
      }
    }
    let added = 0
    for (const topic of registration.topics.keys()) if (!this.#topics.has(topic)) added++
    if (added > 0 && this.#topics.size + added > maxTopics) {
      throw new LedgerError('BUSY', `no room for more than ${maxTopics} topics`)
    }
  }

  /**
   * Puts the address under its id; afterwards it holds no other id and no other address holds this
   * one.
   */
  #placeBroker(registration: Registration, known: BrokerEntry | undefined): BrokerEntry {
    const { brokerName, brokerAddr, brokerId, clusterName } = registration
    const broker: BrokerEntry = known ?? {
      cluster: clusterName,
      brokerName,
      addresses: new Map(),
      zoneName: undefined,
      enableActingMaster: false,
    }
    if (known === undefined) this.#brokers.set(brokerName, broker)
    if (broker.cluster !== clusterName && brokerId === MASTER_ID) {
      this.#leaveCluster(broker)
      broker.cluster = clusterName
    }
    this.#clusterSet(broker.cluster).add(brokerName)
    broker.zoneName = registration.zoneName
    broker.enableActingMaster = registration.enableActingMaster
    for (const [id, address] of broker.addresses) {
      if (address === brokerAddr && id !== brokerId) broker.addresses.delete(id)
    }
    const replaced = broker.addresses.get(brokerId)
    broker.addresses.set(brokerId, brokerAddr)
    if (replaced !== undefined && replaced !== brokerAddr) {
      this.#dropLive(liveKey(brokerName, replaced))
    }
    return broker
  }

  #clusterSet(clusterName: string): Set<string> {
    let names = this.#clusters.get(clusterName)
    if (names === undefined) this.#clusters.set(clusterName, (names = new Set()))
    return names
  }

  #leaveCluster(broker: BrokerEntry): void {
    const names = this.#clusters.get(broker.cluster)
    names?.delete(broker.brokerName)
    if (names?.size === 0) this.#clusters.delete(broker.cluster)
  }

  #takeTopics(registration: Registration, changed: boolean, readOnly: boolean): void {
    const { brokerName, topics } = registration
    for (const [topic, queues] of topics) {
      const byBroker = this.#topics.get(topic)
      if (!changed && byBroker?.has(brokerName)) continue
      const perm = readOnly ? queues.perm & ~TopicPerm.WRITE : queues.perm
      this.#setQueues(topic, brokerName, { ...queues, perm })
    }
    if (this.#settings.deleteTopicWithBrokerRegistration && topics.size > 1) {
      for (const topic of [...this.#topics.keys()]) {
        if (!topics.has(topic)) this.#deleteQueues(topic, brokerName)
      }
    }
  }

  #setQueues(topic: string, brokerName: string, queues: TopicQueues): void {
    const byBroker = this.#topics.get(topic)
    if (byBroker === undefined) this.#topics.set(topic, new Map([[brokerName, queues]]))
    else byBroker.set(brokerName, queues)
  }

  #deleteQueues(topic: string, brokerName: string): void {
    const byBroker = this.#topics.get(topic)
    byBroker?.delete(brokerName)
    if (byBroker?.size === 0) this.#topics.delete(topic)
  }

  #putLive(registration: Registration, connectionId: number): void {
    const key = liveKey(registration.brokerName, registration.brokerAddr)
    this.#dropLive(key)
    this.#live.set(key, {
      brokerName: registration.brokerName,
      brokerAddr: registration.brokerAddr,
      lastUpdateMs: this.#clock.monotonicMs(),
      timeoutMs: registration.timeoutMs,
      dataVersion: registration.dataVersion,
      haServerAddr: registration.haServerAddr,
      connectionId,
    })
    const keys = this.#liveByConnection.get(connectionId)
    if (keys === undefined) this.#liveByConnection.set(connectionId, new Set([key]))
    else keys.add(key)
  }

  #dropLive(key: string): void {
    const live = this.#live.get(key)
    if (live === undefined) return
    this.#live.delete(key)
    const keys = this.#liveByConnection.get(live.connectionId)
    keys?.delete(key)
    if (keys?.size === 0) this.#liveByConnection.delete(live.connectionId)
  }

  #registeredOutcome(broker: BrokerEntry, brokerId: number): RegisterOutcome {
    const masterAddr = broker.addresses.get(MASTER_ID)
    if (brokerId === MASTER_ID || masterAddr === undefined) return { kind: 'registered' }
    const master = this.#live.get(liveKey(broker.brokerName, masterAddr))
    if (master === undefined) return { kind: 'registered' }
    return { kind: 'registered', masterAddr, haServerAddr: master.haServerAddr }
  }

  /**
   * Takes an address out (code 104, a closed connection, silence). Unknown brokers are no error.
   */
  unregister(identity: BrokerIdentity): void {
    const { brokerName, brokerAddr } = identity
    this.#dropLive(liveKey(brokerName, brokerAddr))
    const broker = this.#brokers.get(brokerName)
    if (broker === undefined) return
    for (const [id, address] of broker.addresses) {
      if (address === brokerAddr) broker.addresses.delete(id)
    }
    if (broker.addresses.size === 0) {
      this.#brokers.delete(brokerName)
      this.#leaveCluster(broker)
      for (const topic of [...this.#topics.keys()]) this.#deleteQueues(topic, brokerName)
    } else if (broker.enableActingMaster && !broker.addresses.has(MASTER_ID)) {
      this.changeWritePermission(brokerName, false)
    }
  }

  /** Unregisters the brokers whose latest registration came on this connection; returns them. */
  connectionClosed(connectionId: number): BrokerIdentity[] {
    const keys = this.#liveByConnection.get(connectionId)
    if (keys === undefined) return []
    const gone: BrokerIdentity[] = []
    for (const key of [...keys]) {
      const live = this.#live.get(key)
      if (live === undefined) continue
      gone.push(live)
      this.unregister(live)
    }
    return gone
  }

  /** Unregisters brokers that have been silent for longer than their timeout; returns them. */
  expire(): (BrokerIdentity & { connectionId: number })[] {
    const nowMs = this.#clock.monotonicMs()
    const silent = [...this.#live.values()].filter(
      (live) => live.lastUpdateMs + live.timeoutMs < nowMs,
    )
    for (const live of silent) this.unregister(live)
    return silent
  }

  /** Codes 904 and an unchanged 322: the broker lives. */
  refresh(brokerName: string, brokerAddr: string): void {
    const live = this.#live.get(liveKey(brokerName, brokerAddr))
    if (live !== undefined) live.lastUpdateMs = this.#clock.monotonicMs()
  }

  dataVersionOf(brokerName: string, brokerAddr: string): DataVersion | undefined {
    return this.#live.get(liveKey(brokerName, brokerAddr))?.dataVersion
  }

  /**
   * Sets or clears the write bit of every topic on a broker name; returns how many topics it has.
   */
  changeWritePermission(brokerName: string, writable: boolean): number {
    let topicCount = 0
    for (const byBroker of this.#topics.values()) {
      const queues = byBroker.get(brokerName)
      if (queues === undefined) continue
      const perm = writable ? queues.perm | TopicPerm.WRITE : queues.perm & ~TopicPerm.WRITE
      byBroker.set(brokerName, { ...queues, perm })
      topicCount++
    }
    return topicCount
  }

  /** Forgets a topic, everywhere or on the brokers of one cluster only. */
  deleteTopic(topic: string, clusterName?: string): void {
    if (clusterName === undefined) {
      this.#topics.delete(topic)
      return
    }
    for (const brokerName of this.#clusters.get(clusterName) ?? []) {
      this.#deleteQueues(topic, brokerName)
    }
  }

  /**
   * Adds a topic on known brokers (code 217); one unknown broker name makes the whole request void.
   * @throws LedgerError BUSY when the topic table is full.
   */
  registerTopic(topic: string, queuesByBroker: ReadonlyMap<string, TopicQueues>): void {
    for (const brokerName of queuesByBroker.keys()) if (!this.#brokers.has(brokerName)) return
    if (!this.#topics.has(topic) && this.#topics.size >= this.#limits.maxTopics) {
      throw new LedgerError('BUSY', `no room for more than ${this.#limits.maxTopics} topics`)
    }
    for (const [brokerName, queues] of queuesByBroker) this.#setQueues(topic, brokerName, queues)
  }

  get topics(): ReadonlyMap<string, ReadonlyMap<string, TopicQueues>> {
    return this.#topics
  }

  get brokers(): ReadonlyMap<string, Readonly<BrokerEntry>> {
    return this.#brokers
  }

  get clusters(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#clusters
  }
}

/** The smallest id that a broker name has an address for. */
export function smallestId(broker: Readonly<BrokerEntry>): number {
  return Math.min(...broker.addresses.keys())
}

function liveKey(brokerName: string, brokerAddr: string): string {
  return `${brokerName}\n${brokerAddr}`
}
