/**
 * `ringledger-lost`: what this node gave up of its log when it had to begin it anew, and may have
 * acknowledged. Owns the invariant that the note is durable before the first byte goes, and stays
 * until the node has everything again: without it a shorter log could help to elect a poorer
 * leader.
 */
import { assert } from '@ringledger/base'
import { getInt64, setInt64 } from '@ringledger/protocol'
import type { StoreLayout } from './config.ts'
import type { Disk } from './disk.ts'
import type { LostLog } from './recovered.ts'
import { refuseLost, SlotFile, SlotFileState } from './slot-file.ts'

const LostState = {
  /** Nothing is lost. */
  NONE: 0,
  /** The log is being removed: whatever is there is void. */
  RESETTING: 1,
  /** The new log is there, and does not reach to the old end yet. */
  FILLING: 2,
} as const
type LostState = (typeof LostState)[keyof typeof LostState]

/** Where the new log begins. */
export interface LogStart {
  readonly position: number
  readonly index: number
}

const LOST_MAGIC = 0x52_4c_4c_4c
const LOST_BYTES = 40
const NOTHING: LostLog = { untilPosition: 0, term: 0 }

export class LostFile {
  readonly #layout: StoreLayout
  readonly #slots: SlotFile
  readonly #payload: Buffer = Buffer.alloc(LOST_BYTES)
  readonly #view: DataView
  #state: LostState = LostState.NONE
  #isThere = false
  #lost: LostLog = NOTHING
  #start: LogStart = { position: 0, index: 0 }

  constructor(disk: Disk, layout: StoreLayout) {
    this.#layout = layout
    this.#slots = new SlotFile(disk, layout.lostPath, LOST_MAGIC)
    this.#view = new DataView(this.#payload.buffer, this.#payload.byteOffset, LOST_BYTES)
  }

  /** @throws LedgerError CORRUPT when it is there and unreadable */
  open(): void {
    const { state, payload } = this.#slots.read()
    if (state === SlotFileState.LOST)
      throw refuseLost(this.#layout.lostPath, 'note of what is lost')
    this.#isThere = state === SlotFileState.VALID
    if (!this.#isThere) return
    assert(payload.length === LOST_BYTES, 'a checked note is complete')
    payload.copy(this.#payload)
    const view = this.#view
    this.#state = view.getUint32(0) as LostState
    this.#lost = { untilPosition: getInt64(view, 8), term: getInt64(view, 16) }
    this.#start = { position: getInt64(view, 24), index: getInt64(view, 32) }
  }

  /** What is not there again; undefined for nothing. */
  get lost(): LostLog | undefined {
    return this.#state === LostState.NONE ? undefined : this.#lost
  }

  /** Where a log that is being begun anew is to start; undefined when none is. */
  get resetTo(): LogStart | undefined {
    return this.#state === LostState.RESETTING ? this.#start : undefined
  }

  resetting(lost: LostLog, start: LogStart): void {
    this.#lost = lost
    this.#start = start
    this.#write(LostState.RESETTING)
  }

  filling(): void {
    this.#write(LostState.FILLING)
  }

  healed(): void {
    if (this.#state !== LostState.NONE) this.#write(LostState.NONE)
  }

  /** Writes both copies anew if one is damaged; true if so. */
  mend(): boolean {
    if (!this.#isThere || this.#slots.damagedCopies() === 0) return false
    this.#write(this.#state)
    return true
  }

  close(): void {
    this.#slots.close()
  }

  #write(state: LostState): void {
    this.#state = state
    const view = this.#view
    view.setUint32(0, state)
    setInt64(view, 8, this.#lost.untilPosition)
    setInt64(view, 16, this.#lost.term)
    setInt64(view, 24, this.#start.position)
    setInt64(view, 32, this.#start.index)
    if (this.#isThere) this.#slots.writeBoth(this.#payload)
    else this.#slots.create(this.#payload, this.#layout.directory)
    this.#isThere = true
  }
}
