/**
 * A group of machines on a hostile network with hostile disks, all from one seed, that checks the
 * promises of Raft (paper, figure 3) after every step.
 * Invariant: the same seed gives the same run.
 */
import { assert, type Random, randomBetween, seededRandom } from '@ringledger/base'
import { FakeDriver, type FakeEntry, type Letter } from './driver-fake.ts'
import type { Effects } from './effects.ts'
import { Role } from './status.ts'

/** How likely, per step, each kind of trouble is. */
export interface Trouble {
  readonly loss: number
  readonly duplicate: number
  readonly reorder: number
  readonly partition: number
  readonly crash: number
  readonly disconnect: number
  readonly transfer: number
  /** A sync that takes its time. */
  readonly slowDisk: number
  /** A disk fills up, or has space again; a full one still takes what was accepted. */
  readonly fullDisk: number
  /** A stopped process (SIGSTOP): keeps its state and its sockets, and does nothing for a while. */
  readonly stall: number
}

export const CALM: Trouble = {
  loss: 0,
  duplicate: 0,
  reorder: 0,
  partition: 0,
  crash: 0,
  disconnect: 0,
  transfer: 0,
  slowDisk: 0,
  fullDisk: 0,
  stall: 0,
}

/** How likely, per step, a dead or stopped node runs again. */
const RECOVERY = 0.02

export class FakeCluster {
  readonly random: Random
  readonly nodes: FakeDriver[]
  trouble: Trouble = CALM
  /** Clients write. */
  writing = true
  wire: Letter[] = []
  /** Every committed entry, in order, as first seen anywhere. */
  readonly committed: FakeEntry[] = []
  /** What happened, so that a test can see that its runs did real work. */
  readonly counts = { reads: 0, elections: 0, truncations: 0, crashes: 0, transfers: 0 }
  readonly #leaders = new Map<number, string>()
  readonly #commitOf = new Map<string, number>()
  readonly #readFloor = new Map<number, number>()
  #cut = new Set<string>()
  readonly #stalled = new Set<string>()
  #values = 0
  #readId = 0

  constructor(seed: number, size: number) {
    this.random = seededRandom(seed)
    const ids = Array.from({ length: size }, (_, at) => `n${at}`)
    this.nodes = ids.map((selfId) => {
      const peerIds = ids.filter((id) => id !== selfId)
      return new FakeDriver({
        selfId,
        peerIds,
        random: seededRandom(randomBetween(this.random, 1, 2 ** 31)),
        maxBatchBytes: 400,
        maxInflightBytes: 1600,
        onEffects: (driver, effects) => this.#check(driver, effects),
      })
    })
    for (const node of this.nodes) for (const id of node.options.peerIds) node.connected(id)
  }

  /** One random event. */
  step(): void {
    const { random, trouble } = this
    const node = this.nodes[randomBetween(random, 0, this.nodes.length)] as FakeDriver
    const dice = random()
    if (dice < 0.05) for (const each of this.nodes) this.#tick(each)
    else if (dice < 0.65) for (let letters = 4; letters > 0; letters--) this.#deliver()
    else if (dice < 0.93) this.#sync(node)
    else if (dice < 0.98) this.#write(node)
    else this.#read(node)
    if (!node.alive && random() < RECOVERY) this.#restart(node)
    if (node.alive && random() < trouble.crash) this.#crash(node)
    if (random() < trouble.partition) this.#repartition()
    if (random() < trouble.disconnect) this.#flap(node)
    if (this.#stalled.has(node.id) && random() < RECOVERY) this.#stalled.delete(node.id)
    if (random() < trouble.stall) this.#stalled.add(node.id)
    if (random() < trouble.transfer && node.alive) {
      const target = this.nodes[randomBetween(random, 0, this.nodes.length)] as FakeDriver
      node.raft.step({ type: 'transfer', target: target.id })
      node.act()
    }
    if (random() < trouble.fullDisk) this.#setFull(node, random() < 0.6)
    this.#collect()
  }

  /** Ends all trouble: everybody runs and hears everybody. */
  heal(): void {
    this.trouble = CALM
    this.#cut = new Set()
    this.#stalled.clear()
    for (const node of this.nodes) {
      if (!node.alive) this.#restart(node)
      this.#setFull(node, false)
    }
  }

  /** True when all nodes have the same committed log and one of them leads. */
  get agreed(): boolean {
    const leader = this.nodes.find((node) => node.raft.serving)
    if (leader === undefined) return false
    const { endPosition } = leader.raft
    return this.nodes.every(
      (node) => node.raft.commitPosition === endPosition && node.raft.endPosition === endPosition,
    )
  }

  #runs(node: FakeDriver): boolean {
    return node.alive && !this.#stalled.has(node.id)
  }

  #tick(node: FakeDriver): void {
    if (this.#runs(node)) node.tick()
  }

  #sync(node: FakeDriver): void {
    if (!this.#runs(node) || this.random() < this.trouble.slowDisk) return
    for (let times = randomBetween(this.random, 1, 4); times > 0 && node.sync(); times--);
  }

  #write(node: FakeDriver): void {
    if (!this.writing) return
    const leader = this.nodes.find((each) => this.#runs(each) && each.raft.acceptsAppends) ?? node
    if (!this.#runs(leader) || !leader.raft.acceptsAppends) return
    // A bound, as the real driver has one.
    if (leader.raft.endPosition - leader.raft.commitPosition > 4000) return
    leader.append(`value ${this.#values++}`, randomBetween(this.random, 50, 300))
  }

  #read(node: FakeDriver): void {
    if (!this.#runs(node)) return
    const id = this.#readId++
    this.#readFloor.set(id, this.committed.at(-1)?.end ?? 0)
    node.raft.step({ type: 'readIndex', id })
    node.act()
  }

  #deliver(): void {
    const { random, trouble, wire } = this
    if (wire.length === 0) return
    const at = random() < trouble.reorder ? randomBetween(random, 0, wire.length) : 0
    const letter = wire[at] as Letter
    const target = this.nodes.find((node) => node.id === letter.message.to) as FakeDriver
    if (random() >= trouble.duplicate) wire.splice(at, 1)
    if (this.#stalled.has(target.id)) return
    const cut = this.#cut.has(letter.message.from) !== this.#cut.has(letter.message.to)
    if (!target.alive || cut || random() < trouble.loss) return
    target.receive(letter)
  }

  /** The end of everybody's turn: letters go on the wire. */
  #collect(): void {
    for (const node of this.nodes) {
      if (!this.#runs(node)) continue
      node.flush()
      this.wire.push(...node.outbox)
      node.outbox = []
    }
  }

  #crash(node: FakeDriver): void {
    node.crash(this.random)
    this.counts.crashes++
    this.#commitOf.delete(node.id)
    // What it had sent may still arrive; what was sent to it is lost with its sockets.
    this.wire = this.wire.filter((letter) => letter.message.to !== node.id)
    for (const other of this.nodes) if (other.alive && other !== node) other.disconnected(node.id)
  }

  #restart(node: FakeDriver): void {
    node.restart()
    for (const other of this.nodes) {
      if (!other.alive || other === node) continue
      other.connected(node.id)
      node.connected(other.id)
    }
  }

  #repartition(): void {
    const size = randomBetween(this.random, 0, this.nodes.length)
    this.#cut = new Set(
      Array.from({ length: size }, () => {
        const node = this.nodes[randomBetween(this.random, 0, this.nodes.length)] as FakeDriver
        return node.id
      }),
    )
  }

  #setFull(node: FakeDriver, full: boolean): void {
    if (!node.alive) return
    node.raft.step({ type: 'diskFull', full })
    node.act()
  }

  #flap(node: FakeDriver): void {
    const other = this.nodes[randomBetween(this.random, 0, this.nodes.length)] as FakeDriver
    if (other === node || !node.alive || !other.alive) return
    node.disconnected(other.id)
    other.disconnected(node.id)
    node.connected(other.id)
    other.connected(node.id)
  }

  #check(driver: FakeDriver, effects: Effects): void {
    assert(effects.halted === undefined, `${driver.id} halted: ${effects.halted}`)
    if (effects.becameLeader !== undefined) this.#checkLeader(driver, effects.becameLeader.term)
    if (effects.commitPosition !== undefined) this.#checkCommit(driver, effects.commitPosition)
    if (effects.truncate !== undefined) this.counts.truncations++
    if (effects.transferEnded?.done) this.counts.transfers++
    for (const read of effects.reads) {
      const floor = this.#readFloor.get(read.id)
      this.#readFloor.delete(read.id)
      if (read.position < 0) continue
      this.counts.reads++
      assert(floor !== undefined && read.position >= floor, 'a read missed a committed entry')
    }
  }

  #checkLeader(driver: FakeDriver, term: number): void {
    const known = this.#leaders.get(term)
    assert(known === undefined, `election safety: ${known} and ${driver.id} lead term ${term}`)
    this.#leaders.set(term, driver.id)
    this.counts.elections++
    for (const entry of this.committed) {
      const own = driver.log[entry.index]
      assert(own?.value === entry.value, `leader completeness: ${driver.id} lacks ${entry.index}`)
    }
  }

  #checkCommit(driver: FakeDriver, position: number): void {
    const before = this.#commitOf.get(driver.id) ?? 0
    assert(position > before, 'the commit position goes forward')
    this.#commitOf.set(driver.id, position)
    let seen = 0
    for (const entry of driver.log) {
      if (entry.end > position) break
      const known = this.committed[entry.index]
      if (known === undefined) this.committed.push(entry)
      else assert(known.value === entry.value, `state machine safety at index ${entry.index}`)
      seen = entry.end
    }
    assert(seen === position, 'committed up to an entry end inside the own log')
  }

  /** Log matching: same term at the same end means equal logs up to there. */
  checkLogs(): void {
    for (const left of this.nodes) {
      for (const right of this.nodes) if (left !== right) checkMatching(left.log, right.log)
      if (left.alive && left.raft.role !== Role.halted) {
        const last = left.log.at(-1)
        assert((last?.end ?? 0) === left.raft.endPosition, 'machine and log agree on the end')
        assert((last?.index ?? -1) === left.raft.lastIndex, 'machine and log agree on the index')
        const status = left.raft.status()
        assert(status.lastTerm === (last?.term ?? -1), 'machine and log agree on the term')
      }
    }
  }
}

function checkMatching(left: readonly FakeEntry[], right: readonly FakeEntry[]): void {
  let at = Math.min(left.length, right.length) - 1
  while (at >= 0 && !(left[at]?.term === right[at]?.term && left[at]?.end === right[at]?.end)) at--
  for (; at >= 0; at--) {
    assert(left[at]?.value === right[at]?.value, `log matching broken at index ${at}`)
    assert(left[at]?.end === right[at]?.end, `log matching broken at index ${at}`)
  }
}
