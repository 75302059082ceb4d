/**
 * What waits to be written to one socket. Owns the invariants: one `socket.write` per loop turn;
 * bytes given to the socket are not touched until the kernel has them (the buffer is reused only
 * when the write went out at once, hot-path trap 5).
 */
import type { Socket } from 'node:net'
import type { Flushable, Turn } from './turn.ts'

const FIRST_BUFFER_BYTES = 2048
/** A buffer above this is not kept for the next turn. */
const KEPT_BUFFER_BYTES = 256 * 1024
const NO_BYTES = Buffer.alloc(0)

export interface OutboxOwner {
  /** After a flush that left bytes with the socket. */
  onBacklog(queuedBytes: number): void
}

export class Outbox implements Flushable {
  /** The buffer that {@link claim} offsets count in; another one after each claim and flush. */
  bytes: Buffer = NO_BYTES

  readonly #socket: Socket
  readonly #turn: Turn
  readonly #owner: OutboxOwner
  #usedBytes = 0
  #queuedForFlush = false

  constructor(socket: Socket, turn: Turn, owner: OutboxOwner) {
    this.#socket = socket
    this.#turn = turn
    this.#owner = owner
  }

  /**
   * Room for up to `sizeBytes`; returns the offset in {@link bytes}. Nothing is sent of it before
   * {@link commit}.
   */
  claim(sizeBytes: number): number {
    const needed = this.#usedBytes + sizeBytes
    if (needed > this.bytes.length) this.#grow(needed)
    return this.#usedBytes
  }

  /** The first `sizeBytes` of the last claim go out at the end of the turn. */
  commit(sizeBytes: number): void {
    this.#usedBytes += sizeBytes
    if (this.#queuedForFlush || this.#usedBytes === 0) return
    this.#queuedForFlush = true
    this.#turn.flushAtEnd(this)
  }

  /** Copies `bytes` behind what waits already. */
  write(bytes: Uint8Array): void {
    const offset = this.claim(bytes.length)
    this.bytes.set(bytes, offset)
    this.commit(bytes.length)
  }

  /** Hands everything to the socket now. Called by the turn. */
  flush(): void {
    this.#queuedForFlush = false
    const usedBytes = this.#usedBytes
    this.#usedBytes = 0
    if (usedBytes === 0 || this.#socket.destroyed || this.#socket.writableEnded) return
    const ready = this.bytes.subarray(0, usedBytes)
    // What joins a queue waits long: without the room behind it, and the buffer stays ours.
    const joinsQueue = this.#socket.writableLength > 0
    this.#socket.write(joinsQueue ? Buffer.from(ready) : ready)
    const backlogBytes = this.#socket.writableLength
    if (backlogBytes > 0) {
      if (!joinsQueue || this.bytes.length > KEPT_BUFFER_BYTES) this.bytes = NO_BYTES
      this.#owner.onBacklog(backlogBytes)
    } else if (this.bytes.length > KEPT_BUFFER_BYTES) {
      this.bytes = NO_BYTES
    }
  }

  /** Bytes that the kernel has not taken. */
  get queuedBytes(): number {
    return this.#usedBytes + this.#socket.writableLength
  }

  /** Gives the kept buffer back while nothing waits; for connections that have gone quiet. */
  trim(): void {
    if (this.#usedBytes === 0) this.bytes = NO_BYTES
  }

  #grow(neededBytes: number): void {
    let size = Math.max(this.bytes.length * 2, FIRST_BUFFER_BYTES)
    while (size < neededBytes) size *= 2
    const bytes = Buffer.allocUnsafeSlow(size)
    if (this.#usedBytes > 0) this.bytes.copy(bytes, 0, 0, this.#usedBytes)
    this.bytes = bytes
  }
}
