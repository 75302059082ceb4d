/**
 * What must hold over a whole run, whatever happens to the nodes. Owns the truth: the committed
 * log, as first seen committed anywhere. Promises: what is committed is in a majority's files, and
 * every node that commits, leads or starts agrees with it; what a node showed to readers is there
 * after its restart; one leader a term, and one log under every (term, index); a read misses
 * nothing that was acknowledged before it began.
 */
import { ensure } from './failure.ts'
import { MAX_ENTRIES, type NodeLog } from './node-log.ts'

/** What the history needs to know of a node. */
export interface Witness {
  readonly name: string
  readonly log: NodeLog
  /** End of what its files hold for sure. */
  readonly syncedEnd: number
  /** Committed as this process of it says; -1 for nothing. */
  committedIndex: number
  /** Shown to readers by any of its processes. */
  shownIndex: number
}

/** Above every index of a run. */
const TERM_STRIDE = 2 ** 20

export class History {
  /** The committed log. */
  readonly #chains = new Uint32Array(MAX_ENTRIES)
  readonly #ends = new Float64Array(MAX_ENTRIES)
  /** The term in which an entry was committed, which may be later than its own. */
  readonly #commitTerms = new Int32Array(MAX_ENTRIES)
  last = -1
  acknowledgedIndex = -1
  /** Reads may not answer below this. */
  readFloor = 0
  readonly #leaders = new Map<number, string>()
  /** Chain checksum by term and index. */
  readonly #laid = new Map<number, number>()
  readonly #witnesses: readonly Witness[]

  constructor(witnesses: readonly Witness[]) {
    this.#witnesses = witnesses
  }

  get endPosition(): number {
    return this.last < 0 ? 0 : (this.#ends[this.last] as number)
  }

  /** Log matching: an entry is laid once, by the leader of its term. */
  onEntry(node: Witness, index: number): void {
    const key = node.log.termOf(index) * TERM_STRIDE + index
    const chain = node.log.chainOf(index)
    const known = this.#laid.get(key)
    if (known !== undefined) {
      ensure(known === chain, `log matching: ${node.name} has another entry ${index}`)
      return
    }
    const leader = this.#leaders.get(node.log.termOf(index))
    ensure(
      leader === node.name,
      `${node.name} holds entry ${index}, which no leader of its term laid`,
    )
    this.#laid.set(key, chain)
  }

  /** Before anything that it lays is looked at. */
  onElected(node: Witness, term: number): void {
    const known = this.#leaders.get(term) ?? node.name
    ensure(known === node.name, `election safety: ${known} and ${node.name} lead term ${term}`)
    this.#leaders.set(term, node.name)
  }

  onLeader(node: Witness, term: number): void {
    let index = this.last
    // A slow disk may make a node the leader of a term that is over.
    while (index >= 0 && (this.#commitTerms[index] as number) >= term) index--
    ensure(
      this.#agreesAt(node, index),
      `leader completeness: ${node.name} leads term ${term} and lacks committed entry ${index}`,
    )
  }

  get terms(): number {
    return this.#leaders.size
  }

  /** `node`, in `term`, says that everything up to `position` is committed. */
  onCommitted(node: Witness, term: number, position: number, leads: boolean): void {
    const { log } = node
    let index = node.committedIndex
    ensure(position >= log.endOf(index), `${node.name}: the commit position went back`)
    while (index < log.last && log.endOf(index + 1) <= position) {
      index++
      if (index > this.last) this.#commit(node, term, index)
      else {
        const same = this.#chains[index] === log.chainOf(index)
        ensure(same, `state machine safety: ${node.name} commits another entry ${index}`)
      }
    }
    ensure(log.endOf(index) === position, `${node.name} committed up to no entry's end`)
    ensure(
      !leads || log.termOf(index) === term,
      `${node.name} commits entries of an older term by counting them`,
    )
    node.committedIndex = index
  }

  #commit(node: Witness, term: number, index: number): void {
    const chain = node.log.chainOf(index)
    const end = node.log.endOf(index)
    let holders = 0
    for (const other of this.#witnesses) {
      const holds = other.syncedEnd >= end && other.log.last >= index
      if (holds && other.log.chainOf(index) === chain) holders++
    }
    ensure(
      holders * 2 > this.#witnesses.length,
      `${node.name} commits entry ${index}, which ${holders} nodes have synced`,
    )
    this.#chains[index] = chain
    this.#ends[index] = end
    this.#commitTerms[index] = term
    this.last = index
  }

  /** Readers at `node` see the log up to `position`. */
  onShown(node: Witness, position: number): void {
    const { log } = node
    while (node.shownIndex < log.last && log.endOf(node.shownIndex + 1) <= position) {
      node.shownIndex++
    }
  }

  /** A client was told that its entry is stored. */
  onAcknowledged(node: Witness, index: number, chain: number): void {
    ensure(
      index <= this.last && this.#chains[index] === chain,
      `${node.name} acknowledged entry ${index}, which is not committed with its content`,
    )
    this.acknowledgedIndex = Math.max(this.acknowledgedIndex, index)
    this.readFloor = Math.max(this.readFloor, this.#ends[index] as number)
  }

  onRead(node: Witness, floor: number, position: number): void {
    ensure(position >= floor, `stale read: ${node.name} answered ${position}, below ${floor}`)
    ensure(position <= this.endPosition, `${node.name} read what is not committed`)
    this.readFloor = Math.max(this.readFloor, position)
  }

  /** `node` found its log again; `log` ends where recovery says. */
  onRecovered(node: Witness, committedPosition: number, firstPosition: number): void {
    const { log } = node
    const both = Math.min(log.last, this.last)
    ensure(log.last >= node.shownIndex, `${node.name} lost entries that it had shown to readers`)
    ensure(
      this.#agreesAt(node, Math.min(node.shownIndex, both)),
      `${node.name} changed entries that it had shown to readers`,
    )
    let committed = -1
    while (committed < both && log.endOf(committed + 1) <= committedPosition) committed++
    ensure(
      committedPosition <= firstPosition || log.endOf(committed) === committedPosition,
      `${node.name} calls committed what never was`,
    )
    ensure(this.#agreesAt(node, committed), `${node.name} has other committed entries`)
    node.committedIndex = committed
  }

  /** All of the truth is in `node`'s log. */
  holdsAll(node: Witness): boolean {
    return this.#agreesAt(node, this.last)
  }

  chainOf(index: number): number {
    return this.#chains[index] as number
  }

  #agreesAt(node: Witness, index: number): boolean {
    if (index < 0) return true
    return node.log.last >= index && node.log.chainOf(index) === this.#chains[index]
  }
}
