/**
 * Drives the Raft machine of one node: lays entries into the arena, asks the IO worker for
 * durability, talks to the peers and reports commits and roles. Runs on one event-loop thread; its
 * owner calls `endTurn` once per loop turn. Invariants: the arena's `appended` word is published
 * after the bytes below it are complete; nothing leaves for a peer or a client before the machine
 * released it; a refused payload changes nothing.
 */
import { assert } from '@ringledger/base'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { BoundaryLog, type CommittedBoundary } from './boundary-log.ts'
import {
  type Append,
  type Effects,
  isPeerMessage,
  type Message,
  type PeerMessage,
  type Raft,
  Role,
} from './core/index.ts'
import { ClaimRefusal, EntryWriter, type LogEnd } from './entry-writer.ts'
import { checkPayload } from './payload-check.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { Replicator } from './replicator.ts'

/** At most one line about refused entries in this time: 10 s. */
const REFUSAL_LINE_TICKS = 400

/**
 * Clients' entries that are not on the own disk fill this part of the arena at most. The disk may
 * be behind the commit position, so that it alone bounds them.
 */
const MAX_UNSYNCED_PART = 0.75

export class Replica {
  readonly raft: Raft
  readonly arena: LogArena
  readonly #options: ReplicaOptions
  readonly #writer: EntryWriter
  readonly #replicator: Replicator
  #leading = false
  #term = 0
  #publishedEnd: number
  #committed: number
  /** On this node's disk. */
  #durable: number
  /** What readers see as committed. */
  #shown: number
  /** Entries behind this entry's end are not shown: the next one is damaged. */
  #sound: number
  #resetting = false
  readonly #boundaries = new BoundaryLog()
  #truncationId = 0
  #truncating = false
  #halted = false
  #ticks = 0
  /** Payloads refused since the last line about them, and the tick of the next one. */
  #refusals = 0
  #sayRefusedTick = 0

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.raft = options.raft
    this.arena = options.arena
    this.#writer = new EntryWriter(options.arena, options.segmentBytes, options.end)
    this.#publishedEnd = options.end.endPosition
    this.#committed = options.committedPosition
    this.#durable = options.end.endPosition
    this.#sound = options.soundPosition ?? Number.POSITIVE_INFINITY
    this.#shown = Math.min(options.committedPosition, this.#sound)
    this.#replicator = new Replicator(options)
  }

  get leading(): boolean {
    return this.#leading
  }

  get term(): number {
    return this.#term
  }

  /** Leads, but takes no entry any more, or for some hundred milliseconds. */
  get handingOver(): boolean {
    return this.#leading && !this.raft.acceptsAppends
  }

  get endPosition(): number {
    return this.#writer.endPosition
  }

  get committedPosition(): number {
    return this.#committed
  }

  /** A committed entry's end with its index, at or a little below the commit position. */
  get committedBoundary(): CommittedBoundary {
    return this.#boundaries.committed
  }

  get bytes(): Buffer {
    return this.arena.bytes
  }

  get view(): DataView {
    return this.arena.view
  }

  get claimedPosition(): number {
    return this.#writer.claimedPosition
  }

  /** Leader: room for an entry. Body offset in the arena, or a `ClaimRefusal`. */
  claim(bodyBytes: number): number {
    assert(this.#leading, 'only a leader orders entries')
    if (!this.raft.acceptsAppends) return ClaimRefusal.HANDING_OVER
    const end = this.#writer.endPosition + bodyBytes
    if (end - this.#committed > this.#options.maxUncommittedBytes) return ClaimRefusal.BUSY
    // The rest of the arena stays free for the barriers of terms to come.
    if (end - this.#durable > this.arena.sizeBytes * MAX_UNSYNCED_PART) return ClaimRefusal.BUSY
    return this.#claimRoom(bodyBytes)
  }

  /** Leader: the claimed entry is complete. */
  seal(): void {
    this.#writer.seal(this.#term)
  }

  /** The log's end before a run of entries that are to be ordered all or none. */
  get end(): LogEnd {
    return this.#writer.end
  }

  /** Leader: forgets the entries sealed since `end` was noted, within the same turn. */
  takeBack(end: LogEnd): void {
    this.#writer.takeBack(end)
  }

  /** Hands leadership to `target` once it has everything; claims are refused meanwhile. */
  transfer(target: string): void {
    if (this.#halted) return
    this.#step({ type: 'transfer', target })
    this.#act()
  }

  /**
   * Leader: asks a majority whether it still leads; answered by `onReadIndex`. No lease and no
   * clock is trusted.
   */
  readIndex(id: number): void {
    if (this.#halted) return
    this.#step({ type: 'readIndex', id })
    this.#act()
  }

  /**
   * Segments were deleted: the log begins here now. The last entry before those that are damaged,
   * and left, ends at `soundPosition`; Infinity when none is.
   */
  onTrimmed(firstPosition: number, firstIndex: number, soundPosition: number): void {
    if (this.#halted) return
    this.#step({ type: 'trimmed', firstPosition, firstIndex })
    this.#soundTo(soundPosition)
  }

  tick(): void {
    if (this.#halted) return
    this.#ticks++
    if (this.#leading) this.#publish()
    this.raft.tick()
    // The next entries bring the commit position, too: only peers without any are told of it alone,
    // and not at once. A message each would cost the one who waits for the next answer.
    this.raft.flushCommit()
    this.#act()
    this.#replicator.tick()
  }

  onPeerConnected(id: string): void {
    if (this.#halted) return
    this.#step({ type: 'peerConnected', id })
    this.#act()
  }

  onPeerDisconnected(id: string): void {
    if (this.#halted) return
    this.#step({ type: 'peerDisconnected', id })
    this.#act()
  }

  /** `payload` holds the bytes that came beside an Append, valid during the call only. */
  onPeerMessage(
    from: string,
    message: PeerMessage,
    payload: Buffer,
    start: number,
    end: number,
  ): void {
    if (this.#halted) return
    if (!isPeerMessage(message)) {
      this.#options.hooks.log(
        'error',
        'a peer sent a message that is none; its connection is closed',
      )
      this.#options.peers.drop(from, 'malformed message')
      return
    }
    // An Append that announces entries without bringing them is judged as a payload, and refused.
    const announced = message.type === 'append' && message.endPosition !== message.prevPosition
    if (message.type !== 'append' || (end === start && !announced)) {
      this.#step(message)
      this.#act()
      return
    }
    this.#onPayload(message, payload, start, end)
  }

  onDurable(position: number): void {
    if (this.#halted) return
    this.#durable = position
    this.#show()
    if (!this.#options.syncBeforeAck) return
    this.raft.step({ type: 'durable', position })
    this.#act()
  }

  onHardStateSaved(id: number): void {
    if (this.#halted) return
    this.raft.step({ type: 'hardStateSaved', id })
    this.#act()
  }

  onTruncated(id: number, end: LogEnd): void {
    if (this.#halted || id !== this.#truncationId) return
    this.#truncating = false
    const isReset = this.#resetting
    this.#resetting = false
    if (isReset) this.#writer.beginAnew(end)
    else this.#writer.cut(end)
    this.#boundaries.cut(end.endPosition)
    this.#publishedEnd = end.endPosition
    this.#durable = isReset ? end.endPosition : Math.min(this.#durable, end.endPosition)
    if (isReset || end.endPosition <= this.#sound) this.#sound = Number.POSITIVE_INFINITY
    this.#show()
    if (isReset) this.#options.hooks.onLogReset?.(end.endPosition, end.lastIndex + 1)
    this.raft.step({ type: 'truncated' })
    this.#act()
  }

  /**
   * A damaged entry was replaced: the last entry before those that are left ends at
   * `soundPosition`; `lastChainCrc` is of the log's end on disk, -1 while that is not known.
   */
  onMended(soundPosition: number, lastChainCrc: number): void {
    if (this.#halted) return
    this.#writer.learnChain(lastChainCrc)
    this.#soundTo(soundPosition)
  }

  onStorageFailed(reason: string): void {
    if (this.#halted) return
    this.raft.step({ type: 'storageFailed', reason })
    this.#act()
  }

  /** The disk has no space for more of the log, or has some again: others should lead meanwhile. */
  onDiskFull(full: boolean): void {
    if (this.#halted) return
    this.#step({ type: 'diskFull', full })
    this.#act()
  }

  /** Hands the turn's work on: new bytes to the IO worker and to the peers. */
  endTurn(): void {
    if (this.#halted) return
    this.#publish()
    if (this.#leading) {
      this.#replicator.pumpAll()
    } else {
      this.#replicator.pin()
    }
    this.#options.storage.flush()
  }

  /** Some damage is no more. */
  #soundTo(soundPosition: number): void {
    this.#sound = Math.max(this.#sound, soundPosition)
    this.#replicator.damageMended()
    this.#step({ type: 'mended', soundPosition })
    this.#act()
    this.#show()
  }

  /**
   * What was laid belongs to the current term, so the machine hears of it before any message that
   * may end that term or make it compare ends.
   */
  #step(message: Message): void {
    if (this.#leading) this.#publish()
    this.raft.step(message)
  }

  #publish(): void {
    const end = this.#writer.endPosition
    if (end === this.#publishedEnd || this.#truncating) return
    this.#publishedEnd = end
    this.arena.appended = end
    this.#options.storage.write(end)
    this.#boundaries.add(end, this.#writer.lastIndex)
    if (this.#leading) {
      this.raft.step({ type: 'appended', endPosition: end, lastIndex: this.#writer.lastIndex })
    }
    if (!this.#options.syncBeforeAck) this.raft.step({ type: 'durable', position: end })
    this.#act()
  }

  /** The leader sends them again with every new connection: one line in a while says enough. */
  #sayRefused(from: string, problem: string): void {
    this.#refusals++
    if (this.#ticks < this.#sayRefusedTick) return
    this.#sayRefusedTick = this.#ticks + REFUSAL_LINE_TICKS
    const count = this.#refusals > 1 ? ` (${this.#refusals} times since it was last said)` : ''
    this.#options.hooks.log('error', `refused entries from ${from}: ${problem}${count}`)
    this.#refusals = 0
  }

  #onPayload(message: Append, payload: Buffer, start: number, end: number): void {
    const { segmentBytes } = this.#options
    const followsEnd = message.prevPosition === this.#writer.endPosition
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
    const run = checkPayload(payload, view, start, end, {
      fromPosition: message.prevPosition,
      previousChainCrc:
        followsEnd && this.#writer.lastTerm === message.prevTerm && this.#writer.lastChainCrc >= 0
          ? this.#writer.lastChainCrc
          : undefined,
      segmentBytes,
      lapBytes: this.arena.sizeBytes,
      maxPieceBytes: this.arena.maxEntryBytes,
    })
    const agrees =
      run.ok &&
      run.endPosition === message.endPosition &&
      run.lastIndex === message.lastIndex &&
      run.spans.length === message.spans.length &&
      run.spans.every((span, at) => span.term === message.spans[at]?.term)
    if (!agrees) {
      const problem = run.problem || 'the message and its bytes disagree'
      this.#sayRefused(message.from, problem)
      this.#options.peers.drop(message.from, problem)
      return
    }
    if (run.endPosition - this.arena.durable > this.arena.sizeBytes / 2) {
      // Our disk is behind; the leader asks again.
      return
    }
    this.#step(message)
    const effects = this.raft.takeEffects()
    const { accept } = effects
    if (accept !== undefined) {
      const after: LogEnd = { ...run, endPosition: accept.toPosition }
      assert(accept.toPosition === run.endPosition, 'a payload is taken to its end')
      this.#replicator.releaseSlowPeers(accept.fromPosition, accept.toPosition)
      const taken = this.#writer.copyRun(payload, start, message.prevPosition, run.pieceEnds, after)
      assert(taken, 'the arena has room, it was asked before')
    }
    this.#actOn(effects)
    this.#act()
  }

  #act(): void {
    // Acting may cause new effects (a barrier is laid, a single node commits): go on until none are
    // left.
    for (let rounds = 0; ; rounds++) {
      assert(rounds < 64, 'effects settle')
      const effects = this.raft.takeEffects()
      if (!this.#actOn(effects)) return
    }
  }

  /** True if acting may have caused further effects. */
  #actOn(effects: Effects): boolean {
    const { hooks, storage, peers } = this.#options
    let again = false
    if (effects.halted !== undefined) {
      this.#halted = true
      this.#leading = false
      hooks.onHalted(effects.halted)
    }
    if (effects.truncate !== undefined) this.#truncate(effects.truncate.position)
    if (effects.reset !== undefined) this.#beginAnew(effects.reset)
    if (effects.healed === true) {
      storage.healed()
      hooks.log('info', 'this node has everything again that it once acknowledged: it votes')
    }
    if (effects.persist !== undefined) {
      const { id, term, votedFor } = effects.persist
      storage.saveHardState({ term, votedFor }, id)
    }
    for (const message of effects.send) peers.send(message.to, message)
    if (effects.roleChange !== undefined) this.#changeRole(effects.roleChange)
    if (effects.becameLeader !== undefined) {
      this.#layBarrier(effects.becameLeader.term)
      again = true
    }
    if (effects.commitPosition !== undefined) {
      this.#committed = effects.commitPosition
      this.#boundaries.commit(effects.commitPosition)
      this.#show()
    }
    for (const read of effects.reads) hooks.onReadIndex?.(read.id, read.position)
    const ended = effects.transferEnded
    if (ended !== undefined) hooks.onTransferEnded?.(ended.target, ended.done, ended.reason)
    this.#replicator.dirty ||= effects.replicate
    return again
  }

  /**
   * Lets readers see what is committed *and* on this node's own disk: what they derive from it must
   * not run ahead of the log that this node finds after a crash.
   */
  #show(): void {
    const visible = Math.min(this.#committed, this.#durable, this.#sound)
    if (visible <= this.#shown) return
    this.#shown = visible
    this.arena.committed = visible
    this.#options.hooks.onCommit(visible)
  }

  #changeRole(change: NonNullable<Effects['roleChange']>): void {
    this.#term = change.term
    this.#leading = change.role === Role.leader
    this.#replicator.leadershipChanged(this.#leading)
    // A new leader is reported with its barrier.
    if (this.#leading) return
    const leaderId = change.leaderId ?? ''
    this.#options.hooks.onRole(change.role, change.term, leaderId, 0, change.reason)
  }

  /** Room for an entry, if need be in place of bytes that a peer does not read. */
  #claimRoom(bodyBytes: number): number {
    const offset = this.#writer.claim(bodyBytes)
    if (offset !== ClaimRefusal.BUSY) return offset
    const { endPosition } = this.#writer
    this.#replicator.releaseSlowPeers(endPosition, this.#writer.endAfter(bodyBytes))
    return this.#writer.claim(bodyBytes)
  }

  #layBarrier(term: number): void {
    const { hooks } = this.#options
    this.#leading = true
    this.#term = term
    const body = hooks.barrier(term)
    const offset = this.#claimRoom(body.length)
    assert(offset >= 0, 'a new leader has room for its barrier')
    body.copy(this.arena.bytes, offset)
    hooks.patchBarrier(this.arena.view, offset, this.#writer.claimedPosition + 48)
    this.#writer.seal(term, this.#options.barrierChannel)
    const end = this.#writer.endPosition
    const self = this.raft.status()
    hooks.onRole(Role.leader, term, self.selfId, end, self.lastElectionReason)
    this.#publish()
  }

  #truncate(position: number): void {
    const { storage } = this.#options
    // The cut may lie in what this very turn took, which the IO worker has not heard of.
    const end = this.#writer.endPosition
    if (end !== this.#publishedEnd) {
      this.#publishedEnd = end
      this.arena.appended = end
      storage.write(end)
    }
    this.#truncating = true
    this.#truncationId += 1
    storage.truncate(position, this.#truncationId)
  }

  #beginAnew({ position, index, untilPosition, term }: NonNullable<Effects['reset']>): void {
    const { storage, hooks } = this.#options
    hooks.log(
      'warn',
      `the leader has dropped what this node lacks: its log begins anew at position ${position}; ` +
        'it does not vote until it has caught up',
    )
    this.#publishedEnd = this.#writer.endPosition
    this.#truncating = true
    this.#resetting = true
    hooks.onResetBegins?.()
    this.#truncationId += 1
    storage.reset(position, index, { untilPosition, term }, this.#truncationId)
  }
}
