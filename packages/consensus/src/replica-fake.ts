/**
 * One replica under full control of a test: an IO worker that works when it is told to, peers whose
 * sockets take bytes when they are told to, and another leader's log to be sent from. Invariant:
 * the fake IO worker refuses what the real one refuses (a cut behind its end, a gap in the log).
 */
import { assert } from '@ringledger/base'
import {
  ENTRY_HEADER_BYTES,
  entryChainCrc,
  entryIndex,
  entryMagic,
  entryPosition,
  entrySize,
  entryTerm,
  MAGIC_BLANK,
} from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { type Append, type HardState, type PeerMessage, Raft, type Role } from './core/index.ts'
import { EntryWriter, type LogEnd } from './entry-writer.ts'
import type { CatchUpReader, EntryRange, LogPiece, LogStorage, PeerTransport } from './ports.ts'
import { Replica } from './replica.ts'

export const ARENA_BYTES = 65_536
export const MAX_ENTRY_BYTES = 4096
export const SEGMENT_BYTES = 16_384
/** As long as a broker's. */
const BARRIER_BYTES = 300
const FILE_BYTES = 1024 * 1024
export const EMPTY_LOG: LogEnd = { endPosition: 0, lastIndex: -1, lastTerm: -1, lastChainCrc: 0 }

type DiskWork =
  | { kind: 'write'; toPosition: number }
  | { kind: 'truncate'; position: number; id: number }
  | { kind: 'reset'; position: number; index: number; id: number }
  | { kind: 'persist'; state: HardState; id: number }

/** The IO worker: commands wait in order until `run`. */
export class FakeStorage implements LogStorage {
  readonly file: Buffer = Buffer.alloc(FILE_BYTES)
  readonly view: DataView
  readonly work: DiskWork[] = []
  hardState: HardState = { term: 0, votedFor: null }
  /** No space: writes wait, term and vote do not. */
  full = false
  /** Where the log begins. */
  first = 0
  /** End of what the file holds. */
  end: LogEnd = EMPTY_LOG
  readonly #arena: LogArena

  constructor(arena: LogArena) {
    this.#arena = arena
    this.view = new DataView(this.file.buffer, this.file.byteOffset, this.file.length)
  }

  write(toPosition: number): void {
    this.work.push({ kind: 'write', toPosition })
  }

  truncate(position: number, id: number): void {
    this.work.push({ kind: 'truncate', position, id })
  }

  /** What is lost is noted. */
  lost: { untilPosition: number; term: number } | undefined

  reset(
    position: number,
    index: number,
    lost: { untilPosition: number; term: number },
    id: number,
  ): void {
    this.lost = lost
    this.work.push({ kind: 'reset', position, index, id })
  }

  healed(): void {
    this.lost = undefined
  }

  saveHardState(state: HardState, id: number): void {
    this.work.push({ kind: 'persist', state, id })
  }

  flush(): void {}

  /** Carries out what waits, or the first `count` commands of it, and reports in that order. */
  run(replica: Replica, count: number = this.work.length): void {
    for (const work of this.work.splice(0, count)) {
      if (this.full && work.kind !== 'persist') {
        this.work.push(work)
        continue
      }
      switch (work.kind) {
        case 'write':
          this.#write(work.toPosition)
          // As IoClient: a durable position from before a cut is not told.
          if (!this.work.some((later) => later.kind === 'truncate')) {
            replica.onDurable(this.end.endPosition)
          }
          break
        case 'truncate':
          assert(work.position <= this.end.endPosition, 'truncation does not lengthen the log')
          this.end = this.endAt(work.position)
          this.file.fill(0, work.position)
          this.#arena.durable = work.position
          replica.onTruncated(work.id, this.end)
          break
        case 'reset':
          this.first = work.position
          this.end = {
            endPosition: work.position,
            lastIndex: work.index - 1,
            lastTerm: -1,
            lastChainCrc: -1,
          }
          this.#arena.durable = work.position
          replica.onTruncated(work.id, this.end)
          break
        case 'persist':
          this.hardState = work.state
          replica.onHardStateSaved(work.id)
      }
    }
  }

  /** The log's end at an entry's end. */
  endAt(position: number): LogEnd {
    let end = EMPTY_LOG
    for (let at = this.first; at < position; at += entrySize(this.view, at)) {
      if (entryMagic(this.view, at) === MAGIC_BLANK) continue
      end = {
        endPosition: at + entrySize(this.view, at),
        lastIndex: entryIndex(this.view, at),
        lastTerm: entryTerm(this.view, at),
        lastChainCrc: entryChainCrc(this.view, at),
      }
    }
    assert(end.endPosition === position, 'a cut is at an entry boundary')
    return end
  }

  #write(toPosition: number): void {
    const from = this.end.endPosition
    if (toPosition === from) return
    assert(toPosition > from, 'writes go on where the last one ended')
    this.#arena.forEachPiece(from, toPosition, (position, offset, sizeBytes) => {
      this.#arena.bytes.copy(this.file, position, offset, offset + sizeBytes)
    })
    const before = this.end
    this.end = this.endAt(toPosition)
    let index = before.lastIndex
    for (let at = from; at < toPosition; at += entrySize(this.view, at)) {
      if (entryMagic(this.view, at) === MAGIC_BLANK) continue
      assert(entryPosition(this.view, at) === at, 'an entry lies at its position')
      assert(entryIndex(this.view, at) === ++index, 'entries follow one another')
    }
    this.#arena.durable = toPosition
  }
}

export interface SentMessage {
  readonly to: string
  readonly message: PeerMessage
  readonly payload: Buffer
}

/** Sockets that take everything at once, but for those that are `stuck`. */
export class FakePeers implements PeerTransport<PeerMessage> {
  readonly sent: SentMessage[] = []
  readonly dropped: { id: string; reason: string }[] = []
  readonly stuck: Set<string> = new Set()
  /** Pieces that a stuck socket still reads. */
  readonly #held = new Map<string, LogPiece[]>()

  send(to: string, message: PeerMessage, pieces: readonly LogPiece[] = []): void {
    const parts = pieces.map((piece) =>
      Buffer.from(piece.buffer.subarray(piece.offset, piece.offset + piece.sizeBytes)),
    )
    this.sent.push({ to, message, payload: Buffer.concat(parts) })
    if (this.stuck.has(to)) this.#held.set(to, [...(this.#held.get(to) ?? []), ...pieces])
  }

  queuedBytes(id: string): number {
    return (this.#held.get(id) ?? []).reduce((sum, piece) => sum + piece.sizeBytes, 0)
  }

  unflushedPosition(id: string): number {
    const pinned = (this.#held.get(id) ?? []).filter((piece) => piece.pinned)
    return Math.min(Number.POSITIVE_INFINITY, ...pinned.map((piece) => piece.position))
  }

  drop(id: string, reason: string): void {
    this.dropped.push({ id, reason })
    this.#held.delete(id)
  }

  /** The socket has taken everything. */
  drain(id: string): void {
    this.#held.delete(id)
  }

  take(type: PeerMessage['type']): SentMessage[] {
    const found = this.sent.filter(({ message }) => message.type === type)
    this.sent.length = 0
    return found
  }
}

/** Reads from the fake IO worker's file; a test decides when a read ends. */
export class FakeReader implements CatchUpReader {
  readonly aroundBytes: number = 16
  readonly reads: { from: number; to: number; finish(error?: Error): void }[] = []
  readonly #storage: FakeStorage

  constructor(storage: FakeStorage) {
    this.#storage = storage
  }

  range(from: number, limit: number, maxBytes: number): EntryRange {
    const { view, end } = this.#storage
    let range: EntryRange | undefined
    for (let at = from; at < Math.min(limit, end.endPosition); at += entrySize(view, at)) {
      const entryEnd = at + entrySize(view, at)
      if (range !== undefined && entryEnd - from > maxBytes) break
      if (entryMagic(view, at) === MAGIC_BLANK) continue
      range = { endPosition: entryEnd, lastIndex: entryIndex(view, at) }
    }
    assert(range !== undefined, 'the file holds the range')
    return range
  }

  readAsync(from: number, to: number, target: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error): void => {
        const offset = this.aroundBytes - 1
        this.#storage.file.copy(target, offset, from, to)
        if (error === undefined) resolve(offset)
        else reject(error)
      }
      this.reads.push({ from, to, finish })
    })
  }
}

export interface TestReplicaOptions {
  readonly peerIds?: readonly string[]
  readonly syncBeforeAck?: boolean
}

/** The replica `n0` with its surroundings. */
export class TestReplica {
  readonly arena: LogArena
  readonly storage: FakeStorage
  readonly peers: FakePeers = new FakePeers()
  readonly reader: FakeReader
  readonly replica: Replica
  readonly roles: { role: Role; term: number; barrierEnd: number }[] = []
  readonly commits: number[] = []
  readonly log: string[] = []
  halted = ''
  wakes = 0

  constructor(options: TestReplicaOptions = {}) {
    const peerIds = options.peerIds ?? ['n1', 'n2']
    this.arena = new LogArena(
      LogArena.allocate({ sizeBytes: ARENA_BYTES, maxEntryBytes: MAX_ENTRY_BYTES }),
    )
    this.arena.reset(0)
    this.storage = new FakeStorage(this.arena)
    this.reader = new FakeReader(this.storage)
    const tail = { ...EMPTY_LOG, firstPosition: 0, firstIndex: 0, spans: [] }
    this.replica = new Replica({
      raft: new Raft(
        {
          selfId: 'n0',
          peerIds,
          random: () => 0.5,
          maxBatchBytes: ARENA_BYTES / 16,
          maxInflightBytes: ARENA_BYTES / 4,
        },
        this.storage.hardState,
        tail,
      ),
      arena: this.arena,
      end: EMPTY_LOG,
      committedPosition: 0,
      segmentBytes: SEGMENT_BYTES,
      storage: this.storage,
      peers: this.peers,
      peerIds,
      reader: this.reader,
      syncBeforeAck: options.syncBeforeAck ?? true,
      maxUncommittedBytes: ARENA_BYTES / 2,
      hooks: {
        barrier: (term) => Buffer.from(`barrier of term ${term}`.padEnd(BARRIER_BYTES)),
        patchBarrier: () => {},
        onRole: (role, term, _leaderId, barrierEnd) => {
          this.roles.push({ role, term, barrierEnd })
        },
        onCommit: (position) => this.commits.push(position),
        onHalted: (reason) => {
          this.halted = reason
        },
        log: (_level, line) => this.log.push(line),
      },
      wake: () => this.wakes++,
    })
    for (const id of peerIds) this.replica.onPeerConnected(id)
  }

  /** Lays one entry and returns its end. */
  append(bodyBytes: number, fill = 1): number {
    const offset = this.replica.claim(bodyBytes)
    assert(offset >= 0, `the leader has room (${offset})`)
    this.replica.bytes.fill(fill, offset, offset + bodyBytes)
    this.replica.seal()
    return this.replica.endPosition
  }

  receive(message: PeerMessage, payload: Buffer = Buffer.alloc(0)): void {
    this.replica.onPeerMessage(message.from, message, payload, 0, payload.length)
  }

  /** Makes it campaign until it leads, with the votes of `n1`. */
  elect(): void {
    const { raft } = this.replica
    for (let ticks = 0; ticks < 200 && raft.role !== 'preCandidate'; ticks++) this.replica.tick()
    const common = { from: 'n1', to: 'n0', granted: true, reason: 'none' } as const
    const term = raft.term
    const asked = this.peers.take('preVote').at(-1)?.message
    assert(asked?.type === 'preVote', 'it asked before it campaigns')
    const { nextTerm, askedTick } = asked
    this.receive({ ...common, type: 'preVoteReply', term, nextTerm, askedTick })
    this.storage.run(this.replica)
    this.receive({ ...common, type: 'voteReply', term: term + 1 })
    assert(this.replica.leading, 'a majority voted')
    this.replica.endTurn()
    this.storage.run(this.replica)
  }

  /** A follower says that it has everything below `position`. */
  accept(from: string, position: number): void {
    const { term } = this.replica.raft
    this.receive({
      type: 'appendReply',
      from,
      to: 'n0',
      term,
      accepted: true,
      matchPosition: position,
      endPosition: position,
      conflictTerm: -1,
      round: 0,
      diskFull: false,
    })
  }

  /** One turn in which the disk and the followers in `ids` keep up. */
  settle(ids: readonly string[] = ['n1']): void {
    this.replica.endTurn()
    this.storage.run(this.replica)
    for (const id of ids) this.accept(id, this.replica.endPosition)
    this.replica.endTurn()
  }
}

/** Another node's log, to be sent as its leader would. */
export class OtherLog {
  readonly #arena: LogArena
  readonly #writer: EntryWriter
  readonly #spans: { term: number; firstPosition: number; firstIndex: number }[] = []
  readonly #ends: { position: number; index: number; term: number }[] = [
    { position: 0, index: -1, term: -1 },
  ]

  constructor(maxEntryBytes: number = MAX_ENTRY_BYTES) {
    this.#arena = new LogArena(LogArena.allocate({ sizeBytes: FILE_BYTES, maxEntryBytes }))
    this.#arena.reset(0)
    this.#writer = new EntryWriter(this.#arena, SEGMENT_BYTES, EMPTY_LOG)
  }

  get end(): number {
    return this.#writer.endPosition
  }

  /** End of the first entry. */
  get firstEnd(): number {
    return this.#ends[1]?.position ?? 0
  }

  /** Begins with what `node` has in its arena below `to`. */
  adopt(node: TestReplica, to: number): void {
    const { view, bytes } = node.arena
    for (let at = 0; at < to; at += entrySize(view, at)) {
      if (entryMagic(view, at) === MAGIC_BLANK) continue
      const bodyBytes = entrySize(view, at) - ENTRY_HEADER_BYTES
      const term = entryTerm(view, at)
      const offset = this.#claim(term, bodyBytes)
      bytes.copy(this.#arena.bytes, offset, at + ENTRY_HEADER_BYTES, at + entrySize(view, at))
      this.#seal(term)
    }
    assert(this.end === to, 'the logs are equal up to an entry end')
  }

  append(term: number, bodyBytes: number, fill = 2): number {
    const offset = this.#claim(term, bodyBytes)
    this.#arena.bytes.fill(fill, offset, offset + bodyBytes)
    this.#seal(term)
    return this.end
  }

  #claim(term: number, bodyBytes: number): number {
    if (this.#writer.lastTerm !== term) {
      const firstPosition = this.end
      this.#spans.push({ term, firstPosition, firstIndex: this.#writer.lastIndex + 1 })
    }
    const offset = this.#writer.claim(bodyBytes)
    assert(offset >= 0, 'room for a test')
    return offset
  }

  #seal(term: number): void {
    this.#writer.seal(term)
    this.#ends.push({ position: this.end, index: this.#writer.lastIndex, term })
  }

  bytes(from: number, to: number): Buffer {
    return Buffer.from(this.#arena.bytes.subarray(from, to))
  }

  /** The Append of `from` in `term` for [prevPosition, endPosition), which `bytes` goes beside. */
  message(from: string, term: number, prevPosition: number, endPosition: number): Append {
    const before = this.#ends.find((end) => end.position === prevPosition)
    const last = this.#ends.find((end) => end.position === endPosition)
    assert(before !== undefined && last !== undefined, 'positions are ends of entries')
    const spans = this.#spans.filter((span, at) => {
      const spanEnd = this.#spans[at + 1]?.firstPosition ?? this.end
      return span.firstPosition < endPosition && spanEnd > prevPosition
    })
    const isEmpty = prevPosition === endPosition
    return {
      type: 'append',
      from,
      to: 'n0',
      term,
      prevPosition,
      prevTerm: before.term,
      endPosition,
      lastIndex: isEmpty ? -1 : last.index,
      spans: isEmpty ? [] : spans,
      commitPosition: 0,
      round: 1,
    }
  }

  /** Sends [prevPosition, endPosition) to `node`. */
  send(node: TestReplica, from: string, term: number, prev: number, end: number): void {
    node.receive(this.message(from, term, prev, end), this.bytes(prev, end))
  }

  /** Sends everything behind the node's end, entry by entry, with the disk keeping up. */
  stream(node: TestReplica, from: string, term: number): void {
    for (const { position } of this.#ends) {
      const prev = node.replica.endPosition
      if (position <= prev) continue
      this.send(node, from, term, prev, position)
      node.replica.endTurn()
      node.storage.run(node.replica)
    }
  }
}
