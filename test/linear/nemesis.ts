/**
 * Faults in an order that a seed decides: processes killed, processes stopped, the network between
 * members cut in all ways. Owns the rule that every fault ends: whatever was stopped goes on, what
 * was killed is started, what was cut is whole before the next one.
 */
import type { Random } from '@ringledger/base'
import { oneOf } from './actor.ts'
import type { Direction, Lab } from './lab.ts'
import type { Members } from './members.ts'
import { pause } from './pause.ts'

export type FaultKind = 'kill' | 'stop' | 'partition'

export interface NemesisOptions {
  readonly lab: Lab
  readonly groups: readonly Members[]
  readonly random: Random
  /** The node that acknowledged last, as far as anyone knows. */
  readonly leader: () => string | undefined
  /** Only faults whose words hold this. */
  readonly only?: string
  /** Resolves when every group has acknowledged something from now on, or takes too long. */
  readonly settled: () => Promise<void>
  readonly onFault: (kind: FaultKind, words: string) => void
}

interface Fault {
  readonly kind: FaultKind
  readonly words: string
  /** `leader` first, then the others in any order. */
  readonly run: (order: readonly [string, string, string]) => Promise<void>
}

const SHORTEST_MS = 200
const LONGEST_MS = 3000
/** Others have taken over by then. */
const LONG_ENOUGH_TO_ELECT_MS = 1600
/** After so many faults the group may recover first; after the others it may still be at it. */
const WAITED_FOR = 0.75
const SHORTEST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 1000

export class Nemesis {
  readonly #options: NemesisOptions
  readonly #faults: readonly Fault[]
  #bag: Fault[] = []

  constructor(options: NemesisOptions) {
    this.#options = options
    const all = [...this.#kills(), ...this.#stops(), ...this.#partitions()]
    this.#faults = all.filter(({ words }) => words.includes(options.only ?? ''))
    if (this.#faults.length === 0) throw new Error(`no fault has the words ${options.only}`)
  }

  /** Resolves after the first fault that ends when `over` says so. */
  async run(over: () => boolean): Promise<void> {
    const { random, settled, onFault } = this.#options
    while (!over()) {
      const fault = this.#next()
      onFault(fault.kind, fault.words)
      await fault.run(this.#order())
      if (random() < WAITED_FOR) await settled()
      await pause(SHORTEST_PAUSE_MS + random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS))
    }
  }

  /** Every fault once, in a new order each time. */
  #next(): Fault {
    if (this.#bag.length === 0) this.#bag = this.#shuffled(this.#faults)
    return this.#bag.pop()!
  }

  #order(): [string, string, string] {
    const { lab, leader } = this.#options
    const ids = this.#shuffled(lab.nodes.map(({ id }) => id))
    const first = leader() ?? ids[0]!
    return [first, ...ids.filter((id) => id !== first)] as [string, string, string]
  }

  #kills(): Fault[] {
    const kill = (words: string, chosen: (order: readonly string[]) => string[]): Fault => ({
      kind: 'kill',
      words: `kill -9 of ${words}`,
      run: async (order) => {
        await this.#kill(chosen(order))
        await this.#while()
        this.#start(chosen(order))
      },
    })
    return [
      kill('the leader', ([leader]) => [leader!]),
      kill('the leader', ([leader]) => [leader!]),
      kill('a follower', ([, follower]) => [follower!]),
      kill('a leader and a follower', ([leader, follower]) => [leader!, follower!]),
      kill('both followers', ([, ...followers]) => followers),
      kill('all', (order) => [...order]),
      {
        kind: 'kill',
        words: 'kill -9 of the leader as a follower that was cut off comes back',
        run: async ([leader, late, other]) => {
          this.#options.lab.partition(both([late], [leader, other]))
          await this.#while()
          await this.#kill([leader])
          this.#options.lab.heal()
          await this.#while()
          this.#start([leader])
        },
      },
      {
        kind: 'kill',
        // The poorer log asks for votes from the first moment on.
        words: 'kill -9 of all but a follower that was cut off, which waits for another',
        run: async ([leader, late, other]) => {
          this.#options.lab.partition(both([late], [leader, other]))
          await this.#while()
          await this.#kill([leader, other])
          this.#options.lab.heal()
          await this.#while()
          this.#start([other])
          await this.#while()
          this.#start([leader])
        },
      },
      {
        kind: 'kill',
        words: 'kill -9 of the leader as a follower that was killed comes back',
        run: async ([leader, late]) => {
          await this.#kill([late])
          await this.#while()
          await this.#kill([leader])
          this.#start([late])
          await this.#while()
          this.#start([leader])
        },
      },
      {
        kind: 'kill',
        words: 'kill -9 of the leader, cut off a while before',
        run: async ([leader, ...others]) => {
          await this.#cutWhile(both([leader], others))
          await this.#kill([leader])
          await this.#while()
          this.#start([leader])
        },
      },
    ]
  }

  #stops(): Fault[] {
    const stop = (words: string, chosen: (order: readonly string[]) => string[]): Fault => ({
      kind: 'stop',
      words: `SIGSTOP of ${words}`,
      run: async (order) => {
        this.#signal(chosen(order), 'SIGSTOP')
        await this.#while()
        this.#signal(chosen(order), 'SIGCONT')
      },
    })
    const goesOnCutOff: Fault = {
      kind: 'stop',
      // It thinks that it still leads, and nobody could tell it.
      words: 'SIGSTOP of the leader, which goes on cut off',
      run: async ([leader, ...others]) => {
        this.#options.lab.partition(both([leader], others))
        this.#signal([leader], 'SIGSTOP')
        await pause(LONG_ENOUGH_TO_ELECT_MS)
        this.#signal([leader], 'SIGCONT')
        await this.#while()
        this.#options.lab.heal()
      },
    }
    return [
      goesOnCutOff,
      goesOnCutOff,
      stop('the leader', ([leader]) => [leader!]),
      stop('a follower', ([, follower]) => [follower!]),
      stop('a leader and a follower', ([leader, follower]) => [leader!, follower!]),
      stop('both followers', ([, ...followers]) => followers),
      {
        kind: 'stop',
        words: 'SIGSTOP of the leader as a follower that stood still goes on',
        run: async ([leader, late]) => {
          this.#signal([late], 'SIGSTOP')
          await this.#while()
          this.#signal([leader], 'SIGSTOP')
          this.#signal([late], 'SIGCONT')
          await this.#while()
          this.#signal([leader], 'SIGCONT')
        },
      },
      {
        kind: 'stop',
        words: 'SIGSTOP of the leader, kill -9 of another meanwhile',
        run: async ([leader, next]) => {
          this.#signal([leader], 'SIGSTOP')
          await this.#while()
          await this.#kill([next])
          this.#signal([leader], 'SIGCONT')
          await this.#while()
          this.#start([next])
        },
      },
    ]
  }

  #partitions(): Fault[] {
    const cut = (words: string, chosen: (order: readonly string[]) => Direction[]): Fault => ({
      kind: 'partition',
      words,
      run: async (order) => await this.#cutWhile(chosen(order)),
    })
    return [
      cut('the leader cut off', ([leader, ...others]) => both([leader!], others)),
      cut('a follower cut off', ([leader, follower, other]) =>
        both([follower!], [leader!, other!]),
      ),
      cut('nobody hears the leader', ([leader, ...others]) => directions([leader!], others)),
      cut('the leader hears nobody', ([leader, ...others]) => directions(others, [leader!])),
      cut('a follower does not hear the leader', ([leader, one]) => directions([leader!], [one!])),
      cut('the leader does not hear a follower', ([leader, one]) => directions([one!], [leader!])),
      cut('the leader and a follower apart', ([leader, one]) => both([leader!], [one!])),
      cut('all apart', ([one, two, three]) => [
        ...both([one!], [two!, three!]),
        ...both([two!], [three!]),
      ]),
      {
        kind: 'partition',
        words: 'a follower cut off, then the leader',
        run: async ([leader, late, other]) => {
          this.#options.lab.partition(both([late], [leader, other]))
          await this.#while()
          await this.#cutWhile(both([leader], [late, other]))
        },
      },
      this.#unplugged('the leader without a link', ([leader]) => [leader]),
      this.#unplugged('a follower without a link', ([, follower]) => [follower]),
    ]
  }

  #unplugged(words: string, chosen: (order: readonly string[]) => (string | undefined)[]): Fault {
    const { lab } = this.#options
    return {
      kind: 'partition',
      words,
      run: async (order) => {
        lab.unplug(chosen(order) as string[])
        await this.#while()
        lab.heal()
      },
    }
  }

  async #cutWhile(cut: readonly Direction[]): Promise<void> {
    const { lab } = this.#options
    lab.partition(cut)
    await this.#while()
    lab.heal()
  }

  async #while(): Promise<void> {
    const share = this.#options.random() ** 2
    await pause(SHORTEST_MS + share * (LONGEST_MS - SHORTEST_MS))
  }

  async #kill(ids: readonly string[]): Promise<void> {
    const { groups } = this.#options
    await Promise.all(groups.flatMap((group) => ids.map((id) => group.kill(id))))
  }

  #start(ids: readonly string[]): void {
    for (const group of this.#options.groups) for (const id of ids) group.start(id)
  }

  #signal(ids: readonly string[], signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const group of this.#options.groups) for (const id of ids) group.signal(id, signal)
  }

  #shuffled<Value>(values: readonly Value[]): Value[] {
    const rest = [...values]
    const taken: Value[] = []
    while (rest.length > 0) {
      const value = oneOf(rest, this.#options.random)
      taken.push(value)
      rest.splice(rest.indexOf(value), 1)
    }
    return taken
  }
}

function directions(from: readonly string[], to: readonly string[]): Direction[] {
  return from.flatMap((one) => to.map((other) => ({ from: one, to: other })))
}

function both(some: readonly string[], others: readonly string[]): Direction[] {
  return [...directions(some, others), ...directions(others, some)]
}
