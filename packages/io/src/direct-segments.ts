/**
 * Appends to segments past the page cache. A group is one call and one copy less than by way of the
 * page cache, which is most of what it costs the processor. Owns the descriptor for that, of the
 * segment in use, and the rule that a refusal is final: the page cache does as well.
 */
import { allocateRegion, regionBuffer } from 'sharedarraybuffer-ringbuffer'
import type { DirectFile, Disk } from './disk.ts'
import { type ReadLog, TailBlock } from './tail-block.ts'

/** Most zeros that are written at once. */
export const MAX_ZEROS_BYTES: number = 256 * 1024
export const ZEROS: Buffer = regionBuffer(allocateRegion(MAX_ZEROS_BYTES))

export class DirectSegments {
  readonly #disk: Disk
  readonly #segmentBytes: number
  readonly #pathOf: (base: number) => string
  readonly #readLog: ReadLog
  #file: DirectFile | undefined
  /** Of the open file; -1: none is. */
  #base = -1
  #tail: TailBlock | undefined
  #refused = false

  constructor(
    disk: Disk,
    segmentBytes: number,
    pathOf: (base: number) => string,
    readLog: ReadLog,
  ) {
    this.#disk = disk
    this.#segmentBytes = segmentBytes
    this.#pathOf = pathOf
    this.#readLog = readLog
  }

  /**
   * Appends within the segment at `base`, see {@link TailBlock.append}; durable on return. False:
   * it is to be written another way, now and always. @throws DiskError
   */
  append(
    base: number,
    position: number,
    bytes: Buffer,
    offset: number,
    sizeBytes: number,
  ): boolean {
    const file = this.#open(base)
    if (file === undefined) return false
    this.#tail ??= new TailBlock(file.blockBytes, this.#readLog)
    return this.#tail.append(file, base, position, bytes, offset, sizeBytes) || this.#refuse()
  }

  /**
   * Zeros behind the log's end, in the segment at `base`, from the next block on: the one in which
   * the log ends is whole already. Durable on return. False: to be written another way.
   */
  writeZeros(base: number, position: number, sizeBytes: number): boolean {
    const file = this.#open(base)
    if (file === undefined) return false
    const { blockBytes } = file
    const skipped = (blockBytes - (position % blockBytes)) % blockBytes
    const zeroBytes = sizeBytes - skipped
    if (zeroBytes <= 0) return true
    if (zeroBytes % blockBytes !== 0) return false
    const parts = [ZEROS.subarray(0, zeroBytes)]
    return file.write(parts, position + skipped - base) || this.#refuse()
  }

  /** Others write to the files. */
  forget(): void {
    this.#tail?.forget()
  }

  /** Gives the descriptor back: its file may go. */
  close(): void {
    this.forget()
    this.#file?.close()
    this.#file = undefined
    this.#base = -1
  }

  #open(base: number): DirectFile | undefined {
    if (this.#refused || this.#base === base) return this.#file
    this.close()
    const file = this.#disk.openDirect(this.#pathOf(base))
    if (file === undefined) {
      this.#refuse()
      return undefined
    }
    this.#file = file
    this.#base = base
    if (this.#segmentBytes % file.blockBytes !== 0) this.#refuse()
    return this.#file
  }

  #refuse(): false {
    this.#refused = true
    this.close()
    return false
  }
}
