/**
 * What clients do with the queues of a real broker: send, pull at places that are known, at the
 * end, and all of every node's queues in turn.
 */
import { Actor, type ActorOptions, type Operation } from './actor.ts'
import { QUEUES } from './broker-link.ts'
import type { Line, OperationLine } from './history.ts'
import { pause } from './pause.ts'

const THINK_MS = 40
const REFUSED_THINK_MS = 60
const PULLED_AT_ONCE = 32
const FINAL_ATTEMPTS = 400

export class BrokerWorkload {
  readonly #actors: readonly Actor[]
  readonly #auditor: Actor
  readonly #say: (line: Line) => void
  readonly #nodeIds: readonly string[]
  /** Behind the highest place that is known, by queue. */
  readonly #ends: number[] = Array.from({ length: QUEUES }, () => 0)
  readonly #sweptTo = new Map<string, number>()
  readonly #running: Promise<void>[]
  #nextValue = 1
  #ending = false

  constructor(actors: readonly ActorOptions[], auditor: ActorOptions) {
    this.#actors = actors.map((options) => new Actor(options))
    this.#auditor = new Actor(auditor)
    this.#say = auditor.say
    this.#nodeIds = auditor.nodeIds
    this.#running = this.#actors.map((actor, at) => this.#act(actor, at))
  }

  /** Resolves when everything is recorded; true when all was read again. */
  async end(): Promise<boolean> {
    this.#ending = true
    await Promise.all(this.#running)
    for (let queue = 0; queue < QUEUES; queue++) {
      const object = `queue/${queue}`
      this.#say({ kind: 'sweep', object })
      if (!(await this.#sweepAll(queue))) return false
      this.#say({ kind: 'complete', object })
    }
    return true
  }

  async #act(actor: Actor, at: number): Promise<void> {
    while (!this.#ending) {
      const line = await this.#one(actor, at)
      const thinkMs = line.outcome === 'failed' ? REFUSED_THINK_MS : THINK_MS
      await pause(thinkMs * (0.3 + 1.4 * actor.random()))
    }
  }

  async #one(actor: Actor, at: number): Promise<OperationLine> {
    const queue = Math.floor(actor.random() * QUEUES)
    const dice = actor.random()
    if (dice < 0.5) {
      const send: Operation = { object: `queue/${queue}`, op: 'send', value: this.#nextValue++ }
      return this.#noted(queue, await actor.do(send))
    }
    if (dice < 0.6) return await this.#sweepOn(actor, at, queue)
    const end = this.#ends[queue]!
    const last = dice < 0.8 ? 4 : end
    const position = Math.max(0, end - Math.floor(actor.random() * last))
    return this.#noted(queue, await actor.do(pull(queue, position, 4)))
  }

  async #sweepOn(actor: Actor, at: number, queue: number): Promise<OperationLine> {
    const node = this.#nodeIds[at % this.#nodeIds.length]!
    const place = `${node}/${queue}`
    const position = this.#sweptTo.get(place) ?? 0
    const line = await actor.do(pull(queue, position, PULLED_AT_ONCE), node)
    const next = position + (line.values?.length ?? 0)
    this.#sweptTo.set(place, Math.max(next, this.#sweptTo.get(place) ?? 0))
    return line
  }

  #noted(queue: number, line: OperationLine): OperationLine {
    if (line.outcome !== 'ok') return line
    const end = line.position! + (line.op === 'send' ? 1 : (line.values?.length ?? 0))
    if (end > this.#ends[queue]!) this.#ends[queue] = end
    return line
  }

  /** True when a node showed everything that is known of the queue. */
  async #sweepAll(queue: number): Promise<boolean> {
    let position = 0
    for (let attempt = 0; attempt < FINAL_ATTEMPTS; ) {
      if (position >= this.#ends[queue]!) return true
      const line = await this.#auditor.do(pull(queue, position, PULLED_AT_ONCE))
      position += line.values?.length ?? 0
      if ((line.values?.length ?? 0) > 0) continue
      attempt += 1
      await pause(REFUSED_THINK_MS)
    }
    return false
  }
}

function pull(queue: number, position: number, count: number): Operation {
  return { object: `queue/${queue}`, op: 'pull', position, count }
}
