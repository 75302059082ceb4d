/**
 * Cuts what is appended to a log into whole blocks for direct writes. Owns the block in which the
 * log ends: what stands there is written again with what comes behind it, the same bytes at the
 * same place, and the rest of the block is zeros, so that bytes behind the log's end are.
 */
import { assert } from '@ringledger/base'
import { allocateRegion, regionBuffer } from 'sharedarraybuffer-ringbuffer'
import type { DirectFile } from './disk.ts'

/** Fills the start of `target` with what stands at `position` of the log. */
export type ReadLog = (position: number, target: Uint8Array, sizeBytes: number) => void

export class TailBlock {
  readonly #blockBytes: number
  readonly #readLog: ReadLog
  /** The block in which the log ends; the other one takes what its end is next. */
  #block: Buffer
  #nextBlock: Buffer
  /** Where the log's bytes in `#block` end; -1: they are not known. */
  #end = -1
  readonly #parts: Buffer[] = []

  constructor(blockBytes: number, readLog: ReadLog) {
    this.#blockBytes = blockBytes
    this.#readLog = readLog
    this.#block = regionBuffer(allocateRegion(blockBytes)).subarray(0, blockBytes)
    this.#nextBlock = regionBuffer(allocateRegion(blockBytes)).subarray(0, blockBytes)
  }

  /** Others write to the log, or cut it: its end is read again before the next append. */
  forget(): void {
    this.#end = -1
  }

  /**
   * Writes `bytes[offset, offset + sizeBytes)` to `file`, which begins at `base` of the log, at
   * `position` of the log, in one call. `offset` lies on blocks as `position` does. Durable on
   * return. False: see {@link DirectFile.write}. @throws DiskError
   */
  append(
    file: DirectFile,
    base: number,
    position: number,
    bytes: Buffer,
    offset: number,
    sizeBytes: number,
  ): boolean {
    const blockBytes = this.#blockBytes
    const inBlock = position % blockBytes
    assert(offset % blockBytes === inBlock, 'memory and log lie on blocks alike')
    if (inBlock > 0 && this.#end !== position) {
      this.#readLog(position - inBlock, this.#block, inBlock)
    }
    this.#end = -1
    const headBytes = inBlock === 0 ? 0 : Math.min(sizeBytes, blockBytes - inBlock)
    const restBytes = (sizeBytes - headBytes) % blockBytes
    const restAt = offset + sizeBytes - restBytes
    const parts = this.#parts
    // A write that threw left its own.
    parts.length = 0
    if (headBytes > 0) {
      bytes.copy(this.#block, inBlock, offset, offset + headBytes)
      this.#block.fill(0, inBlock + headBytes)
      parts.push(this.#block)
    }
    if (restAt > offset + headBytes) parts.push(bytes.subarray(offset + headBytes, restAt))
    if (restBytes > 0) {
      bytes.copy(this.#nextBlock, 0, restAt, restAt + restBytes)
      this.#nextBlock.fill(0, restBytes)
      parts.push(this.#nextBlock)
    }
    if (!file.write(parts, position - inBlock - base)) return false
    if (restBytes > 0) this.#swap()
    this.#end = position + sizeBytes
    return true
  }

  #swap(): void {
    const block = this.#block
    this.#block = this.#nextBlock
    this.#nextBlock = block
  }
}
