/**
 * Sends a leader's log to its peers: what is in the arena straight from there, older parts from the
 * files, each peer at its own pace. Invariants: bytes that a socket still holds are pinned in the
 * arena; a peer that holds them for too long loses its connection, so that it never stops the
 * writer; one file read per peer is under way at most.
 */
import { assert, LedgerError } from '@ringledger/base'
import { entryIndex, entryMagic, entrySize, MAGIC_BLANK } from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { CatchUpBuffers } from './catch-up-buffers.ts'
import { CatchUpPace } from './catch-up-pace.ts'
import type { AppendPlan, PeerMessage, Raft } from './core/index.ts'
import type { CatchUpReader, EntryRange, LogPiece, PeerTransport } from './ports.ts'

/** Bytes of Appends that one peer's socket may hold. */
const MAX_QUEUED_BYTES = 8 * 1024 * 1024
/** A peer that waits for a repair is tried again after this, whether one was told of or not. */
const DAMAGE_RETRY_TICKS = 40

export interface ReplicatorOptions {
  raft: Raft
  arena: LogArena
  peers: PeerTransport<PeerMessage>
  peerIds: readonly string[]
  reader: CatchUpReader
  hooks: { log(level: 'info' | 'warn' | 'error', line: string): void }
  /** Asks for an end of turn soon. */
  wake(): void
}

export class Replicator {
  /** Some peer may be sent entries. */
  dirty = false
  readonly #options: ReplicatorOptions
  readonly #buffers = new Map<string, CatchUpBuffers>()
  readonly #reading = new Set<string>()
  /** Peers that wait for a repair, and the tick at which they are tried again in any case. */
  readonly #blocked = new Map<string, number>()
  #ticks = 0
  #pace = new CatchUpPace(0)
  /** Peers that the pace keeps back until the next tick. */
  readonly #paced = new Set<string>()
  #leading = false

  constructor(options: ReplicatorOptions) {
    this.#options = options
  }

  leadershipChanged(leading: boolean): void {
    this.#leading = leading
    this.#pace = new CatchUpPace(this.#options.raft.endPosition)
    this.#paced.clear()
    this.dirty = leading
  }

  /** A tick of time has passed. */
  tick(): void {
    this.#ticks++
    for (const [id, untilTick] of this.#blocked) {
      if (this.#ticks < untilTick) continue
      this.#blocked.delete(id)
      this.dirty = true
    }
    if (!this.#leading) return
    this.#pace.tick(this.#options.raft.endPosition)
    if (this.#paced.size === 0 || !this.#pace.open) return
    this.#paced.clear()
    this.dirty = true
  }

  /** A damaged entry was replaced: who waited for that is served again. */
  damageMended(): void {
    if (this.#blocked.size === 0) return
    this.#blocked.clear()
    this.dirty = true
  }

  /** End of a turn: every peer gets what it may have. */
  pumpAll(): void {
    if (this.dirty) {
      this.dirty = false
      for (const id of this.#options.peerIds) this.#pump(id)
    }
    this.pin()
  }

  /**
   * The log is to grow to `endPosition`: a peer whose socket sits on bytes in the way of that is
   * let go; it catches up from the files.
   */
  releaseSlowPeers(position: number, endPosition: number): void {
    const { peers, peerIds, arena, hooks } = this.#options
    const floor = arena.pinFloor(position, endPosition)
    for (const id of peerIds) {
      if (peers.unflushedPosition(id) >= floor) continue
      hooks.log('warn', `${id} does not read its entries; its connection is closed`)
      peers.drop(id, 'too slow')
    }
    this.pin()
  }

  /**
   * What sockets hold is not overwritten. Also on a node that leads no more: what it sent may still
   * wait.
   */
  pin(): void {
    const { peers, peerIds, arena } = this.#options
    let pinned = Number.POSITIVE_INFINITY
    for (const id of peerIds) pinned = Math.min(pinned, peers.unflushedPosition(id))
    arena.pinned = pinned
  }

  #pump(id: string): void {
    const { raft, peers, arena } = this.#options
    if (this.#paced.has(id)) return
    while (this.#leading && !this.#reading.has(id) && peers.queuedBytes(id) < MAX_QUEUED_BYTES) {
      const plan = raft.nextAppend(id)
      if (plan === undefined) return
      if (!arena.holds(plan.prevPosition)) {
        if (this.#blocked.has(id)) raft.cancelAppend(plan)
        else if (this.#pace.open) this.#pumpFromFile(plan)
        else this.#keepBack(plan)
        return
      }
      const range = this.#rangeInArena(plan)
      const message = raft.sendAppend(plan, range.endPosition, range.lastIndex)
      if (message === undefined) return
      peers.send(id, message, this.#pieces(plan.prevPosition, range.endPosition))
    }
    // A full socket is tried again when it has drained or at the next turn with work.
    if (peers.queuedBytes(id) >= MAX_QUEUED_BYTES) this.dirty = true
  }

  #pieces(from: number, to: number): LogPiece[] {
    const { arena } = this.#options
    const pieces: LogPiece[] = []
    arena.forEachPiece(from, to, (position, offset, sizeBytes) => {
      pieces.push({ buffer: arena.bytes, offset, sizeBytes, position, pinned: true })
    })
    return pieces
  }

  /** The whole rest, or as many whole entries as a batch takes (at least one). */
  #rangeInArena(plan: AppendPlan): EntryRange {
    const { raft, arena } = this.#options
    if (plan.limitPosition - plan.prevPosition <= plan.maxBytes) {
      return { endPosition: plan.limitPosition, lastIndex: raft.lastIndex }
    }
    const { view } = arena
    let position = plan.prevPosition
    let range: EntryRange | undefined
    while (position < plan.limitPosition) {
      const offset = arena.offsetOf(position)
      const unitBytes = entrySize(view, offset)
      const isBlank = entryMagic(view, offset) === MAGIC_BLANK
      const end = position + unitBytes
      if (range !== undefined && end - plan.prevPosition > plan.maxBytes) break
      position = end
      if (!isBlank) range = { endPosition: end, lastIndex: entryIndex(view, offset) }
    }
    assert(range !== undefined, 'a plan covers at least one entry')
    return range
  }

  #keepBack(plan: AppendPlan): void {
    this.#options.raft.cancelAppend(plan)
    this.#paced.add(plan.to)
  }

  #pumpFromFile(plan: AppendPlan): void {
    const done = (): void => {
      this.#reading.delete(plan.to)
      this.dirty = true
    }
    this.#reading.add(plan.to)
    this.#readAndSend(plan).then(
      () => {
        done()
        this.#options.wake()
      },
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error)
        this.#options.raft.cancelAppend(plan)
        if (isDamage(error)) {
          this.#damaged(plan, reason)
          this.#reading.delete(plan.to)
          return
        }
        this.#options.hooks.log('error', `cannot read the log for ${plan.to}: ${reason}`)
        // Tried again in a later turn; waking up for it would spin while the files are unreadable.
        done()
      },
    )
  }

  /** The files are damaged where the peer is to be served from: it waits for the repair. */
  #damaged(plan: AppendPlan, reason: string): void {
    const { hooks } = this.#options
    if (this.#blocked.size === 0) hooks.log('error', `cannot serve ${plan.to}: ${reason}`)
    this.#blocked.set(plan.to, this.#ticks + DAMAGE_RETRY_TICKS)
  }

  async #readAndSend(plan: AppendPlan): Promise<void> {
    const { reader, raft, peers } = this.#options
    const range = await reader.range(plan.prevPosition, plan.limitPosition, plan.maxBytes)
    const sizeBytes = range.endPosition - plan.prevPosition
    this.#pace.take(sizeBytes)
    const buffers = this.#buffersFor(plan.to)
    const buffer = buffers.take(sizeBytes + reader.aroundBytes, peers.queuedBytes(plan.to))
    let addedBytes = 0
    try {
      const position = plan.prevPosition
      const offset = await reader.readAsync(position, range.endPosition, buffer)
      const message = raft.sendAppend(plan, range.endPosition, range.lastIndex)
      if (message === undefined) return
      const queuedBytes = peers.queuedBytes(plan.to)
      peers.send(plan.to, message, [{ buffer, offset, sizeBytes, position, pinned: false }])
      addedBytes = Math.max(0, peers.queuedBytes(plan.to) - queuedBytes)
    } finally {
      buffers.give(buffer, addedBytes)
    }
  }

  #buffersFor(id: string): CatchUpBuffers {
    const known = this.#buffers.get(id) ?? new CatchUpBuffers()
    this.#buffers.set(id, known)
    return known
  }
}

/** The bytes read are not what was written. */
function isDamage(error: unknown): boolean {
  return error instanceof LedgerError && error.code === 'CORRUPT'
}
