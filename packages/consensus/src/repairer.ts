/**
 * Has damaged entries of this node replaced: from its own memory where they still are, else from a
 * peer, one entry and one peer at a time; and gives its own whole entries to peers that ask.
 * Invariants: what a peer sends is judged by the store, never here; at most one question and one
 * repair are under way; nothing is asked in a loop without a pause.
 */
import { checkEntry, ENTRY_HEADER_BYTES, entrySize } from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { LogPiece } from './ports.ts'
import type { RepairAnswer, RepairAsk, RepairMessage } from './repair-messages.ts'

/** A question without an answer for this long goes to the next peer. */
const ANSWER_TICKS = 80
/** When nobody has the entry, it is asked for again after this. */
const PAUSE_TICKS = 80
/** Answers that are being read for peers. */
const MAX_SERVED = 4

/** A damaged entry whose place is known. */
export interface DamagedEntry {
  readonly position: number
  readonly endPosition: number
  readonly index: number
  readonly term: number
}

export interface RepairStorage {
  /** One at a time; the answer comes to `onRepaired`. */
  repair(position: number, bytes: Uint8Array): void
  readonly repairing: boolean
  flush(): void
}

export interface RepairerOptions {
  readonly selfId: string
  readonly peerIds: readonly string[]
  send(to: string, message: RepairMessage, pieces?: readonly LogPiece[]): void
  /** Is it connected, and does it know these messages? */
  canAsk(id: string): boolean
  readonly arena: LogArena
  readonly storage: RepairStorage
  /** Fills the start of `target` with [from, to); rejects when that is damaged or gone. */
  readEntry(from: number, to: number, target: Buffer): Promise<void>
  log(level: 'info' | 'warn' | 'error', line: string): void
}

interface Wanted extends DamagedEntry {
  /** Peers that had no good copy. */
  readonly tried: Set<string>
  /** Not before this tick. */
  nextTick: number
  isSaid: boolean
}

export class Repairer {
  readonly #options: RepairerOptions
  readonly #wanted: Map<number, Wanted> = new Map()
  #ticks = 0
  #asked: { position: number; peer: string; untilTick: number } | undefined
  #served = 0

  constructor(options: RepairerOptions, damaged: readonly DamagedEntry[] = []) {
    this.#options = options
    for (const entry of damaged) this.damaged(entry)
  }

  /** Entries that are not whole again. */
  get count(): number {
    return this.#wanted.size
  }

  damaged(entry: DamagedEntry): void {
    if (this.#wanted.has(entry.position)) return
    this.#wanted.set(entry.position, { ...entry, tried: new Set(), nextTick: 0, isSaid: false })
    this.#next()
  }

  /** What the store said to the entry it was given last. */
  onRepaired(position: number, refusal: string): void {
    const wanted = this.#wanted.get(position)
    if (refusal === '') {
      this.#wanted.delete(position)
      if (wanted !== undefined) {
        this.#options.log('info', `entry ${wanted.index} at position ${position} is whole again`)
      }
    } else if (wanted !== undefined) {
      const from = this.#asked?.peer ?? 'memory'
      this.#options.log('warn', `entry ${wanted.index} from ${from} is not taken: ${refusal}`)
      wanted.tried.add(from)
    }
    this.#asked = undefined
    this.#next()
  }

  /** The log was cut at `position`, or begins at `first`. */
  forget(position: number, first = 0): void {
    for (const at of [...this.#wanted.keys()]) {
      if (at >= position || at < first) this.#wanted.delete(at)
    }
  }

  tick(): void {
    this.#ticks++
    if (this.#asked !== undefined && this.#ticks >= this.#asked.untilTick) this.#noAnswer()
    this.#next()
  }

  onPeerConnected(id: string): void {
    for (const wanted of this.#wanted.values()) {
      wanted.tried.delete(id)
      wanted.nextTick = 0
    }
    this.#next()
  }

  onPeerDisconnected(id: string): void {
    if (this.#asked?.peer === id && !this.#options.storage.repairing) this.#noAnswer()
  }

  /** `payload` holds an answer's bytes, valid during the call only. */
  onMessage(
    from: string,
    message: RepairMessage,
    payload: Buffer,
    start: number,
    end: number,
  ): void {
    if (message.type === 'repairAsk') this.#serve(from, message)
    else this.#onAnswer(from, message, payload.subarray(start, end))
  }

  #noAnswer(): void {
    const asked = this.#asked
    this.#asked = undefined
    if (asked !== undefined) this.#wanted.get(asked.position)?.tried.add(asked.peer)
  }

  #next(): void {
    const { storage } = this.#options
    if (this.#wanted.size === 0 || this.#asked !== undefined || storage.repairing) return
    for (const wanted of this.#wanted.values()) {
      if (this.#ticks < wanted.nextTick) continue
      if (this.#fromMemory(wanted) || this.#ask(wanted)) return
      this.#giveUpForNow(wanted)
    }
  }

  /** The newest part of the log is still in memory, as it was written. */
  #fromMemory({ position, endPosition, index, tried }: Wanted): boolean {
    const { arena, storage } = this.#options
    if (tried.has('memory') || !arena.holds(position) || endPosition > arena.appended) return false
    const offset = arena.offsetOf(position)
    const sizeBytes = endPosition - position
    const found = checkEntry(arena.bytes, arena.view, offset, sizeBytes, { position, index })
    if (found !== 'ok') return false
    storage.repair(position, arena.bytes.subarray(offset, offset + sizeBytes))
    storage.flush()
    return true
  }

  #ask({ position, endPosition, tried }: Wanted): boolean {
    const { selfId, peerIds, canAsk } = this.#options
    const peer = peerIds.find((id) => !tried.has(id) && canAsk(id))
    if (peer === undefined) return false
    this.#asked = { position, peer, untilTick: this.#ticks + ANSWER_TICKS }
    this.#options.send(peer, {
      type: 'repairAsk',
      from: selfId,
      to: peer,
      term: 0,
      position,
      endPosition,
    })
    return true
  }

  #giveUpForNow(wanted: Wanted): void {
    const pauseTicks = wanted.tried.size > 0 ? PAUSE_TICKS : ANSWER_TICKS
    wanted.nextTick = this.#ticks + pauseTicks
    wanted.tried.clear()
    // A start takes a moment to meet its peers.
    if (wanted.isSaid || this.#ticks < ANSWER_TICKS) return
    wanted.isSaid = true
    const { index, position } = wanted
    this.#options.log(
      'error',
      `entry ${index} at position ${position} is damaged here and nobody who is connected has it: ` +
        'it is not served. It is asked for again; start the other members, or, if they all lost ' +
        'it, bring back a copy of the store',
    )
  }

  #onAnswer(from: string, message: RepairAnswer, bytes: Buffer): void {
    const { storage } = this.#options
    const asked = this.#asked
    if (asked?.peer !== from || asked.position !== message.position || storage.repairing) return
    const wanted = this.#wanted.get(asked.position)
    const wantedBytes = wanted === undefined ? 0 : wanted.endPosition - wanted.position
    if (bytes.length === 0 || bytes.length !== wantedBytes) {
      this.#noAnswer()
      this.#next()
      return
    }
    asked.untilTick = Number.POSITIVE_INFINITY
    storage.repair(asked.position, bytes)
    storage.flush()
  }

  #serve(from: string, ask: RepairAsk): void {
    const { arena } = this.#options
    const { position, endPosition } = ask
    const sizeBytes = endPosition - position
    const isPossible =
      sizeBytes >= ENTRY_HEADER_BYTES &&
      sizeBytes <= arena.maxEntryBytes &&
      endPosition <= arena.durable
    if (!isPossible || this.#served >= MAX_SERVED) {
      this.#answer(from, ask, undefined)
      return
    }
    this.#served++
    const buffer = Buffer.allocUnsafeSlow(sizeBytes)
    this.#read(position, endPosition, buffer).then(
      (isWhole) => {
        this.#served--
        this.#answer(from, ask, isWhole ? buffer : undefined)
      },
      () => {
        this.#served--
        this.#answer(from, ask, undefined)
      },
    )
  }

  /** True when the buffer holds a whole entry of that place. */
  async #read(position: number, endPosition: number, buffer: Buffer): Promise<boolean> {
    const { arena, readEntry } = this.#options
    if (arena.holds(position)) {
      const offset = arena.offsetOf(position)
      arena.bytes.copy(buffer, 0, offset, offset + buffer.length)
    }
    if (!arena.holds(position)) await readEntry(position, endPosition, buffer)
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    const found = checkEntry(buffer, view, 0, buffer.length, { position })
    const isEntry = found === 'ok' || found === 'legacy'
    return isEntry && entrySize(view, 0) === buffer.length
  }

  #answer(to: string, { position, endPosition }: RepairAsk, buffer: Buffer | undefined): void {
    const { selfId } = this.#options
    const pieces: LogPiece[] = []
    if (buffer !== undefined) {
      pieces.push({ buffer, offset: 0, sizeBytes: buffer.length, position, pinned: false })
    }
    const message: RepairAnswer = {
      type: 'repairAnswer',
      from: selfId,
      to,
      term: 0,
      position,
      endPosition,
    }
    this.#options.send(to, message, pieces)
  }
}
