/**
 * Topics on top of the replicated table: slots of their queues, what core is told of them, and
 * their creation on demand. Owns the invariants: core knows a topic only after its record was
 * applied here; of several requests for the same new topic one record is proposed.
 */
import {
  isForbiddenToSend,
  isRetryTopic,
  isWriteable,
  SystemTopic,
  TopicPerm,
  topicNameProblem,
} from '@ringledger/protocol'
import type { CorePort } from './core-port-api.ts'
import { QueueSlots } from './queue-slots.ts'
import type { BrokerSettings } from './settings.ts'
import { defaultTopicConfig, type TopicConfig } from './state/configs.ts'
import type { StateRecord } from './state/records.ts'
import type { ChangeFailure, OnChange, StateChanges } from './state-changes.ts'

/** Topics that one client can make wait for its creation at once are bounded by this in all. */
const MAX_CREATIONS = 1_000
const MAX_WAITERS_PER_CREATION = 1_000

export interface TopicsOptions {
  readonly table: ReadonlyMap<string, TopicConfig>
  readonly changes: Pick<StateChanges, 'propose'>
  readonly port: Pick<CorePort, 'publishTopic' | 'removeTopic'>
  readonly settings: BrokerSettings
  /** Offset that the next message of a queue gets, as far as this node has applied the log. */
  maxOffset(topic: string, queueId: number): number
  /**
   * A topic was created, changed (`config`) or deleted (undefined): routes have to be registered.
   */
  onChanged(topic: string, config: TopicConfig | undefined): void
}

export class Topics {
  readonly #options: TopicsOptions
  readonly #slots = new QueueSlots()
  readonly #creations = new Map<string, OnChange[]>()

  constructor(options: TopicsOptions) {
    this.#options = options
    for (const config of options.table.values()) this.#publish(config)
  }

  get(topic: string): TopicConfig | undefined {
    return this.#options.table.get(topic)
  }

  all(): Iterable<TopicConfig> {
    return this.#options.table.values()
  }

  get size(): number {
    return this.#options.table.size
  }

  slotOf(topic: string, queueId: number): number {
    return this.#slots.slotOf(topic, queueId)
  }

  *nextOffsets(): Iterable<readonly [slot: number, nextQueueOffset: number]> {
    for (const [topic, queueId, slot] of this.#slots.all()) {
      yield [slot, this.#options.maxOffset(topic, queueId)]
    }
  }

  /**
   * Makes sure of a topic: an existing one is left as it is. Returns a failure when nothing was
   * written and `onDone` will not be called.
   */
  create(config: TopicConfig, onDone: OnChange): ChangeFailure {
    const waiting = this.#creations.get(config.topicName)
    if (waiting !== undefined) {
      if (waiting.length >= MAX_WAITERS_PER_CREATION) return BUSY
      waiting.push(onDone)
      return undefined
    }
    if (this.#creations.size >= MAX_CREATIONS) return BUSY
    const waiters = [onDone]
    const failure = this.#options.changes.propose({ kind: 'topic', config }, (outcome) => {
      this.#creations.delete(config.topicName)
      for (const waiter of waiters) waiter(outcome)
    })
    if (failure === undefined) this.#creations.set(config.topicName, waiters)
    return failure
  }

  /**
   * The configuration that a send to an unknown topic creates, or undefined (rocketmq-remoting.md
   * §5.1).
   */
  fromDefaultTopic(
    topic: string,
    defaultTopic: string,
    wantedQueues: number,
  ): TopicConfig | undefined {
    const { settings, table } = this.#options
    if (isRetryTopic(topic)) return defaultTopicConfig(topic, 1, TopicPerm.READ_WRITE)
    const template = table.get(defaultTopic)
    if (template === undefined || (template.perm & TopicPerm.INHERIT) === 0) return undefined
    const isKey = defaultTopic === SystemTopic.AUTO_CREATE_TOPIC_KEY
    if (isKey && !settings.autoCreateTopicEnable) return undefined
    if (topicNameProblem(topic) !== undefined) return undefined
    const queues = Math.max(1, Math.min(wantedQueues, template.writeQueueNums))
    const perm = template.perm & ~TopicPerm.INHERIT
    return {
      ...defaultTopicConfig(topic, queues, perm),
      topicFilterType: template.topicFilterType,
      topicSysFlag: template.topicSysFlag,
    }
  }

  /** The table was made anew: core is told of all of it. */
  onReplaced(): void {
    const known = new Set<string>()
    for (const [topic] of this.#slots.all()) known.add(topic)
    for (const topic of known) if (this.get(topic) === undefined) this.#remove(topic)
    for (const config of this.all()) {
      this.#publish(config)
      this.#options.onChanged(config.topicName, config)
    }
  }

  /** An applied record on any node. */
  onRecord(record: StateRecord): void {
    if (record.kind === 'topic') {
      const config = this.#options.table.get(record.config.topicName)
      if (config === undefined) return
      this.#publish(config)
      this.#options.onChanged(config.topicName, config)
    } else if (record.kind === 'deleteTopic') {
      this.#remove(record.topic)
    }
  }

  #remove(topic: string): void {
    this.#slots.release(topic)
    this.#options.port.removeTopic(topic)
    this.#options.onChanged(topic, undefined)
  }

  #publish(config: TopicConfig): void {
    const topic = config.topicName
    const queueCount = Math.max(config.readQueueNums, config.writeQueueNums, 1)
    const moved = this.#slots.assign(topic, queueCount)
    const range = this.#slots.rangeOf(topic)
    if (range === undefined) return
    const nextOffsets = moved
      ? Array.from({ length: range.count }, (_, id) => this.#options.maxOffset(topic, id))
      : undefined
    this.#options.port.publishTopic({
      topic,
      queueSlotBase: range.base,
      queueCount,
      readQueueNums: config.readQueueNums,
      writeQueueNums: config.writeQueueNums,
      perm: config.perm,
      fast: this.#isFast(config),
      ...(nextOffsets === undefined ? {} : { nextOffsets }),
    })
  }

  /**
   * Retry topics have the dead-letter rule, broker-only topics are refused: both are the slow
   * path's.
   */
  #isFast(config: TopicConfig): boolean {
    return (
      isWriteable(this.#options.settings.brokerPermission) &&
      config.writeQueueNums > 0 &&
      config.topicFilterType === 'SINGLE_TAG' &&
      !isRetryTopic(config.topicName) &&
      !isForbiddenToSend(config.topicName)
    )
  }
}

const BUSY: ChangeFailure = { code: 'BUSY', message: 'too many topics are being created' }
