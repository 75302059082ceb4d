/**
 * Rounds of lost power: at a random moment under load a random set of nodes is killed and its disks
 * lose what was not synced, some again while they recover; then the group must serve again and
 * show, round by round and at the end in full, that it kept every promise.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { type Random, randomBetween, seededRandom } from '@ringledger/base'
import { eventually } from '../harness/eventually.ts'
import { PowerCluster, SEGMENT_BYTES, sumOf } from './power-cluster.ts'
import { PowerLoad, prepareGroup } from './power-load.ts'
import { type Loss, NO_LOSS } from './power-off.ts'
import { keyOf, QUEUES } from './promise-book.ts'
import { checkKeys, checkOffsets, Findings, QueueReader, queueEnds } from './read-check.ts'
import { checkStores } from './store-check.ts'

export interface CampaignOptions {
  readonly seed: number
  readonly rounds: number
  /** Rounds of one group; then comes the full audit, and a new group. */
  readonly freshEvery: number
  readonly syncMicros: number
  readonly senders: number
  readonly paceMs: number
  /** The disks answer an fdatasync and do nothing: the campaign must fail. */
  readonly lies?: boolean
  /** Every cut takes all nodes, instead of a random set of them. */
  readonly allAtOnce?: boolean
  /** After each round, and after each group. */
  readonly onProgress?: (progress: Progress) => void
}

export interface Progress {
  readonly round: number
  readonly victims: string
  readonly roundMs: number
  /** From the cut until every victim serves, and until the group has acknowledged some more. */
  readonly backMs: number
  readonly servingMs: number
  readonly acknowledged: number
  /** By this group. */
  readonly lost: Loss
}

export interface CampaignResult {
  readonly rounds: number
  /** Cuts of one node's power, those during recovery included. */
  readonly cuts: number
  readonly allAtOnce: number
  readonly cutsInRecovery: number
  readonly acknowledged: number
  /** Comparisons of an acknowledged message with what is there. */
  readonly comparisons: number
  readonly findings: Findings
  /** Why the campaign ended early, in words. */
  readonly failure: string | undefined
  /** Where stores and logs of a failed round are. */
  readonly kept: string | undefined
  readonly lost: Loss
  /** What clients were told instead of success, and how often. */
  readonly refusals: ReadonlyMap<string, number>
  readonly roundMs: readonly number[]
}

const TOPIC = 'PowerLoss'
const CHECKED_KEYS = 20
/** Now and then nodes live long enough to move their resume mark, after 64 MiB of log. */
const LONG_ROUND_EVERY = 100
const LONG_ROUND_MESSAGES = 36_000
const BACK_LIMIT_MS = 180_000

export class Campaign {
  readonly #options: CampaignOptions
  readonly #random: Random
  readonly #findings = new Findings()
  readonly #roundMs: number[] = []
  readonly #refusals = new Map<string, number>()
  #cuts = 0
  #allAtOnce = 0
  #cutsInRecovery = 0
  #acknowledged = 0
  #lost: Loss = NO_LOSS

  constructor(options: CampaignOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
  }

  /** Ends early at the first broken promise. */
  async run(): Promise<CampaignResult> {
    const layers = mkdtempSync(join(tmpdir(), 'power-layer-'))
    let kept: string | undefined
    let failure: string | undefined
    try {
      while (this.#roundMs.length < this.#options.rounds && failure === undefined) {
        ;({ failure, kept } = await this.#group(layers))
      }
    } finally {
      rmSync(layers, { recursive: true, force: true })
    }
    return {
      rounds: this.#roundMs.length,
      cuts: this.#cuts,
      allAtOnce: this.#allAtOnce,
      cutsInRecovery: this.#cutsInRecovery,
      acknowledged: this.#acknowledged,
      comparisons: this.#findings.checked,
      findings: this.#findings,
      failure,
      kept,
      lost: this.#lost,
      refusals: this.#refusals,
      roundMs: this.#roundMs,
    }
  }

  /** The rounds of one group and its full audit. */
  async #group(layers: string): Promise<{ failure?: string; kept?: string }> {
    const { syncMicros, lies = false } = this.#options
    const group = await PowerCluster.start(layers, { random: this.#random, syncMicros, lies })
    const lostBefore = this.#lost
    let failure: string | undefined
    let load: PowerLoad | undefined
    try {
      load = await this.#startLoad(group)
      const reader = new QueueReader(load.book)
      const { rounds, freshEvery } = this.#options
      for (let left = freshEvery; left > 0 && this.#roundMs.length < rounds; left--) {
        await this.#round(group, load, reader)
      }
      await load.end()
      await this.#audit(group, load)
    } catch (error) {
      failure = `${inspect(error)}\n${group.cluster.logs()}`
    } finally {
      await load?.end()
      this.#lost = sumOf(lostBefore, group.lost)
      this.#acknowledged += load?.book.acknowledged ?? 0
      for (const [reason, count] of load?.book.failures ?? []) {
        this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + count)
      }
    }
    if (failure === undefined && this.#findings.wrong > 0) failure = this.#findings.texts.join('\n')
    await group.stop(failure !== undefined)
    return failure === undefined ? {} : { failure, kept: group.cluster.directory }
  }

  async #startLoad(group: PowerCluster): Promise<PowerLoad> {
    const { cluster } = group
    await prepareGroup(cluster, TOPIC)
    const { senders, paceMs, seed } = this.#options
    const run = seed * 1000 + this.#roundMs.length
    const { nameServer } = cluster
    return new PowerLoad({ nameServer, topic: TOPIC, run, senders, paceMs })
  }

  async #round(group: PowerCluster, load: PowerLoad, reader: QueueReader): Promise<void> {
    const startMs = performance.now()
    const random = this.#random
    const isLong = this.#roundMs.length % LONG_ROUND_EVERY === LONG_ROUND_EVERY - 1
    const count = isLong ? LONG_ROUND_MESSAGES : randomBetween(random, 1, 400)
    await within(load.book.more(count), `${count} acknowledgements before a cut`)
    const floors = load.offsets.map((known) => ({ ...known }))
    const { ids } = group.cluster
    const victims = this.#options.allAtOnce ? ids : someOf(ids, random)
    const cutMs = performance.now()
    await group.crash(victims)
    // Where disks lied the topic may be gone, and a node without load never comes to its next cut.
    const again = victims.map(() =>
      !this.#options.lies && random() < 0.25 ? randomBetween(random, 1, 3) : 0,
    )
    const back = victims.map((id, at) => group.revive(id, again[at] as number))
    await within(Promise.all(back), 'the return of the victims')
    const backMs = performance.now() - cutMs
    await within(load.book.more(randomBetween(random, 1, 40)), 'acknowledgements after a cut')
    const servingMs = performance.now() - cutMs
    const inRecovery = again.reduce((sum, count) => sum + count, 0)
    this.#cuts += victims.length + inRecovery
    this.#cutsInRecovery += inRecovery
    if (victims.length === ids.length) this.#allAtOnce++
    if (load.book.gone === undefined) await this.#checkRound(group, load, reader, floors)
    else this.#findings.note('lost', `with topic or group: ${load.book.gone}`)
    const roundMs = performance.now() - startMs
    this.#roundMs.push(roundMs)
    this.#options.onProgress?.({
      round: this.#roundMs.length,
      victims: victims.map((id, at) => id + '+'.repeat(again[at] as number)).join(' '),
      roundMs,
      backMs,
      servingMs,
      acknowledged: this.#acknowledged + load.book.acknowledged,
      lost: group.lost,
    })
    if (this.#findings.wrong > 0) throw new Error(`broken: ${this.#findings.texts.join('; ')}`)
  }

  /** What was acknowledged since the last look, at the leader; a change of leader starts again. */
  async #checkRound(
    group: PowerCluster,
    load: PowerLoad,
    reader: QueueReader,
    floors: readonly { acknowledged: number }[],
  ): Promise<void> {
    const { cluster } = group
    const findings = await eventually(
      async () => {
        const id = await cluster.leader()
        const node = { id, address: cluster.addressOf(id) }
        const found = await reader.read(node)
        const offsets = floors.map(({ acknowledged }, queueId) => ({
          acknowledged,
          sent: () => load.offsets[queueId]?.sent ?? 0,
        }))
        found.add(await checkOffsets(node, TOPIC, offsets))
        return found
      },
      { what: 'a look at the leader' },
    )
    this.#findings.add(findings)
    for (const text of load.book.doubled) this.#findings.note('other', `two answers: ${text}`)
  }

  /** Every node shows everything; then all lose power once more, and the stores are looked at. */
  async #audit(group: PowerCluster, load: PowerLoad): Promise<void> {
    const { cluster } = group
    const { book, offsets } = load
    const nodes = cluster.ids.map((id) => ({ id, address: cluster.addressOf(id) }))
    await eventually(
      async () => {
        const ends = await Promise.all(nodes.map(({ address }) => queueEnds(address, TOPIC)))
        return ends.every((own) => own.join() === ends[0]?.join()) ? true : undefined
      },
      { what: 'equal ends of the queues at all nodes', limitMs: BACK_LIMIT_MS },
    )
    const keys = this.#someKeys(load)
    for (const node of nodes) {
      this.#findings.add(await new QueueReader(book).read(node))
      const known = offsets.map(({ acknowledged, sent }) => ({ acknowledged, sent: () => sent }))
      this.#findings.add(await checkOffsets(node, TOPIC, known))
      this.#findings.add(await checkKeys(node, TOPIC, keys))
    }
    await group.crash(cluster.ids)
    this.#cuts += cluster.ids.length
    const stores = cluster.ids.map((id) => ({ id, rootDirectory: group.storeOf(id) }))
    this.#findings.add(checkStores(stores, SEGMENT_BYTES, book))
  }

  #someKeys(load: PowerLoad): Map<string, number> {
    const keys = new Map<string, number>()
    for (const queue of load.book.queues) {
      const promised = [...queue.values()].filter(({ sequence }) => keyOf(sequence) !== undefined)
      for (let left = CHECKED_KEYS / QUEUES; left > 0 && promised.length > 0; left--) {
        const one = promised[randomBetween(this.#random, 0, promised.length)]
        if (one !== undefined) keys.set(keyOf(one.sequence) ?? '', one.position)
      }
    }
    return keys
  }
}

/** One, two, or all of three. */
function someOf(ids: readonly string[], random: Random): string[] {
  const share = random()
  const count = share < 0.35 ? ids.length : share < 0.65 ? 2 : 1
  const rest = [...ids]
  return Array.from({ length: count }, () => {
    const [one] = rest.splice(randomBetween(random, 0, rest.length), 1)
    return one as string
  })
}

/** An event that must come; the limit only ends a campaign that has failed. */
async function within<Value>(event: Promise<Value>, what: string): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>()
  const message = `${what}: not after ${BACK_LIMIT_MS} ms`
  const limit = setTimeout(() => reject(new Error(message)), BACK_LIMIT_MS)
  try {
    return await Promise.race([event, promise])
  } finally {
    clearTimeout(limit)
  }
}
