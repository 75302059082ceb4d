/**
 * Keeps zero-filled space in front of the log's end, so that a group overwrites allocated blocks. Owns the invariant that
 * nothing but zeros is ever written, and only behind the log's end.
 */
import type { SegmentFiles } from './segment-files.ts'

/** Zero-filling goes in steps of this size between two groups, so no group waits longer than one step. */
export const ZERO_STEP_BYTES: number = 1024 ** 2

const ZEROS = Buffer.alloc(ZERO_STEP_BYTES)

export class ZeroAhead {
  readonly #data: SegmentFiles
  readonly #windowBytes: number
  readonly #stepBytes: number
  #zeroedTo: number

  constructor(data: SegmentFiles, windowBytes: number, zeroedTo: number) {
    this.#data = data
    this.#windowBytes = windowBytes
    this.#stepBytes = Math.min(windowBytes, ZERO_STEP_BYTES)
    this.#zeroedTo = zeroedTo
  }

  /** Bytes from the log's end up to here are allocated and zero. */
  get zeroedTo(): number {
    return this.#zeroedTo
  }

  /** The log was written up to `position`. */
  written(position: number): void {
    this.#zeroedTo = Math.max(this.#zeroedTo, position)
  }

  /** Everything behind `position` was given back. */
  cut(position: number): void {
    this.#zeroedTo = position
  }

  /** Whether a step is due for a log that ends at `endPosition`. */
  due(endPosition: number): boolean {
    if (this.#stepBytes === 0) return false
    return this.#zeroedTo + this.#stepBytes <= endPosition + this.#windowBytes
  }

  /** One step: at most {@link ZERO_STEP_BYTES}, synced. @throws DiskError; DISK_FULL may be tried again */
  step(): void {
    const segmentBytes = this.#data.segmentBytes
    const from = this.#zeroedTo
    const toSegmentEnd = segmentBytes - (from % segmentBytes)
    const toStep = this.#stepBytes - (from % this.#stepBytes)
    const sizeBytes = Math.min(toSegmentEnd, toStep)
    this.#data.writeAt(from, ZEROS, 0, sizeBytes)
    this.#data.sync()
    this.#zeroedTo = from + sizeBytes
  }
}
