/**
 * Lays messages at the end of a plain log's newest part, the arena, exactly as Apache's CommitLog
 * does (rocketmq-store.md §1): one behind the other without entry headers, and a blank of at least
 * 8 bytes where the next one does not fit into its file. Owns the end of the log; belongs to the
 * core thread.
 */
import { assert } from '@ringledger/base'
import { ClaimRefusal, type CommittedBoundary, type LogEnd } from '@ringledger/consensus'
import { PLAIN_LOG_BLANK_BYTES, writePlainLogBlank } from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { CoreReplica } from '../core-log.ts'

/** What is not committed fills this part of the arena at most. */
const MAX_UNCOMMITTED_PART = 0.5

export class PlainOrder implements CoreReplica {
  /** One node, which always is the master. */
  readonly leading = true
  readonly term = 0
  readonly handingOver = false
  /** What ends here or below may be acknowledged. */
  committedPosition: number
  readonly #arena: LogArena
  readonly #fileBytes: number
  #end: number
  #claimedPosition = -1
  #claimedBytes = 0

  constructor(arena: LogArena, fileBytes: number, endPosition: number) {
    this.#arena = arena
    this.#fileBytes = fileBytes
    this.#end = endPosition
    this.committedPosition = endPosition
  }

  get bytes(): Buffer {
    return this.#arena.bytes
  }

  get view(): DataView {
    return this.#arena.view
  }

  get endPosition(): number {
    return this.#end
  }

  get claimedPosition(): number {
    assert(this.#claimedPosition >= 0, 'a message is claimed')
    return this.#claimedPosition
  }

  get committedBoundary(): CommittedBoundary {
    return { position: this.committedPosition, index: -1 }
  }

  get end(): LogEnd {
    return { endPosition: this.#end, lastIndex: -1, lastTerm: 0, lastChainCrc: 0 }
  }

  claim(messageBytes: number): number {
    const arena = this.#arena
    const neededBytes = messageBytes + PLAIN_LOG_BLANK_BYTES
    if (messageBytes > arena.maxEntryBytes || neededBytes > this.#fileBytes) {
      return ClaimRefusal.TOO_LARGE
    }
    const uncommitted = this.#end + messageBytes - this.committedPosition
    if (uncommitted > arena.sizeBytes * MAX_UNCOMMITTED_PART) return ClaimRefusal.BUSY
    const left = this.#fileBytes - (this.#end % this.#fileBytes)
    const blankBytes = neededBytes > left ? left : 0
    if (blankBytes > 0 && !this.#layBlank(blankBytes)) return ClaimRefusal.BUSY
    const position = this.#end + blankBytes
    const offset = arena.claim(position, messageBytes)
    if (offset < 0) return ClaimRefusal.BUSY
    this.#claimedPosition = position
    this.#claimedBytes = messageBytes
    return offset
  }

  seal(): void {
    this.#end = this.claimedPosition + this.#claimedBytes
    this.#claimedPosition = -1
  }

  takeBack({ endPosition }: LogEnd): void {
    assert(endPosition >= this.#arena.appended, 'what was handed on stays')
    this.#end = endPosition
    this.#claimedPosition = -1
  }

  /** The rest of the file. It does not count before a message behind it is sealed. */
  #layBlank(sizeBytes: number): boolean {
    const { bytes } = this.#arena
    const offset = this.#arena.claim(this.#end, sizeBytes)
    if (offset < 0) return false
    bytes.fill(0, offset, offset + sizeBytes)
    writePlainLogBlank(bytes, offset, sizeBytes)
    return true
  }
}
