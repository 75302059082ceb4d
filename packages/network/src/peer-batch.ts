/**
 * What goes to a peer in one write: headers copied into one buffer, log bytes as slices of where
 * they lie. Owns the invariant "slices are held, in place and in order, until the kernel has all of
 * the batch"; small slices are copied and not held.
 */
import type { Socket } from 'node:net'

/** Log bytes that go out from where they lie. */
export interface PeerPiece {
  readonly buffer: Buffer
  readonly offset: number
  readonly sizeBytes: number
  /** Log position of the first byte. */
  readonly position: number
  /**
   * False for bytes nobody overwrites (a buffer of their own); they do not count as unflushed.
   * Otherwise true.
   */
  readonly pinned?: boolean
}

const HEAD_BYTES = 64 * 1024
/** Up to here a copy is cheaper than one more buffer in a gathered write. */
const COPIED_PIECE_BYTES = 4096

export class PeerBatch {
  head: Buffer = Buffer.allocUnsafeSlow(HEAD_BYTES)
  sizeBytes = 0
  /** Lowest log position of the slices held; Infinity for none. */
  lowestPosition: number = Number.POSITIVE_INFINITY

  #used = 0
  #buffers: Buffer[] = []
  #starts: number[] = []
  #ends: number[] = []

  /** Room for `sizeBytes` contiguous bytes in {@link head}; returns the offset. */
  claim(sizeBytes: number): number {
    if (this.#used + sizeBytes > this.head.length) {
      this.head = Buffer.allocUnsafeSlow(Math.max(HEAD_BYTES, sizeBytes))
      this.#used = 0
    }
    return this.#used
  }

  /** The claimed bytes join the batch. */
  commit(sizeBytes: number): void {
    this.#push(this.head, this.#used, sizeBytes)
    this.#used += sizeBytes
  }

  add(piece: PeerPiece): void {
    if (piece.sizeBytes <= COPIED_PIECE_BYTES) {
      const offset = this.claim(piece.sizeBytes)
      piece.buffer.copy(this.head, offset, piece.offset, piece.offset + piece.sizeBytes)
      this.commit(piece.sizeBytes)
      return
    }
    this.#push(piece.buffer, piece.offset, piece.sizeBytes)
    if (piece.pinned !== false && piece.position < this.lowestPosition) {
      this.lowestPosition = piece.position
    }
  }

  /**
   * Hands everything to the socket as one write; `onTaken` is called when the kernel has it, also
   * when that is at once.
   */
  writeTo(socket: Socket, onTaken: () => void): void {
    const last = this.#buffers.length - 1
    if (last > 0) socket.cork()
    for (let index = 0; index < last; index++) socket.write(this.#view(index))
    socket.write(this.#view(last), onTaken)
    if (last > 0) socket.uncork()
  }

  /** Lets go of everything. The head is used again: call only when the kernel has all bytes. */
  clear(): void {
    this.#used = 0
    this.#buffers.length = 0
    this.#starts.length = 0
    this.#ends.length = 0
    this.sizeBytes = 0
    this.lowestPosition = Number.POSITIVE_INFINITY
  }

  #view(index: number): Buffer {
    return this.#buffers[index]!.subarray(this.#starts[index]!, this.#ends[index]!)
  }

  #push(buffer: Buffer, start: number, sizeBytes: number): void {
    this.sizeBytes += sizeBytes
    const last = this.#buffers.length - 1
    if (last >= 0 && this.#buffers[last] === buffer && this.#ends[last] === start) {
      this.#ends[last] = start + sizeBytes
      return
    }
    this.#buffers.push(buffer)
    this.#starts.push(start)
    this.#ends.push(start + sizeBytes)
  }
}
