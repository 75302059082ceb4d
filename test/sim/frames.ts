/**
 * Messages on their way, as bytes: encoded by the shipped codec when they are sent, decoded by it
 * when they arrive. Owns the pool of their buffers; a frame belongs to whoever took it until it is
 * given back.
 */
import type { LogPiece, PeerMessage } from '@ringledger/consensus'
import { PeerBatch } from '../../packages/network/src/peer-batch.ts'
import { decodePeerMessage, encodePeerMessage } from '../../packages/network/src/peer-codec.ts'
import { peerPayloadStart } from '../../packages/network/src/peer-frame.ts'

export class Frame {
  bytes: Buffer = Buffer.allocUnsafeSlow(256)
  sizeBytes = 0
  from = 0
  to = 0
  /** Of the connection it was sent over. */
  epoch = 0
  /** Log bytes that a slow socket has not taken yet; they still lie in the sender's arena. */
  held: readonly LogPiece[] = NONE

  room(sizeBytes: number): void {
    if (this.bytes.length >= sizeBytes) return
    const grown = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(sizeBytes)))
    this.bytes.copy(grown)
    this.bytes = grown
  }
}

const NONE: readonly LogPiece[] = []
const MAX_POOLED = 512

export class FramePool {
  readonly #batch = new PeerBatch()
  readonly #free: Frame[] = []

  take(): Frame {
    return this.#free.pop() ?? new Frame()
  }

  give(frame: Frame): void {
    frame.held = NONE
    if (this.#free.length < MAX_POOLED) this.#free.push(frame)
  }

  /** `hold`: the pieces stay where they are until {@link fill}. */
  encode(message: PeerMessage, pieces: readonly LogPiece[], hold: boolean): Frame {
    let payloadBytes = 0
    for (const piece of pieces) payloadBytes += piece.sizeBytes
    const batch = this.#batch
    encodePeerMessage(batch, message, payloadBytes)
    const frame = this.take()
    frame.room(batch.sizeBytes + payloadBytes)
    batch.head.copy(frame.bytes, 0, 0, batch.sizeBytes)
    frame.sizeBytes = batch.sizeBytes
    batch.clear()
    frame.held = pieces
    if (!hold) this.fill(frame)
    return frame
  }

  /** The socket takes the pieces, as they are now. */
  fill(frame: Frame): void {
    for (const { buffer, offset, sizeBytes } of frame.held) {
      buffer.copy(frame.bytes, frame.sizeBytes, offset, offset + sizeBytes)
      frame.sizeBytes += sizeBytes
    }
    frame.held = NONE
  }

  copyOf(frame: Frame): Frame {
    const copy = this.take()
    copy.room(frame.sizeBytes)
    frame.bytes.copy(copy.bytes, 0, 0, frame.sizeBytes)
    copy.sizeBytes = frame.sizeBytes
    copy.from = frame.from
    copy.to = frame.to
    copy.epoch = frame.epoch
    return copy
  }
}

export function payloadStartOf(frame: Frame): number {
  return peerPayloadStart(frame.bytes, 0)
}

export function decodeFrame(frame: Frame, payloadStart: number, names: readonly string[]): unknown {
  const from = names[frame.from] as string
  const to = names[frame.to] as string
  return decodePeerMessage(frame.bytes, 0, payloadStart, from, to)
}
