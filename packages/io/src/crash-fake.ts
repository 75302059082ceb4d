/**
 * A node's log on a faulty disk, driven by chance, beside a model of what must hold. Owns the
 * properties: after any crash the log is a prefix of what was appended, it contains all that was
 * reported durable, and nothing that was cut comes back.
 */
import assert from 'node:assert/strict'
import { FakeClock, type Random, randomBetween, seededRandom } from '@ringledger/base'
import { Doorbell, LogArena } from 'sharedarraybuffer-ringbuffer'
import type { StoreConfig } from './config.ts'
import { CoreFake } from './core-fake.ts'
import { FakeDisk } from './disk-fake.ts'
import {
  allocateIoPort,
  type HardState,
  IoAgent,
  IoClient,
  type LogEnd,
  LogFileReader,
  openStore,
  type Recovered,
  type Truncated,
} from './index.ts'

export const CRASH_CONFIG: StoreConfig = {
  rootDirectory: '/store',
  selfId: 'n1',
  segmentBytes: 16 * 1024,
  indexSegmentBytes: 32 * 40,
  minimumFreeBytes: 1,
  zeroAheadBytes: 8 * 1024,
  markEveryBytes: 12 * 1024,
}
const ARENA = { sizeBytes: 64 * 1024, maxEntryBytes: 4096 }
const EMPTY: LogEnd = { position: 0, index: -1, term: -1, chainCrc: 0 }

/** Thrown by the disk to stop the world in the middle of a call. */
class PowerLost extends Error {}

export class CrashFake {
  readonly disk: FakeDisk
  readonly #random: Random
  readonly #clock = new FakeClock()
  /** Ends of all entries of the log as appended; `#ends[i]` is of entry i. */
  #ends: LogEnd[] = []
  #durableIndex = -1
  #term = 1
  #hardStates: HardState[] = [{ term: 0, votedFor: null }]
  #cutPending: number | undefined
  /** Entries up to here are committed: never cut, but they may be deleted from the front. */
  #committedIndex = -1
  /** First index that may be there, and the one that must be. */
  #firstIndex = 0
  #lastFirstIndex = 0
  #core: CoreFake
  #client: IoClient
  #agent: IoAgent
  recovered: Recovered

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.disk = new FakeDisk(this.#random)
    this.disk.directBlockBytes = [0, 512, 4096][seed % 3]!
    // Now and then the file system changes its mind.
    if (seed % 5 === 0) this.disk.directWritesLeft = seed % 50
    const started = this.#start()
    this.recovered = started.recovered
    this.#core = started.core
    this.#client = started.client
    this.#agent = started.agent
  }

  /**
   * Some random steps with the power going at a random moment, or an orderly end; then a start and
   * its checks.
   */
  life(steps: number): void {
    const powerLossAt = randomBetween(this.#random, 0, steps * 6)
    let changes = 0
    let alive = true
    this.disk.beforeChange = () => {
      if (alive && changes++ === powerLossAt) {
        alive = false
        throw new PowerLost()
      }
    }
    for (let i = 0; i < steps && alive; i++) {
      this.#step()
      // The agent latches on what its disk throws; to a machine without power that makes no
      // difference.
      while (alive && this.#agent.duty()) if (alive) this.#poll()
      if (alive) this.#poll()
      assert.ok(!alive || !this.#agent.failed, 'nothing fails but the power')
    }
    if (alive && this.#random() < 0.3) {
      this.#client.close()
      this.#client.flush()
      while (alive && !this.#agent.closed) this.#agent.duty()
    }
    alive = false
    this.disk.beforeChange = () => {}
    if (this.#random() < 0.25) this.disk.kill()
    else this.disk.crash()
    this.#restart()
  }

  #step(): void {
    const dice = this.#random()
    if (this.#cutPending !== undefined) return
    if (dice < 0.65) this.#append()
    else if (dice < 0.75) this.#cut()
    else if (dice < 0.85) this.#vote()
    else if (dice < 0.95) this.#clock.advance(randomBetween(this.#random, 0, 5_000))
    else this.#commit()
    this.#client.flush()
  }

  #append(): void {
    if (this.#random() < 0.1) this.#term++
    const count = randomBetween(this.#random, 1, 12)
    for (let i = 0; i < count; i++) {
      const bodyBytes = randomBetween(this.#random, 0, 3000)
      if (!this.#core.append(this.#term, bodyBytes, randomBetween(this.#random, 0, 256))) break
      this.#ends.push(this.#core.end)
      this.#client.write(this.#core.end.position)
    }
  }

  #commit(): void {
    this.#committedIndex = Math.max(this.#committedIndex, this.#durableIndex)
    const end = this.#endAt(this.#committedIndex)
    this.#client.checkpoint(end.position, end.index)
    if (this.#random() < 0.5 || this.#committedIndex < this.#firstIndex) return
    const below = randomBetween(this.#random, this.#firstIndex, this.#committedIndex + 1)
    this.#lastFirstIndex = Math.max(this.#lastFirstIndex, below + 1)
    this.#client.removeBelow(this.#endAt(below).position)
  }

  #cut(): void {
    if (this.#ends.length === 0) return
    const index = randomBetween(this.#random, this.#committedIndex, this.#ends.length)
    this.#cutPending = index
    this.#client.truncate(this.#endAt(index).position, index)
  }

  #vote(): void {
    const last = this.#hardStates.at(-1)!
    const votedFor = this.#random() < 0.5 ? null : `n${randomBetween(this.#random, 0, 9)}`
    const state = { term: last.term + 1, votedFor }
    this.#hardStates.push(state)
    this.#client.saveHardState(state, state.term)
  }

  #poll(): void {
    this.#client.poll({
      onDurable: (position) => {
        const index = this.#ends.findIndex((end) => end.position === position)
        assert.ok(index >= 0, 'durable positions are ends of entries')
        this.#durableIndex = index
      },
      onTruncated: (truncated) => this.#onTruncated(truncated),
      onHardStateSaved: (term) => {
        this.#hardStates = this.#hardStates.filter((state) => state.term >= term)
      },
      onFailed: (file, error) => assert.fail(`${file}: ${error}`),
      onRemoved: (_position, firstIndex) => {
        assert.ok(firstIndex >= this.#firstIndex && firstIndex <= this.#lastFirstIndex)
        this.#firstIndex = firstIndex
      },
      onDiskFull: () => {},
      onDiskOk: () => {},
    })
  }

  #onTruncated(truncated: Truncated): void {
    const end = this.#endAt(truncated.id)
    assert.equal(truncated.endPosition, end.position)
    assert.equal(truncated.lastIndex, end.index)
    assert.equal(truncated.lastTerm, end.term)
    assert.equal(truncated.lastChainCrc, end.chainCrc)
    this.#ends.length = truncated.id + 1
    this.#durableIndex = truncated.id
    this.#core.cut(end)
    this.#cutPending = undefined
    // What comes next must not look like what was cut.
    this.#term++
  }

  /** Power may go again while the store is being opened. */
  #loseRecovery(): void {
    if (this.#random() < 0.6) return
    let left = randomBetween(this.#random, 0, 20)
    this.disk.beforeChange = () => {
      if (left-- === 0) throw new PowerLost()
    }
    try {
      openStore(CRASH_CONFIG, this.disk).store.abandon()
    } catch (error) {
      if (!(error instanceof PowerLost)) throw error
    }
    this.disk.beforeChange = () => {}
    this.disk.crash()
  }

  #restart(): void {
    this.#loseRecovery()
    const appended = this.#ends.length
    const started = this.#start()
    this.recovered = started.recovered
    this.#core = started.core
    this.#client = started.client
    this.#agent = started.agent
    const { tail, lastChainCrc, hardState } = this.recovered
    const needed = Math.min(this.#durableIndex, this.#cutPending ?? Number.POSITIVE_INFINITY)
    assert.ok(tail.lastIndex >= needed, `kept ${tail.lastIndex} of durable ${needed}`)
    assert.ok(tail.lastIndex < appended, 'nothing is there that was not appended')
    assert.ok(tail.firstIndex >= this.#firstIndex && tail.firstIndex <= this.#lastFirstIndex)
    this.#firstIndex = tail.firstIndex
    this.#lastFirstIndex = tail.firstIndex
    const end = this.#endAt(tail.lastIndex)
    assert.equal(tail.endPosition, end.position)
    assert.equal(lastChainCrc, end.chainCrc)
    assert.equal(tail.lastTerm, end.term)
    assert.ok(this.recovered.committedPosition <= end.position)
    assert.ok(
      this.#hardStates.some(
        (it) => it.term === hardState.term && it.votedFor === hardState.votedFor,
      ),
      'term and vote are the last answered or a later one',
    )
    this.#hardStates = [hardState]
    this.#ends.length = tail.lastIndex + 1
    this.#durableIndex = tail.lastIndex
    this.#cutPending = undefined
    this.#term++
    this.#checkSpans()
    this.#checkFiles()
  }

  #checkSpans(): void {
    const expected: { term: number; firstPosition: number; firstIndex: number }[] = []
    const { firstIndex } = this.recovered.tail
    for (const [index, end] of this.#ends.entries()) {
      if (index < firstIndex || expected.at(-1)?.term === end.term) continue
      const first = index === firstIndex
      const firstPosition = first
        ? this.recovered.tail.firstPosition
        : this.#endAt(index - 1).position
      expected.push({ term: end.term, firstPosition, firstIndex: index })
    }
    assert.deepEqual(this.recovered.tail.spans, expected)
  }

  /** Index units name every entry and no other; behind the end there are only zeros. */
  #checkFiles(): void {
    const reader = new LogFileReader(CRASH_CONFIG, this.disk)
    for (const [index, end] of this.#ends.entries()) {
      if (index < this.recovered.tail.firstIndex) continue
      const position = reader.entryPositionOfIndex(index)
      assert.ok(position >= this.#endAt(index - 1).position && position < end.position)
      assert.equal(reader.indexOfPosition(position), index)
    }
    assert.equal(reader.entryPositionOfIndex(this.#ends.length), -1)
    const end = this.#endAt(this.#ends.length - 1).position
    const rest = Buffer.alloc(4 * CRASH_CONFIG.segmentBytes!)
    reader.read(end, rest, 0, rest.length)
    assert.ok(rest.equals(Buffer.alloc(rest.length)), 'only zeros follow the end')
    reader.close()
  }

  #endAt(index: number): LogEnd {
    return index < 0 ? EMPTY : this.#ends[index]!
  }

  #start(): { recovered: Recovered; core: CoreFake; client: IoClient; agent: IoAgent } {
    const { store, recovered } = openStore(CRASH_CONFIG, this.disk)
    const shared = LogArena.allocate(ARENA)
    const port = allocateIoPort()
    const core = new CoreFake(shared, CRASH_CONFIG.segmentBytes!, store.end)
    const agent = new IoAgent({
      store,
      port,
      arena: new LogArena(shared),
      coreDoorbell: Doorbell.allocate(),
      clock: this.#clock,
    })
    return { recovered, core, client: new IoClient(port, core.arena), agent }
  }
}
