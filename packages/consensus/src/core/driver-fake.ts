/**
 * A driver without sockets and files, for tests: obeys the effects of one machine, keeps its log as
 * an array of entries and its disk as another. Disk work waits in a queue until `sync` is called.
 * Invariant: what `crash` leaves is exactly what had been synced (and, on request, a part of the
 * rest, as a page cache would).
 */
import { assert, type Random, randomBetween } from '@ringledger/base'
import type { Effects } from './effects.ts'
import { type HardState, type LogTail, NO_TERM, type PeerMessage } from './messages.ts'
import { Raft } from './raft.ts'

/** One entry as tests see it; `value` stands for its bytes. */
export interface FakeEntry {
  readonly term: number
  readonly index: number
  /** Position of the first byte. */
  readonly position: number
  readonly end: number
  readonly value: string
}

/** A message with the entries that travel beside it. */
export interface Letter {
  readonly message: PeerMessage
  readonly entries: readonly FakeEntry[]
}

/** Where a log that lost its beginning starts. */
export interface LogFirst {
  readonly position: number
  readonly index: number
}

type DiskWork =
  | { readonly kind: 'write'; readonly entries: readonly FakeEntry[] }
  | { readonly kind: 'truncate'; readonly position: number }
  | {
      readonly kind: 'reset'
      readonly first: LogFirst
      readonly lost: NonNullable<FakeDriver['lost']>
    }
  | { readonly kind: 'persist'; readonly id: number; readonly hardState: HardState }

export interface FakeDriverOptions {
  readonly selfId: string
  readonly peerIds: readonly string[]
  readonly random: Random
  readonly preferredLeaderId?: string
  readonly maxInflightBytes?: number
  readonly maxBatchBytes?: number
  /** Called with each batch of effects once it was obeyed. */
  readonly onEffects?: (driver: FakeDriver, effects: Effects) => void
}

export const BARRIER_BYTES = 50

export class FakeDriver {
  readonly id: string
  readonly options: FakeDriverOptions
  raft: Raft
  log: FakeEntry[] = []
  disk: FakeEntry[] = []
  savedHardState: HardState = { term: 0, votedFor: null }
  work: DiskWork[] = []
  /** Letters that may leave now. */
  outbox: Letter[] = []
  alive = true
  first: LogFirst = { position: 0, index: 0 }
  /** Position of a damaged entry on the disk, -1: none. */
  damagedAt = -1
  /** Set while something acknowledged is lost: noted on the disk. */
  lost: { readonly untilPosition: number; readonly term: number } | undefined
  #inbound: readonly FakeEntry[] = []

  constructor(options: FakeDriverOptions, disk: FakeEntry[] = [], hardState?: HardState) {
    this.id = options.selfId
    this.options = options
    this.disk = disk
    if (hardState !== undefined) this.savedHardState = hardState
    this.raft = this.#boot()
  }

  #boot(): Raft {
    const { selfId, peerIds, random, preferredLeaderId, maxInflightBytes, maxBatchBytes } =
      this.options
    this.log = [...this.disk]
    const config = {
      selfId,
      peerIds,
      random,
      ...(preferredLeaderId === undefined ? {} : { preferredLeaderId }),
      ...(maxInflightBytes === undefined ? {} : { maxInflightBytes }),
      ...(maxBatchBytes === undefined ? {} : { maxBatchBytes }),
    }
    return new Raft(config, this.savedHardState, {
      ...tailOf(this.log, this.first),
      ...this.#healing(),
    })
  }

  #healing(): Pick<LogTail, 'healing'> {
    if (this.damagedAt < 0 && this.lost === undefined) return {}
    const soundPosition = this.damagedAt < 0 ? Number.POSITIVE_INFINITY : this.damagedAt
    const { untilPosition = 0, term = this.savedHardState.term } = this.lost ?? {}
    return { healing: { soundPosition, untilPosition, term } }
  }

  /** Retention drops the entries below `index`. */
  trim(index: number): void {
    const entry = this.disk.find((each) => each.index === index)
    assert(entry !== undefined, 'the first kept entry is there')
    this.first = { position: entry.position, index }
    this.disk = this.disk.filter((each) => each.index >= index)
    this.log = this.log.filter((each) => each.index >= index)
    this.raft.step({ type: 'trimmed', firstPosition: entry.position, firstIndex: index })
    this.act()
  }

  /** The damaged entry was replaced by the one a peer has. */
  mend(): void {
    this.damagedAt = -1
    this.raft.step({ type: 'mended', soundPosition: Number.POSITIVE_INFINITY })
    this.act()
  }

  tick(): void {
    this.raft.tick()
    this.act()
  }

  receive(letter: Letter): void {
    this.#inbound = letter.entries
    this.raft.step(letter.message)
    this.act()
    this.#inbound = []
  }

  connected(id: string): void {
    this.raft.step({ type: 'peerConnected', id })
    this.act()
  }

  disconnected(id: string): void {
    this.raft.step({ type: 'peerDisconnected', id })
    this.act()
  }

  /** Leader: lays one entry; sent to peers at the end of the turn (`flush`). */
  append(value: string, sizeBytes: number): void {
    assert(this.raft.acceptsAppends, 'only a leader lays entries')
    this.#lay(value, sizeBytes)
    this.act()
  }

  #lay(value: string, sizeBytes: number): void {
    const position = this.raft.endPosition
    const end = position + sizeBytes
    const index = this.raft.lastIndex + 1
    const entry = { term: this.raft.term, index, position, end, value }
    this.log.push(entry)
    this.work.push({ kind: 'write', entries: [entry] })
    this.raft.step({ type: 'appended', endPosition: end, lastIndex: index })
  }

  /** End of a turn: one Append per peer, cut to whole entries. */
  flush(): void {
    for (const id of this.options.peerIds) {
      for (let plan = this.raft.nextAppend(id); plan !== undefined; ) {
        const { prevPosition, limitPosition, maxBytes } = plan
        const entries: FakeEntry[] = []
        for (const entry of this.log) {
          if (entry.position < prevPosition || entry.end > limitPosition) continue
          if (entries.length > 0 && entry.end - prevPosition > maxBytes) break
          entries.push(entry)
        }
        const last = entries.at(-1)
        assert(last !== undefined, 'a plan covers at least one entry')
        const message = this.raft.sendAppend(plan, last.end, last.index)
        assert(message !== undefined, 'a plan sent in the same turn holds')
        this.outbox.push({ message, entries })
        plan = this.raft.nextAppend(id)
      }
    }
    this.raft.flushCommit()
    this.act()
  }

  /** Does the oldest disk work, and reports it. False when there is none. */
  sync(): boolean {
    const work = this.work.shift()
    if (work === undefined) return false
    if (work.kind === 'persist') {
      this.savedHardState = work.hardState
      this.raft.step({ type: 'hardStateSaved', id: work.id })
    } else if (work.kind === 'reset') {
      this.disk = []
      this.first = work.first
      this.lost = work.lost
      this.raft.step({ type: 'truncated' })
    } else if (work.kind === 'truncate') {
      this.disk = this.disk.filter((entry) => entry.end <= work.position)
      if (this.damagedAt >= work.position) this.damagedAt = -1
      this.raft.step({ type: 'truncated' })
    } else {
      this.disk.push(...work.entries)
      this.raft.step({ type: 'durable', position: this.disk.at(-1)?.end ?? 0 })
    }
    this.act()
    return true
  }

  /** Loses memory. With `random`, some unsynced writes reach the disk nevertheless, in order. */
  crash(random?: Random): void {
    this.alive = false
    const done = random === undefined ? 0 : randomBetween(random, 0, this.work.length + 1)
    for (const work of this.work.slice(0, done)) {
      if (work.kind === 'persist') this.savedHardState = work.hardState
      else if (work.kind === 'write') this.disk.push(...work.entries)
      else if (work.kind === 'reset') {
        this.disk = []
        this.first = work.first
        this.lost = work.lost
      } else this.disk = this.disk.filter((entry) => entry.end <= work.position)
    }
    this.work = []
    this.outbox = []
  }

  restart(): void {
    this.alive = true
    this.raft = this.#boot()
    this.act()
  }

  /** Obeys effects until there are none. */
  act(): void {
    for (let effects = this.raft.takeEffects(); ; effects = this.raft.takeEffects()) {
      const again = this.#obey(effects)
      this.options.onEffects?.(this, effects)
      if (!again) return
    }
  }

  /** True if obeying may have caused further effects. */
  #obey(effects: Effects): boolean {
    if (effects.truncate !== undefined) {
      const { position } = effects.truncate
      this.log = this.log.filter((entry) => entry.end <= position)
      this.work.push({ kind: 'truncate', position })
    }
    if (effects.reset !== undefined) {
      const { position, index, untilPosition, term } = effects.reset
      this.log = []
      this.work.push({
        kind: 'reset',
        first: { position, index },
        lost: { untilPosition, term },
      })
    }
    if (effects.accept !== undefined) {
      const { fromPosition, toPosition } = effects.accept
      const entries = this.#inbound.filter((entry) => entry.position >= fromPosition)
      assert(entries[0]?.position === fromPosition, 'accepted from an entry start')
      assert(entries.at(-1)?.end === toPosition, 'accepted to an entry end')
      this.log.push(...entries)
      this.work.push({ kind: 'write', entries })
    }
    if (effects.persist !== undefined) {
      const { id, term, votedFor } = effects.persist
      this.work.push({ kind: 'persist', id, hardState: { term, votedFor } })
    }
    if (effects.healed === true) this.lost = undefined
    for (const message of effects.send) this.outbox.push({ message, entries: [] })
    if (effects.becameLeader !== undefined && this.raft.role === 'leader') {
      this.#lay(`barrier of ${this.id}`, BARRIER_BYTES)
      return true
    }
    return false
  }
}

/** What recovery would report of these entries. */
export function tailOf(
  log: readonly FakeEntry[],
  first: LogFirst = { position: 0, index: 0 },
): LogTail {
  const spans: { term: number; firstPosition: number; firstIndex: number }[] = []
  for (const entry of log) {
    if (spans.at(-1)?.term === entry.term) continue
    spans.push({ term: entry.term, firstPosition: entry.position, firstIndex: entry.index })
  }
  const last = log.at(-1)
  return {
    firstPosition: first.position,
    firstIndex: first.index,
    endPosition: last?.end ?? first.position,
    lastIndex: last?.index ?? first.index - 1,
    lastTerm: last?.term ?? NO_TERM,
    spans,
  }
}

/** A log of entries of the given terms, 100 bytes each. */
export function logOfTerms(terms: readonly number[]): FakeEntry[] {
  return terms.map((term, index) => ({
    term,
    index,
    position: index * 100,
    end: index * 100 + 100,
    value: `${term}.${index}`,
  }))
}
