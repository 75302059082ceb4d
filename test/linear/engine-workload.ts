/**
 * What clients do with the replicated registers and logs of test nodes. Objects live for a few
 * seconds, so that their histories stay short enough to be searched; each is read once more one
 * round later, when faults of its time have had their effects, and then closed.
 */
import { Actor, type ActorOptions, type Operation, oneOf } from './actor.ts'
import type { Line, OperationLine } from './history.ts'
import { pause } from './pause.ts'

const ROUND_MS = 4000
const REGISTERS = 5
const LOGS = 3
const THINK_MS = 40
const REFUSED_THINK_MS = 60
/** Places of the group's log that clients look up again, any of the last so many. */
const REMEMBERED = 5000
const SWEEP_COUNT = 100
const FINAL_ATTEMPTS = 6
const SWEEP_ATTEMPTS = 400

interface Round {
  readonly objects: readonly string[]
  /** Operations on its objects that are not recorded yet. */
  busy: number
}

export class EngineWorkload {
  readonly #actors: readonly Actor[]
  /** Reads again what the others have done. */
  readonly #auditor: Actor
  readonly #say: (line: Line) => void
  readonly #nodeIds: readonly string[]
  readonly #known: number[] = []
  readonly #values = new Map<string, number>()
  readonly #sweptTo = new Map<string, number>()
  #nextValue = 1
  #rounds = 0
  #round: Round
  #previous: Round | undefined
  readonly #timer: NodeJS.Timeout
  #ending = false
  readonly #running: Promise<void>[]

  constructor(actors: readonly ActorOptions[], auditor: ActorOptions) {
    this.#actors = actors.map((options) => new Actor(options))
    this.#auditor = new Actor(auditor)
    this.#say = auditor.say
    this.#nodeIds = auditor.nodeIds
    this.#round = this.#newRound()
    this.#timer = setInterval(() => this.#turnOver(), ROUND_MS)
    this.#running = this.#actors.map((actor, at) => this.#act(actor, at))
  }

  /** Resolves when everything is recorded; true when all was read again. */
  async end(): Promise<boolean> {
    clearInterval(this.#timer)
    this.#ending = true
    await Promise.all(this.#running)
    for (const round of [this.#previous, this.#round]) {
      if (round !== undefined) await this.#close(round)
    }
    this.#say({ kind: 'sweep', object: 'ledger' })
    const complete = await this.#sweepAll()
    if (complete) this.#say({ kind: 'complete', object: 'ledger' })
    return complete
  }

  async #act(actor: Actor, at: number): Promise<void> {
    while (!this.#ending) {
      const round = this.#round
      round.busy += 1
      const line = await this.#one(actor, at, round)
      round.busy -= 1
      this.#note(line)
      const thinkMs = line.outcome === 'failed' ? REFUSED_THINK_MS : THINK_MS
      await pause(thinkMs * (0.3 + 1.4 * actor.random()))
    }
  }

  async #one(actor: Actor, at: number, round: Round): Promise<OperationLine> {
    const dice = actor.random()
    if (dice < 0.08) return await this.#lookUp(actor, at)
    const object = oneOf(round.objects, actor.random)
    const limited = object.startsWith('register/')
      ? this.#register(object, actor.random())
      : this.#log(object, actor.random())
    return await actor.do(limited)
  }

  #register(object: string, dice: number): Operation {
    if (dice < 0.5) return { object, op: 'read' }
    if (dice < 0.75) return { object, op: 'write', value: this.#nextValue++ }
    const expected = this.#values.get(object) ?? 0
    return { object, op: 'cas', expected, value: this.#nextValue++ }
  }

  #log(object: string, dice: number): Operation {
    if (dice < 0.4) return { object, op: 'append', value: this.#nextValue++ }
    if (dice < 0.6) return { object, op: 'last' }
    if (dice < 0.75) return { object, op: 'all' }
    const end = this.#values.get(object) ?? 0
    return { object, op: 'read', position: Math.max(0, end - Math.floor(dice * 40) + 30) }
  }

  /** A place of the group's log: at any node, at the leader as a linear read, or the next ones. */
  async #lookUp(actor: Actor, at: number): Promise<OperationLine> {
    const place = this.#known[Math.floor(actor.random() * this.#known.length)]
    const get = { object: 'ledger', op: 'get' } as const
    const dice = actor.random()
    if (place === undefined || dice < 0.4) return await this.#sweepOn(actor, at)
    return await actor.do({ ...get, position: place, count: 1, linear: dice < 0.8 })
  }

  /** Every node's log is read once, by whoever comes. */
  async #sweepOn(actor: Actor, at: number): Promise<OperationLine> {
    const node = this.#nodeIds[at % this.#nodeIds.length]!
    const position = this.#sweptTo.get(node) ?? 0
    const sweep = { object: 'ledger', op: 'get', position, count: SWEEP_COUNT } as const
    const line = await actor.do(sweep, node)
    const next = position + (line.values?.length ?? 0)
    this.#sweptTo.set(node, Math.max(next, this.#sweptTo.get(node) ?? 0))
    return line
  }

  #note(line: OperationLine): void {
    if (line.outcome !== 'ok') return
    if (line.index !== undefined && line.index > 0) {
      if (this.#known.length >= REMEMBERED) this.#known.splice(0, REMEMBERED / 2)
      this.#known.push(line.index)
    }
    const { object, op } = line
    if (op === 'write') this.#values.set(object, line.value!)
    if (op === 'cas') this.#values.set(object, line.applied ? line.value! : line.result!)
    if (object.startsWith('register/') && op === 'read') this.#values.set(object, line.result!)
    if (op === 'append') this.#values.set(object, line.position! + 1)
    if (op === 'last') this.#values.set(object, line.length!)
  }

  #newRound(): Round {
    const number = this.#rounds++
    const name = (kind: string, count: number): string[] =>
      Array.from({ length: count }, (_, at) => `${kind}/${number * count + at}`)
    return { objects: [...name('register', REGISTERS), ...name('log', LOGS)], busy: 0 }
  }

  #turnOver(): void {
    const closed = this.#previous
    // A client of the round before waits for a node that stands still: the next time, then.
    if (closed !== undefined && closed.busy > 0) return
    this.#previous = this.#round
    this.#round = this.#newRound()
    if (closed !== undefined) this.#running.push(this.#close(closed))
  }

  async #close(round: Round): Promise<void> {
    for (const object of round.objects) {
      const op = object.startsWith('register/') ? 'read' : 'all'
      for (let attempt = 0; attempt < FINAL_ATTEMPTS; attempt++) {
        const { outcome } = await this.#auditor.do({ object, op })
        if (outcome === 'ok') break
        await pause(REFUSED_THINK_MS)
      }
      this.#values.delete(object)
      this.#say({ kind: 'close', object })
    }
  }

  /** True when the leader's whole log was read. */
  async #sweepAll(): Promise<boolean> {
    let position = 0
    for (let attempt = 0; attempt < SWEEP_ATTEMPTS; ) {
      const line = await this.#auditor.do({
        object: 'ledger',
        op: 'get',
        position,
        count: SWEEP_COUNT,
        linear: true,
      })
      position += line.values?.length ?? 0
      if (line.outcome === 'ok' && line.values?.length === 0) return true
      if (line.outcome === 'ok') continue
      attempt += 1
      await pause(REFUSED_THINK_MS)
    }
    return false
  }
}
