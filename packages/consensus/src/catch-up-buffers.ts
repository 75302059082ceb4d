/**
 * The buffers in which a peer's batches are read from files. Owns the invariant that a buffer is
 * not filled anew while the peer's socket holds bytes of it. They are used again, for memory that
 * was never touched costs more than what is read into it.
 */
import { allocateRegion, regionBuffer } from 'sharedarraybuffer-ringbuffer'

const LEAST_BYTES: number = 1024 * 1024 + 16 * 1024
/** More are made while a socket holds more than these, and left to the collector. */
const MAX_KEPT = 4

interface Kept {
  readonly buffer: Buffer
  /** What the socket had taken of batches, this one included. */
  readonly takenBytes: number
}

export class CatchUpBuffers {
  readonly #kept: Kept[] = []
  #takenBytes = 0

  /** One of `sizeBytes` or more, on a page; `queuedBytes` is what the peer's socket holds. */
  take(sizeBytes: number, queuedBytes: number): Buffer {
    // A socket sends in order: what it holds is at most the last that it took.
    const at = this.#kept.findIndex(
      ({ buffer, takenBytes }) =>
        buffer.length >= sizeBytes && this.#takenBytes - takenBytes >= queuedBytes,
    )
    const [free] = at < 0 ? [] : this.#kept.splice(at, 1)
    return free?.buffer ?? regionBuffer(allocateRegion(Math.max(sizeBytes, LEAST_BYTES)))
  }

  /**
   * Its bytes were handed to the socket, which holds `addedBytes` more since: 0 if it took none.
   */
  give(buffer: Buffer, addedBytes: number): void {
    this.#takenBytes += addedBytes
    this.#kept.push({ buffer, takenBytes: this.#takenBytes })
    if (this.#kept.length > MAX_KEPT) this.#kept.shift()
  }
}
