/**
 * The core thread's log in plain mode: one node without Raft, always the master. A message counts
 * when its disk has it (SYNC_FLUSH), or when the kernel has it (ASYNC_FLUSH), as with Apache.
 * Invariant: readers are shown nothing before that.
 */
import { assert } from '@ringledger/base'
import { Role } from '@ringledger/consensus'
import type { LedgerCoreHooks } from '@ringledger/engine'
import { Doorbell, LogArena, type LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import type { CoreLog } from '../core-log.ts'
import { type PlainIoShared, PlainIoWords } from './plain-io-shared.ts'
import { PlainOrder } from './plain-order.ts'

export type PlainCoreHooks = Pick<
  LedgerCoreHooks,
  'touch' | 'onRole' | 'onCommit' | 'onDiskFull' | 'onTransferred' | 'log'
>

export interface PlainCoreParts {
  readonly selfId: string
  readonly fileBytes: number
  readonly syncBeforeAck: boolean
  readonly arena: LogArenaShared
  readonly io: PlainIoShared
  /** Where the log ended at the start. */
  readonly endPosition: number
  readonly hooks: PlainCoreHooks
}

export class PlainCore implements CoreLog {
  readonly arena: LogArena
  readonly replica: PlainOrder
  readonly peerPort = 0
  readonly damagedEntries = 0
  readonly #parts: PlainCoreParts
  readonly #io: PlainIoWords
  readonly #ioBell: Doorbell
  #handedOn: number
  #full = false
  #onStored: (() => void) | undefined

  constructor(parts: PlainCoreParts) {
    const { arena, io, fileBytes, endPosition } = parts
    this.#parts = parts
    this.arena = new LogArena(arena)
    this.arena.reset(endPosition)
    this.arena.committed = endPosition
    this.replica = new PlainOrder(this.arena, fileBytes, endPosition)
    this.#handedOn = endPosition
    this.#io = new PlainIoWords(io)
    this.#ioBell = new Doorbell(io.bell)
  }

  async start(): Promise<void> {
    const { hooks, selfId, endPosition } = this.#parts
    hooks.touch()
    hooks.onRole(Role.leader, this.replica.term, selfId, endPosition, 'plain mode, no group')
  }

  pollStorage(): void {
    const { hooks, syncBeforeAck } = this.#parts
    const { arena, replica } = this
    const position = syncBeforeAck ? arena.durable : this.#io.written
    if (position > replica.committedPosition) {
      replica.committedPosition = position
      arena.committed = position
      hooks.onCommit(position)
    }
    if (this.#io.full !== this.#full) this.#tellFull()
    if (this.#stored) this.#onStored?.()
  }

  endTurn(): void {
    const end = this.replica.endPosition
    if (end === this.#handedOn) return
    this.#handedOn = end
    this.arena.appended = end
    this.#ioBell.ring()
  }

  transfer(): void {
    this.#parts.hooks.onTransferred(false, 'this broker has no group to hand over to')
  }

  trim(): void {
    assert(false, 'the broker thread deletes the files of a plain log')
  }

  sendForeign(): boolean {
    return false
  }

  async close(): Promise<void> {
    this.endTurn()
    const stored = new Promise<void>((resolve) => {
      this.#onStored = resolve
    })
    this.#io.closing = true
    this.#ioBell.ring()
    if (!this.#stored) await stored
  }

  /** For what finds no space nobody got an answer. */
  get #stored(): boolean {
    return this.arena.durable >= this.#handedOn || this.#io.full
  }

  #tellFull(): void {
    const { hooks } = this.#parts
    this.#full = this.#io.full
    hooks.onDiskFull(this.#full)
    if (this.#full)
      hooks.log('error', 'the disk is full: new writes are refused until space returns')
    else hooks.log('info', 'the disk has space again: writes are taken')
  }
}
