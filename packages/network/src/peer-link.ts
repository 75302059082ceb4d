/**
 * One connection to another node, from its first byte to its last. Owns the invariants: no message
 * before both HELLOs were checked; one write under way at a time, so that it is known which log
 * bytes the kernel still reads from where they lie; the owner hears exactly once that the link is
 * down.
 */
import type { Socket } from 'node:net'
import { LedgerError } from '@ringledger/base'
import { FrameReader, ReadBudget } from './frame-reader.ts'
import { PeerBatch, type PeerPiece } from './peer-batch.ts'
import {
  decodePacked,
  decodePeerMessage,
  encodePacked,
  encodePeerMessage,
  type PeerMessage,
} from './peer-codec.ts'
import {
  AT_TYPE,
  helloFrameLength,
  MAX_PEER_FRAME_BYTES,
  PEER_HEADER_BYTES,
  PeerFrameType,
  peerFrameLength,
  peerPayloadStart,
  writePeerHeader,
} from './peer-frame.ts'
import { asHello, type Hello } from './peer-hello.ts'
import type { ByteTaker } from './socket-reader.ts'
import type { Turn } from './turn.ts'

const READ_BUFFER_BYTES = 2 * 1024 * 1024
/** A frame's buffer doubles until it fits, so it may be twice the longest frame. */
const LARGE_FRAME_BUDGET_BYTES = 2 * MAX_PEER_FRAME_BYTES
const APACHE_JSON_FIRST_BYTE = 0x00
const TLS_HANDSHAKE = 0x16

export interface PeerLinkOwner {
  readonly turn: Turn
  readonly selfId: string
  readonly maxQueuedBytes: number
  /** The other side has introduced itself: sets `up`, or closes the link. */
  onHello(link: PeerLink, hello: Hello): void
  onMessage(from: string, message: PeerMessage, payload: Buffer, start: number, end: number): void
  /** The kernel has taken pieces that were held. */
  onFlushed(link: PeerLink): void
  /** Once, also for a link that never was up. */
  onDown(link: PeerLink, reason: string): void
}

export class PeerLink implements ByteTaker {
  /** Who is on the other side: known from the start when dialled, else from its HELLO. */
  peerId: string
  /** Both sides have agreed. */
  up = false
  wasUp = false
  /** The other side knows the messages of repair. */
  repairs = false
  /** The other side answers questions about its old commit log. */
  oldLogs = false
  /** Ticks of the owner's clock since something came. */
  silentTicks = 0

  readonly #owner: PeerLinkOwner
  readonly #onTaken = (): void => this.#countTaken()
  readonly #reader: FrameReader
  #socket: Socket | undefined
  #collecting = new PeerBatch()
  #underWay = new PeerBatch()
  #writing = false
  #writesStarted = 0
  #writesTaken = 0
  #flushAsked = false
  #sentInTick = false
  #closed = false
  #isDown = false
  #closeReason = ''
  #address = ''

  constructor(owner: PeerLinkOwner, peerId: string) {
    this.#owner = owner
    this.peerId = peerId
    this.#reader = new FrameReader({
      keptBytes: READ_BUFFER_BYTES,
      budget: new ReadBudget(LARGE_FRAME_BUDGET_BYTES),
      frameLength: (buffer, start, end) =>
        this.up ? peerFrameLength(buffer, start, end) : helloFrameLength(buffer, start, end),
      onFrame: (buffer, start, end) => this.#onFrame(buffer, start, end),
    })
  }

  attach(socket: Socket): void {
    this.#socket = socket
    this.#address = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? '?'}`
    socket.setNoDelay(true)
    // A process that was killed says so by 'end': waiting for 'close' would cost the turn in which
    // votes could start.
    socket.on('end', () => this.#down('closed by the other side'))
    socket.on('error', (error) => this.#down(error.message))
    socket.on('close', () => this.#down('closed'))
  }

  /** `host:port` of the other side, for log lines. */
  get address(): string {
    return this.#address
  }

  set address(text: string) {
    this.#address = text
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Bytes accepted by {@link send} that the kernel has not taken. */
  get queuedBytes(): number {
    return this.#closed ? 0 : this.#collecting.sizeBytes + this.#underWay.sizeBytes
  }

  /** Lowest log position of pinned pieces that the kernel has not taken; Infinity for none. */
  get unflushedPosition(): number {
    return this.#closed
      ? Number.POSITIVE_INFINITY
      : Math.min(this.#collecting.lowestPosition, this.#underWay.lowestPosition)
  }

  sendHello(hello: Hello): void {
    encodePacked(this.#collecting, PeerFrameType.hello, hello, 0)
    this.#flushSoon()
  }

  /** False when the link is down or its queue full; nothing of the message goes out then. */
  send(message: PeerMessage, pieces: readonly PeerPiece[]): boolean {
    if (!this.up || this.#closed) return false
    let payloadBytes = 0
    for (let index = 0; index < pieces.length; index++) payloadBytes += pieces[index]!.sizeBytes
    if (this.queuedBytes + payloadBytes > this.#owner.maxQueuedBytes) return false
    encodePeerMessage(this.#collecting, message, payloadBytes)
    for (let index = 0; index < pieces.length; index++) this.#collecting.add(pieces[index]!)
    this.#flushSoon()
    return true
  }

  /**
   * Destroys the socket, which lets go of all pieces at once; the owner's `onDown` follows on the
   * event loop.
   */
  close(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.up = false
    this.#closeReason = reason
    this.#reader.close()
    this.#socket?.destroy()
  }

  /** Sends what waits, then closes. */
  closeAfterFlush(reason: string): void {
    this.#closeReason = reason
    this.#reader.stop()
    this.flush()
    this.#socket?.end(() => this.close(reason))
  }

  /** One tick of the owner's clock: keeps a quiet link visibly alive. */
  tick(): void {
    this.silentTicks++
    if (this.up && !this.#sentInTick && this.queuedBytes === 0) {
      const offset = this.#collecting.claim(PEER_HEADER_BYTES)
      writePeerHeader(this.#collecting.head, offset, PeerFrameType.ping, 0, 0)
      this.#collecting.commit(PEER_HEADER_BYTES)
      this.#flushSoon()
    }
    this.#sentInTick = false
  }

  /** Called by the turn. */
  flush(): void {
    this.#flushAsked = false
    const socket = this.#socket
    if (this.#writing || !socket || socket.destroyed || this.#collecting.sizeBytes === 0) return
    const batch = this.#collecting
    this.#collecting = this.#underWay
    this.#underWay = batch
    this.#sentInTick = true
    this.#writesStarted++
    batch.writeTo(socket, this.#onTaken)
    if (socket.writableLength === 0) this.#release(batch)
    else this.#writing = true
  }

  place(): Buffer {
    return this.#reader.place()
  }

  received(sizeBytes: number): boolean {
    this.silentTicks = 0
    return this.#reader.received(sizeBytes) || this.#afterFailure()
  }

  feed(chunk: Buffer): boolean {
    this.silentTicks = 0
    return this.#reader.feed(chunk) || this.#afterFailure()
  }

  #onFrame(buffer: Buffer, start: number, end: number): boolean {
    const type = buffer[start + AT_TYPE]
    if (type === PeerFrameType.hello) {
      this.#onHello(buffer, start)
    } else if (type !== PeerFrameType.ping) {
      const payloadStart = peerPayloadStart(buffer, start)
      const message = this.#decode(buffer, start, payloadStart)
      if (message) this.#owner.onMessage(this.peerId, message, buffer, payloadStart, end)
    }
    return true
  }

  #decode(buffer: Buffer, start: number, payloadStart: number): PeerMessage | undefined {
    try {
      return decodePeerMessage(buffer, start, payloadStart, this.peerId, this.#owner.selfId)
    } catch (error) {
      this.#closeIfCorrupt(error)
      return undefined
    }
  }

  #onHello(buffer: Buffer, start: number): void {
    const bodyBytes = peerPayloadStart(buffer, start) - start - PEER_HEADER_BYTES
    let hello: Hello | undefined
    try {
      hello = asHello(decodePacked(buffer, start, bodyBytes))
    } catch (error) {
      this.#closeIfCorrupt(error)
      return
    }
    if (hello && !this.up) this.#owner.onHello(this, hello)
    else this.close(hello ? 'it sent a second HELLO' : 'its HELLO lacks fields')
  }

  #closeIfCorrupt(error: unknown): void {
    if (!(error instanceof LedgerError) || error.code !== 'CORRUPT') throw error
    this.close(error.message)
  }

  #flushSoon(): void {
    if (this.#flushAsked) return
    this.#flushAsked = true
    this.#owner.turn.flushAtEnd(this)
  }

  #countTaken(): void {
    this.#writesTaken++
    if (!this.#writing || this.#writesTaken !== this.#writesStarted) return
    this.#writing = false
    this.#release(this.#underWay)
    this.flush()
  }

  #release(batch: PeerBatch): void {
    const heldPieces = batch.lowestPosition < Number.POSITIVE_INFINITY
    batch.clear()
    if (heldPieces && !this.#closed) this.#owner.onFlushed(this)
  }

  #afterFailure(): false {
    const { failure, firstByte } = this.#reader
    if (failure === 'not-a-frame') this.close(notAFrame(firstByte, this.up))
    else if (failure === 'no-memory') this.close('a frame is too large')
    return false
  }

  #down(reason: string): void {
    if (this.#isDown) return
    this.#isDown = true
    this.close(reason)
    this.#owner.onDown(this, this.#closeReason)
  }
}

function notAFrame(firstByte: number, up: boolean): string {
  if (!up && firstByte === APACHE_JSON_FIRST_BYTE) {
    return "it speaks Apache DLedger's JSON protocol: this version joins groups of RingLedger nodes only"
  }
  if (!up && firstByte === TLS_HANDSHAKE) return 'it speaks TLS, which the peer port does not'
  return 'it sent bytes that are no peer frame'
}
