/**
 * Pieces of the log's files kept in memory for readers that are behind the arena: consumers of
 * several queues want neighbouring messages at about the same time. Owns the rule that a block has
 * committed bytes only, which never change, except where damage is repaired: who meets damage
 * calls `forget`.
 */
import type { LogFiles } from './message-reader.ts'
import { readLog } from './read-ahead.ts'

export const LOG_BLOCK_BYTES: number = 64 * 1024
const BLOCKS = 32
const NO_BLOCK = -1

export class LogBlocks {
  readonly #files: LogFiles
  /** Made at the first load: most nodes never have a reader that is behind. */
  #bytes: Buffer | undefined
  /** By place; a block has one place only, that of its number modulo `BLOCKS`. */
  readonly #numbers: Float64Array = new Float64Array(BLOCKS).fill(NO_BLOCK)
  readonly #filledBytes: Int32Array = new Int32Array(BLOCKS)

  constructor(files: LogFiles) {
    this.#files = files
  }

  /** Copies [position, position + sizeBytes) if all of it is here. */
  copy(position: number, sizeBytes: number, target: Buffer, targetOffset: number): boolean {
    const bytes = this.#bytes
    if (bytes === undefined || !this.#holds(position, position + sizeBytes)) return false
    let done = 0
    while (done < sizeBytes) {
      const inBlock = (position + done) % LOG_BLOCK_BYTES
      const count = Math.min(sizeBytes - done, LOG_BLOCK_BYTES - inBlock)
      const start = this.#placeOf(position + done) * LOG_BLOCK_BYTES + inBlock
      bytes.copy(target, targetOffset + done, start, start + count)
      done += count
    }
    return true
  }

  /**
   * Reads the block that `position` lies in, up to `committed`, unless it is here as far as that.
   * @throws DiskError
   */
  load(position: number, committed: number): void {
    const number = Math.floor(position / LOG_BLOCK_BYTES)
    const start = number * LOG_BLOCK_BYTES
    const wantedBytes = Math.min(LOG_BLOCK_BYTES, committed - start)
    const place = number % BLOCKS
    const isThere = this.#numbers[place] === number
    if (isThere && (this.#filledBytes[place] as number) >= wantedBytes) return
    this.#bytes ??= Buffer.allocUnsafeSlow(BLOCKS * LOG_BLOCK_BYTES)
    this.#numbers[place] = NO_BLOCK
    const known = isThere ? (this.#filledBytes[place] as number) : 0
    const target = place * LOG_BLOCK_BYTES + known
    const count = readLog(this.#files, start + known, this.#bytes, target, wantedBytes - known)
    this.#filledBytes[place] = known + count
    this.#numbers[place] = number
  }

  forget(): void {
    this.#numbers.fill(NO_BLOCK)
  }

  #holds(position: number, end: number): boolean {
    for (let at = position; at < end; ) {
      const start = at - (at % LOG_BLOCK_BYTES)
      const place = this.#placeOf(at)
      if ((this.#numbers[place] as number) * LOG_BLOCK_BYTES !== start) return false
      const filledEnd = start + (this.#filledBytes[place] as number)
      if (filledEnd < Math.min(end, start + LOG_BLOCK_BYTES)) return false
      at = start + LOG_BLOCK_BYTES
    }
    return true
  }

  #placeOf(position: number): number {
    return Math.floor(position / LOG_BLOCK_BYTES) % BLOCKS
  }
}
