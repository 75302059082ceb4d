/**
 * Keeps zero-filled space in front of the log's end, so that a group overwrites allocated blocks.
 * Owns the invariant that nothing but zeros is ever written, and only behind the log's end.
 */
import { MAX_ZEROS_BYTES } from './direct-segments.ts'
import type { SegmentFiles } from './segment-files.ts'

/**
 * One step, done and synced while no group waits, so that a group waits for at most one. Chosen on
 * the 2-core box by five interleaved runs each, groups of 128 KiB with 0.5 ms between them, others
 * at work on the same disk; best and median run:
 *
 *   blocks in front of the log   MB/s        p50 of write + fdatasync   p99 of the whole cycle
 *   sparse file                  121 / 109   0.37 / 0.42 ms             3.8 / 6.5 ms
 *   fallocate (unwritten)        126 / 111   0.40 / 0.46 ms             1.8 / 4.1 ms
 *   zeroed in steps of 1 MiB     126 / 101   0.24 / 0.26 ms             4.8 / 5.6 ms
 *   zeroed in steps of 256 KiB   163 / 140   0.19 / 0.22 ms             1.4 / 3.9 ms
 *   all zeroed before            156 / 130   0.22 / 0.30 ms             1.3 / 3.8 ms
 *
 * A step takes 0.4 ms (1 MiB: 1.0 ms). Groups of 4 KiB: 0.24 ms zeroed, 0.34 ms sparse.
 */
export const ZERO_STEP_BYTES: number = MAX_ZEROS_BYTES

/**
 * Larger groups are not zeroed for: their syncs are few, and where the processor is what is short,
 * writing every byte twice costs more than a sync of unwritten blocks. Three nodes and the load on
 * the 2-core box, 1 KiB messages, 4 connections with 64 in flight: 53,000 msg/s and 4.8 µs of the
 * IO thread a message with zeroing, 80,000 to 83,000 and 2.3 µs without (p99 9.1 and 7.1 ms); one
 * in flight, p50 0.62 and 0.59 ms.
 */
const SMALL_GROUP_BYTES = 32 * 1024
const GROUPS_REMEMBERED = 16

export class ZeroAhead {
  readonly #data: SegmentFiles
  readonly #windowBytes: number
  readonly #stepBytes: number
  #zeroedTo: number
  /** Size of the last groups, on average. */
  #groupBytes = 0

  constructor(data: SegmentFiles, windowBytes: number, zeroedTo: number) {
    this.#data = data
    // At most one segment behind the one in use: Apache refuses a store with more empty ones.
    this.#windowBytes = Math.min(windowBytes, data.segmentBytes)
    this.#stepBytes = Math.min(this.#windowBytes, ZERO_STEP_BYTES)
    this.#zeroedTo = zeroedTo
  }

  /** Bytes from the log's end up to here are allocated and zero. */
  get zeroedTo(): number {
    return this.#zeroedTo
  }

  /** A group of `groupBytes` was written, up to `position`. */
  written(position: number, groupBytes: number): void {
    this.#zeroedTo = Math.max(this.#zeroedTo, position)
    this.#groupBytes += (groupBytes - this.#groupBytes) / GROUPS_REMEMBERED
  }

  /** Everything behind `position` was given back. */
  cut(position: number): void {
    this.#zeroedTo = position
  }

  /** Whether a step is due for a log that ends at `endPosition`. */
  due(endPosition: number): boolean {
    if (this.#stepBytes === 0 || this.#groupBytes > SMALL_GROUP_BYTES) return false
    return this.#zeroedTo + this.#stepBytes <= endPosition + this.#windowBytes
  }

  /**
   * One step: at most {@link ZERO_STEP_BYTES}, synced. @throws DiskError; DISK_FULL may be tried
   * again
   */
  step(): void {
    const segmentBytes = this.#data.segmentBytes
    const from = this.#zeroedTo
    const toSegmentEnd = segmentBytes - (from % segmentBytes)
    const toStep = this.#stepBytes - (from % this.#stepBytes)
    const sizeBytes = Math.min(toSegmentEnd, toStep)
    this.#data.writeZeros(from, sizeBytes)
    this.#zeroedTo = from + sizeBytes
  }
}
