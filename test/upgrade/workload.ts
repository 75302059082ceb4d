/**
 * Messages of every kind that a real client makes, and consumer groups that have come to different
 * places: what a store holds that another broker is to serve.
 */
import assert from 'node:assert/strict'
import type { ClientDriver } from '../harness/client-driver.ts'
import { newName } from '../harness/client-test.ts'
import { eventually } from '../harness/eventually.ts'
import type { Sent } from '../harness/messages.ts'
import { ContentReader } from './broker-content.ts'

export const QUEUES = 4
/** Level 3 is where a message that was failed comes back; 18 stays in its delay queue. */
export const DELAYS = '1s 5s 1s 2s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h'
/** Nobody waits for what is delayed by it. */
export const WAITING_LEVEL = 18
/** Of the topic that a group reads halfway. */
const ORDERED = 400
const CONSUMED = 150

export interface Workload {
  readonly driver: ClientDriver
  readonly brokerName: string
  /** Address of the broker that takes messages. */
  leader(): Promise<string>
  createTopic(topic: string): Promise<void>
}

export interface Written {
  /** Of each topic, what was acknowledged; what is still to be delivered to it left out. */
  readonly sent: ReadonlyMap<string, readonly Sent[]>
  /** A group that has consumed a part of its topic, and the places of what it got. */
  readonly halfway: { readonly topic: string; readonly group: string; readonly got: Set<string> }
}

/** Resolves when all is stored, delayed messages that fall due delivered. */
export async function writeMix(load: Workload): Promise<Written> {
  const mix = new Mix(load)
  const plain = await mix.newTopic('Plain')
  await mix.produce(plain, { mode: 'sync', count: 200, tags: 'A,B,ü' })
  await mix.produce(plain, { mode: 'batch', count: 300, size: 300 })
  const due = await mix.delayed(plain, 1, 20)
  await mix.delayed(plain, WAITING_LEVEL, 20)
  // Over 4 KiB the client compresses.
  const large = await mix.newTopic('Large')
  await mix.produce(large, { mode: 'async', count: 100, size: 20_000 })
  await mix.produce(large, { mode: 'async', count: 600, size: 3000 })
  await mix.failed('again', {}, 2)
  await mix.failed('dead', { maxReconsumeTimes: 0 }, 1)
  await mix.read(plain, newName('reader'), 500 + due)
  return await mix.backlog()
}

/** Less of it: files that are full, what is delayed, and the group in the middle of its topic. */
export async function writeBacklog(load: Workload): Promise<Written> {
  const mix = new Mix(load)
  const plain = await mix.newTopic('Plain')
  await mix.produce(plain, { mode: 'async', count: 400, size: 3000 })
  await mix.delayed(plain, WAITING_LEVEL, 10)
  return await mix.backlog()
}

/**
 * `queue/offset` of what a lite pull consumer of the group gets next, `count` or a few more. Keys
 * would not do: a producer that got no answer sends a message again.
 */
export async function consume(
  driver: ClientDriver,
  topic: string,
  group: string,
  count: number,
): Promise<Set<string>> {
  const before = driver.deliveries.length
  await driver.call('lite', { topic, group, count })
  const got = driver.deliveries.slice(before).filter(({ member }) => member === 'lite')
  return new Set(got.map(({ queue, offset }) => `${queue}/${offset}`))
}

class Mix {
  readonly sent: Map<string, readonly Sent[]> = new Map()
  readonly #load: Workload

  constructor(load: Workload) {
    this.#load = load
  }

  /** A group is in the middle of a topic, and the broker knows where. */
  async backlog(): Promise<Written> {
    const topic = await this.newTopic('Ordered')
    await this.produce(topic, { mode: 'ordered', count: ORDERED })
    const group = newName('halfway')
    const read = await this.read(topic, group, CONSUMED)
    const got = await this.known(topic, group, read.size)
    return { sent: this.sent, halfway: { topic, group, got } }
  }

  async newTopic(name: string): Promise<string> {
    const topic = newName(name)
    await this.#load.createTopic(topic)
    return topic
  }

  async produce(topic: string, values: Parameters<ClientDriver['call']>[1]): Promise<Sent[]> {
    const { driver, brokerName } = this.#load
    const prefix = newName('key')
    const arguments_ = { ...values, topic, prefix, queues: QUEUES, broker: brokerName }
    await driver.call('produce', arguments_)
    const sent = driver.sent.filter(({ key }) => key.startsWith(`${prefix}-`))
    const isLater = values?.delay !== undefined
    if (!isLater) this.sent.set(topic, [...(this.sent.get(topic) ?? []), ...sent])
    return sent
  }

  async delayed(topic: string, delay: number, count: number): Promise<number> {
    return (await this.produce(topic, { mode: 'sync', count, delay })).length
  }

  async read(topic: string, group: string, count: number): Promise<Set<string>> {
    return await consume(this.#load.driver, topic, group, count)
  }

  /**
   * What the group has consumed as the broker knows it, which is where any client of it goes on.
   * Clients tell that once, when they stop, and do not hear whether it arrived: on a machine that
   * has no time for it the broker may know less of a queue, or more, than they said to have got.
   */
  async known(topic: string, group: string, count: number): Promise<Set<string>> {
    const address = await this.#load.leader()
    return await ContentReader.at(address, async (reader) => {
      const offsets = async (): Promise<[string, number][]> =>
        Object.entries((await reader.consumerOffsets())[`${topic}@${group}`] ?? {})
      const sum = (all: readonly [string, number][]): number =>
        all.reduce((total, [, offset]) => total + offset, 0)
      const isThere = async (): Promise<true | undefined> =>
        sum(await offsets()) === count ? true : undefined
      await eventually(isThere, { what: `the offsets of ${group}` }).catch(() => {})
      const found = await offsets()
      assert.ok(sum(found) > 0 && sum(found) < ORDERED, `${group} stands at ${found.join(' ')}`)
      return new Set(
        found.flatMap(([queue, end]) => Array.from({ length: end }, (_, at) => `${queue}/${at}`)),
      )
    })
  }

  /** Messages that a group gets and fails: they go to its retry topic, or to the dead letters. */
  async failed(
    name: string,
    join: Parameters<ClientDriver['call']>[1],
    times: number,
  ): Promise<void> {
    const { driver } = this.#load
    const topic = await this.newTopic('Failing')
    const group = newName(name)
    await driver.call('join', { ...join, topic, group, member: group, failures: 1 })
    const sent = await this.produce(topic, { mode: 'sync', count: 5 })
    const isOwn = ({ member }: { member: string }): boolean => member === group
    await driver.until(
      `${group} gets its messages ${times} times`,
      () => driver.deliveries.filter(isOwn).length >= times * sent.length,
    )
    await driver.call('leave', { member: group })
  }
}
