/**
 * The core thread's end of the seam. Owns the order of commands (writes between two other commands
 * become one) and the rule that a durable position from before a cut is not believed after it.
 * Nothing leaves before `flush`.
 */
import { assert } from '@ringledger/base'
import { Doorbell, type LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { type HardState, MAX_VOTE_BYTES } from './hard-state.ts'
import { IoCommand, IoEvent, type IoPort } from './io-port.ts'
import type { Hole, LostLog } from './recovered.ts'
import type { Finding } from './store-parts.ts'

/** The log's end after a cut. */
export interface Truncated {
  readonly id: number
  readonly endPosition: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly lastChainCrc: number
}

/** What became of an entry that a peer sent. */
export interface Repaired {
  readonly position: number
  /** Where the last entry ends before those that are still damaged; Infinity when none is. */
  readonly soundPosition: number
  /** Of the log's last entry; -1 while that is not known. */
  readonly lastChainCrc: number
  /** Why the entry was not taken; '' when it was. */
  readonly refusal: string
}

export interface IoEventHandlers {
  /** Everything below is on this node's disk. */
  onDurable(position: number): void
  onTruncated(truncated: Truncated): void
  onHardStateSaved(id: number): void
  /**
   * The first failed write or sync: nothing will ever be written again. The node must leave its
   * group.
   */
  onFailed(file: string, error: string): void
  /** Take no new writes; those accepted will still be written. */
  onDiskFull(): void
  onDiskOk(): void
  /** Damage was met, and perhaps repaired already. */
  onFound?(found: Finding): void
  /** An entry that only a peer can bring back. */
  onHole?(hole: Omit<Hole, 'reason' | 'previousEndPosition'>): void
  /** The answer to `repair`. */
  onRepaired?(repaired: Repaired): void
  /** The answer to `check`: what was found there was told before. */
  onChecked?(position: number): void
  /** The answer to `scrub`. */
  onScrubbed?(): void
  /**
   * Segments were deleted: the log begins here now. Damage in them is void; `soundPosition` as in
   * `Repaired`.
   */
  onRemoved?(firstPosition: number, firstIndex: number, soundPosition: number): void
  onClosed?(): void
}

interface Waiting {
  readonly type: IoCommand
  readonly sizeBytes: number
  readonly fill: (offset: number) => void
}

/**
 * Commands other than writes that may wait for room in the ring; more than Raft ever has under way.
 */
const MAX_WAITING = 1024

export class IoClient {
  readonly #arena: LogArena
  readonly #commands: SpscRing
  readonly #events: SpscRing
  readonly #doorbell: Doorbell
  readonly #repairBytes: Buffer
  #repairing = false
  #writeTo = -1
  #cutsUnderWay = 0
  #durableSeen: number
  #handlers: IoEventHandlers | undefined
  readonly #waiting: Waiting[] = []

  constructor(port: IoPort, arena: LogArena) {
    this.#arena = arena
    this.#commands = new SpscRing(port.commands)
    this.#events = new SpscRing(port.events)
    this.#doorbell = new Doorbell(port.doorbell)
    this.#durableSeen = arena.durable
    this.#repairBytes = Buffer.from(port.repair)
  }

  /**
   * The arena is complete up to `toPosition`, the end of an entry: write and sync it. Answered by
   * `onDurable`.
   */
  write(toPosition: number): void {
    assert(toPosition >= this.#writeTo, 'writes go on where the last one ended')
    this.#writeTo = toPosition
  }

  /**
   * Cuts the log files at `position`, the end of an entry. The arena's bytes behind `position` must
   * stay as they are until `onTruncated`: earlier writes may still be under way.
   */
  truncate(position: number, id: number): void {
    this.#cutsUnderWay++
    this.#queue(IoCommand.TRUNCATE, 12, (offset) => {
      this.#commands.view.setFloat64(offset, position)
      this.#commands.view.setInt32(offset + 8, id)
    })
  }

  /**
   * Forgets the whole log and begins an empty one at `position`; what is lost by that is noted
   * until `healed`. Answered by `onTruncated`.
   */
  reset(position: number, index: number, lost: LostLog, id: number): void {
    this.#cutsUnderWay++
    // What was to be written is void.
    this.#writeTo = -1
    this.#queue(IoCommand.RESET, 36, (offset) => {
      const { view } = this.#commands
      view.setFloat64(offset, position)
      view.setFloat64(offset + 8, index)
      view.setFloat64(offset + 16, lost.untilPosition)
      view.setFloat64(offset + 24, lost.term)
      view.setInt32(offset + 32, id)
    })
  }

  /** What a `reset` lost is there again. */
  healed(): void {
    this.#queue(IoCommand.HEALED, 0, () => {})
  }

  /** Looks for damage around `position`. Answered by `onChecked`, or `onScrubbed` after a pass. */
  check(position: number): void {
    this.#queue(IoCommand.CHECK, 8, (offset) => {
      this.#commands.view.setFloat64(offset, position)
    })
  }

  /** Looks through the whole store now. Answered by `onScrubbed`. */
  scrub(): void {
    this.#queue(IoCommand.SCRUB, 0, () => {})
  }

  /** A `repair` is under way; one is carried out at a time. */
  get repairing(): boolean {
    return this.#repairing
  }

  /** Longest entry that {@link repair} takes. */
  get maxRepairBytes(): number {
    return this.#repairBytes.length
  }

  /**
   * A peer's bytes for the damaged entry at `position`; they are copied. Answered by `onRepaired`.
   */
  repair(position: number, bytes: Uint8Array): void {
    assert(!this.#repairing, 'one repair at a time')
    assert(bytes.length <= this.#repairBytes.length, 'an entry fits')
    this.#repairing = true
    this.#repairBytes.set(bytes)
    this.#queue(IoCommand.REPAIR, 12, (offset) => {
      this.#commands.view.setFloat64(offset, position)
      this.#commands.view.setInt32(offset + 8, bytes.length)
    })
  }

  /** Answered by `onHardStateSaved` once synced. */
  saveHardState(state: HardState, id: number): void {
    const vote = state.votedFor
    const voteBytes = vote === null ? 0 : Buffer.byteLength(vote)
    assert(voteBytes <= MAX_VOTE_BYTES, 'the id of a member is short')
    this.#queue(IoCommand.HARD_STATE, 16 + voteBytes, (offset) => {
      const { view, bytes } = this.#commands
      view.setFloat64(offset, state.term)
      view.setInt32(offset + 8, id)
      view.setInt32(offset + 12, vote === null ? -1 : voteBytes)
      if (vote !== null) bytes.write(vote, offset + 16, 'utf8')
    })
  }

  /** Says what is committed, for the next start; no answer. Every second or so is enough. */
  checkpoint(commitPosition: number, commitIndex: number): void {
    // The next one says more; behind a disk that hangs they would pile up.
    if (this.#waiting.length > 0) return
    this.#queue(IoCommand.CHECKPOINT, 16, (offset) => {
      this.#commands.view.setFloat64(offset, commitPosition)
      this.#commands.view.setFloat64(offset + 8, commitIndex)
    })
  }

  /** Deletes whole segments below `position`, which must be committed. Answered by `onRemoved`. */
  removeBelow(position: number): void {
    this.#queue(IoCommand.REMOVE_BELOW, 8, (offset) => {
      this.#commands.view.setFloat64(offset, position)
    })
  }

  /**
   * Writes what was asked before, closes the store in order and ends the IO thread. Answered by
   * `onClosed`.
   */
  close(): void {
    this.#queue(IoCommand.CLOSE, 0, () => {})
  }

  /** True while commands wait for room in the ring; `poll` hands them on later. */
  get waits(): boolean {
    return this.#waiting.length > 0
  }

  /** Hands everything asked since the last flush to the IO thread and wakes it. */
  flush(): void {
    while (this.#waiting.length > 0 && this.#send(this.#waiting[0]!)) this.#waiting.shift()
    if (this.#waiting.length === 0) this.#sendWrite()
    if (this.#commands.publish()) this.#doorbell.ring()
  }

  /**
   * Calls the handlers for what happened since the last poll; call it when the core's bell rang.
   * True if anything did.
   */
  poll(handlers: IoEventHandlers): boolean {
    this.#handlers = handlers
    const events = this.#events.drain(this.#onEvent)
    if (this.#events.takeStarved()) this.#doorbell.ring()
    if (this.#waiting.length > 0 || this.#writeTo >= 0) this.flush()
    if (this.#cutsUnderWay > 0) return events > 0
    const durable = this.#arena.durable
    if (durable === this.#durableSeen) return events > 0
    this.#durableSeen = durable
    handlers.onDurable(durable)
    return true
  }

  #queue(type: IoCommand, sizeBytes: number, fill: (offset: number) => void): void {
    this.#sendOrKeepWrite()
    const command = { type, sizeBytes, fill }
    if (this.#waiting.length === 0 && this.#send(command)) return
    assert(this.#waiting.length < MAX_WAITING, 'commands wait for room within bounds')
    this.#waiting.push(command)
  }

  /** A write that cannot be sent keeps its place before the commands that follow it. */
  #sendOrKeepWrite(): void {
    if (this.#writeTo < 0) return
    if (this.#waiting.length === 0 && this.#sendWrite()) return
    const toPosition = this.#writeTo
    this.#writeTo = -1
    assert(this.#waiting.length < MAX_WAITING, 'commands wait for room within bounds')
    const fill = (offset: number): void => {
      this.#commands.view.setFloat64(offset, toPosition)
    }
    this.#waiting.push({ type: IoCommand.WRITE, sizeBytes: 8, fill })
  }

  #sendWrite(): boolean {
    if (this.#writeTo < 0) return true
    const offset = this.#commands.claim(8, IoCommand.WRITE)
    if (offset < 0) return false
    this.#commands.view.setFloat64(offset, this.#writeTo)
    this.#commands.commit()
    this.#writeTo = -1
    return true
  }

  #send(command: Waiting): boolean {
    const offset = this.#commands.claim(command.sizeBytes, command.type)
    if (offset < 0) return false
    command.fill(offset)
    this.#commands.commit()
    return true
  }

  readonly #onEvent = (type: number, offset: number): void => {
    const handlers = this.#handlers
    assert(handlers !== undefined, 'events are drained by poll')
    const { view, bytes } = this.#events
    switch (type) {
      case IoEvent.TRUNCATED: {
        this.#cutsUnderWay--
        const endPosition = view.getFloat64(offset)
        this.#durableSeen = endPosition
        handlers.onTruncated({
          endPosition,
          lastIndex: view.getFloat64(offset + 8),
          lastTerm: view.getFloat64(offset + 16),
          lastChainCrc: view.getFloat64(offset + 24),
          id: view.getInt32(offset + 32),
        })
        return
      }
      case IoEvent.HARD_STATE_SAVED:
        handlers.onHardStateSaved(view.getInt32(offset))
        return
      case IoEvent.FAILED: {
        const fileEnd = offset + 8 + view.getInt32(offset)
        const errorEnd = fileEnd + view.getInt32(offset + 4)
        handlers.onFailed(
          bytes.toString('utf8', offset + 8, fileEnd),
          bytes.toString('utf8', fileEnd, errorEnd),
        )
        return
      }
      case IoEvent.DISK_FULL:
        handlers.onDiskFull()
        return
      case IoEvent.DISK_OK:
        handlers.onDiskOk()
        return
      case IoEvent.REMOVED:
        handlers.onRemoved?.(
          view.getFloat64(offset),
          view.getFloat64(offset + 8),
          view.getFloat64(offset + 16),
        )
        return
      case IoEvent.CLOSED:
        handlers.onClosed?.()
        return
      default:
        this.#onCareEvent(type, offset, handlers)
    }
  }

  #onCareEvent(type: number, offset: number, handlers: IoEventHandlers): void {
    const { view, bytes } = this.#events
    switch (type) {
      case IoEvent.FOUND: {
        const pathEnd = offset + 28 + view.getInt32(offset + 20)
        handlers.onFound?.({
          position: view.getFloat64(offset),
          index: view.getFloat64(offset + 8),
          repaired: view.getInt32(offset + 16) === 1,
          path: bytes.toString('utf8', offset + 28, pathEnd),
          reason: bytes.toString('utf8', pathEnd, pathEnd + view.getInt32(offset + 24)),
        })
        return
      }
      case IoEvent.HOLE:
        handlers.onHole?.({
          position: view.getFloat64(offset),
          endPosition: view.getFloat64(offset + 8),
          index: view.getFloat64(offset + 16),
          term: view.getFloat64(offset + 24),
        })
        return
      case IoEvent.REPAIRED:
        this.#repairing = false
        handlers.onRepaired?.({
          position: view.getFloat64(offset),
          soundPosition: view.getFloat64(offset + 8),
          lastChainCrc: view.getFloat64(offset + 16),
          refusal: bytes.toString('utf8', offset + 28, offset + 28 + view.getInt32(offset + 24)),
        })
        return
      case IoEvent.CHECKED:
        handlers.onChecked?.(view.getFloat64(offset))
        return
      default:
        assert(type === IoEvent.SCRUBBED, 'events are of the known types')
        handlers.onScrubbed?.()
    }
  }
}
