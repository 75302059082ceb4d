/** A consumer group under test: its members, and when it is settled. */
import { RequestCode } from '@ringledger/protocol'
import type { Arguments, ClientDriver } from './client-driver.ts'
import type { Cluster } from './cluster.ts'
import { eventually } from './eventually.ts'
import type { Delivery, Sent } from './messages.ts'
import { ask } from './name-server.ts'

const SETTLE_LIMIT_MS = 60_000
/** In a row, with the same members each time. */
const SETTLED_ROUNDS = 3
const FENCE = 'fence'

export interface GroupOptions {
  readonly topic: string
  readonly group: string
  readonly queues: number
  /** More arguments of `join`. */
  readonly join?: Arguments
}

export class ConsumerGroup {
  readonly options: GroupOptions
  readonly #cluster: Cluster
  readonly #driver: ClientDriver
  readonly #members = new Set<string>()
  #fences = 0

  constructor(cluster: Cluster, driver: ClientDriver, options: GroupOptions) {
    this.#cluster = cluster
    this.#driver = driver
    this.options = options
  }

  /** What the group got; messages that only showed who owns a queue left out. */
  get deliveries(): Delivery[] {
    return this.allDeliveries.filter(({ key }) => !key.startsWith(FENCE))
  }

  get allDeliveries(): Delivery[] {
    return this.#driver.deliveries.filter(({ member }) => this.#owns(member))
  }

  async join(...names: readonly string[]): Promise<void> {
    const { topic, group, join } = this.options
    for (const name of names) {
      this.#members.add(name)
      await this.#driver.call('join', { ...join, topic, group, member: this.#memberOf(name) })
    }
  }

  async leave(name: string): Promise<void> {
    await this.#driver.call('leave', { member: this.#memberOf(name) })
    this.#members.delete(name)
  }

  async leaveAll(): Promise<void> {
    for (const name of [...this.#members]) await this.leave(name)
  }

  /** Resolves when every one of these was delivered at least once. */
  async got(sent: readonly Sent[]): Promise<void> {
    const missing = new Set(sent.map(({ key }) => key))
    let seen = 0
    await this.#driver.until(`${this.options.group} gets ${missing.size} messages`, () => {
      const { deliveries } = this.#driver
      for (; seen < deliveries.length; seen++) {
        const { member, key } = deliveries[seen] as Delivery
        if (this.#owns(member)) missing.delete(key)
      }
      return missing.size === 0
    })
  }

  /** Resolves when `count` messages were delivered to the group. */
  async gotCount(count: number): Promise<void> {
    let seen = 0
    let got = 0
    await this.#driver.until(`${this.options.group} gets ${count} messages`, () => {
      const { deliveries } = this.#driver
      for (; seen < deliveries.length; seen++) {
        const { member, key } = deliveries[seen] as Delivery
        if (this.#owns(member) && !key.startsWith(FENCE)) got++
      }
      return got >= count
    })
  }

  /**
   * Resolves when the queues are divided as evenly as they can be among the present members, shown
   * by messages to every queue and who gets them: several in a row go to the same members, once
   * each. One alone is not enough, since two members may hold a queue until both have rebalanced.
   */
  async settled(): Promise<void> {
    let owners = new Map<string, string>()
    let same: string[] = []
    await eventually(
      async () => {
        const { round, owners: now } = await this.#fence()
        const unchanged = [...now].every(([queue, member]) => owners.get(queue) === member)
        same = unchanged ? [...same, round].slice(-SETTLED_ROUNDS) : [round]
        owners = now
        return same.length >= SETTLED_ROUNDS && this.#isEven(now) && this.#onceEach(same)
          ? true
          : undefined
      },
      { what: `the members of ${this.options.group} divide the queues`, limitMs: SETTLE_LIMIT_MS },
    )
  }

  #isEven(owners: ReadonlyMap<string, string>): boolean {
    const { queues } = this.options
    const sizes = [...Map.groupBy(owners.values(), (member) => member).values()]
      .map(({ length }) => length)
      .sort((a, b) => a - b)
    const all = sizes.length === Math.min(this.#members.size, queues)
    return all && (sizes.at(-1) ?? 0) - (sizes[0] ?? 0) <= 1
  }

  /** With consumers that fail messages, a fence comes once for every count of failures. */
  #onceEach(rounds: readonly string[]): boolean {
    const seen = new Set<string>()
    for (const { key, times } of this.allDeliveries) {
      if (!rounds.some((round) => key.startsWith(`${round}-`))) continue
      if (seen.has(`${key} ${times}`)) return false
      seen.add(`${key} ${times}`)
    }
    return true
  }

  /** Resolves when the committed offsets of the group have reached the end of every queue. */
  async committed(): Promise<void> {
    await this.#offsetsAtEnd(async () => [await this.#cluster.leader()])
  }

  /**
   * Like committed, at every node that runs: the leader answers a commit before it is in the log,
   * so that a leader that dies at once may take the newest ones with it.
   */
  async replicated(): Promise<void> {
    await this.#offsetsAtEnd(async () => this.#cluster.runningIds)
  }

  async #offsetsAtEnd(nodes: () => Promise<readonly string[]>): Promise<void> {
    const { topic, group, queues } = this.options
    await eventually(
      async () => {
        const leader = this.#cluster.addressOf(await this.#cluster.leader())
        const addresses = (await nodes()).map((id) => this.#cluster.addressOf(id))
        for (let queue = 0; queue < queues; queue++) {
          const ext = { consumerGroup: group, topic, queueId: String(queue) }
          const end = await ask(leader, { code: RequestCode.GET_MAX_OFFSET, ext })
          for (const address of addresses) {
            const own = await ask(address, { code: RequestCode.QUERY_CONSUMER_OFFSET, ext })
            if (own.ext.offset !== end.ext.offset) return undefined
          }
        }
        return true
      },
      { what: `${group} commits everything`, limitMs: SETTLE_LIMIT_MS },
    )
  }

  /** Sends one message to each queue; who got it, by queue. */
  async #fence(): Promise<{ round: string; owners: Map<string, string> }> {
    const { topic, queues } = this.options
    const round = `${FENCE}-${this.options.group}-${++this.#fences}`
    const address = this.#cluster.addressOf(await this.#cluster.leader())
    for (let queue = 0; queue < queues; queue++) {
      await ask(address, sendRequest(topic, queue, `${round}-${queue}`))
    }
    const owners = new Map<string, string>()
    await this.#driver.until(`${round} of ${topic} is delivered`, () => {
      for (const { key, member } of this.allDeliveries) {
        if (key.startsWith(`${round}-`)) owners.set(key.slice(round.length), member)
      }
      return owners.size === queues
    })
    return { round, owners }
  }

  #memberOf(name: string): string {
    return `${this.options.group}-${name}`
  }

  #owns(member: string): boolean {
    return member.startsWith(`${this.options.group}-`)
  }
}

function sendRequest(topic: string, queue: number, key: string): Parameters<typeof ask>[1] {
  const ext = {
    a: 'fences',
    b: topic,
    c: 'TBW102',
    d: '8',
    e: String(queue),
    f: '0',
    g: String(Date.now()),
    h: '0',
    i: `KEYS\x01${key}\x02TAGS\x01T\x02`,
    j: '0',
    k: 'false',
    m: 'false',
  }
  return { code: RequestCode.SEND_MESSAGE_V2, ext, body: Buffer.from(key) }
}
