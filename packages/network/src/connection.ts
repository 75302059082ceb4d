/**
 * One client connection. Owns the invariants: frames reach the handler whole, in order and at most
 * 16 MiB long; nothing is read while the client leaves more than the high-water mark of answers
 * unread; closing is told exactly once.
 */
import type { Socket } from 'node:net'
import { MAX_FRAME_BYTES } from '@ringledger/protocol'
import { FrameReader, NEED_MORE, NOT_A_FRAME, type ReadBudget } from './frame-reader.ts'
import type { LineLimiter } from './line-limiter.ts'
import { Outbox } from './outbox.ts'
import { hostBytes, hostText } from './remote-host.ts'
import type { ByteTaker } from './socket-reader.ts'
import type { Turn } from './turn.ts'

const LENGTH_BYTES = 4
const PREFIX_BYTES = 8
const TLS_HANDSHAKE = 0x16

const PAUSED_BY_CALLER = 1
const PAUSED_BY_HANDLER = 2
const PAUSED_BY_OUTBOX = 4

/**
 * Takes one frame from its length field on, valid during the call. False says "not now": the
 * connection stops reading, keeps the frame, and offers it again after `resume()`.
 */
export type OnConnectionFrame =
  | ((connection: Connection, buffer: Buffer, start: number, end: number) => void)
  | ((connection: Connection, buffer: Buffer, start: number, end: number) => boolean)

export interface ConnectionHandlers {
  readonly onFrame: OnConnectionFrame
  onOpen?(connection: Connection): void
  /** Once for each connection that was opened. */
  onClose?(connection: Connection, reason: string): void
}

export interface ConnectionLimits {
  /** Reading stops above this many unsent answer bytes. */
  readonly outboxHighWaterBytes: number
  /** The connection closes above this: requests taken before the pause cannot answer that much. */
  readonly outboxMaxBytes: number
  /** All connections together; the one that goes above it and its high-water mark closes. */
  readonly backlogMaxBytes: number
  readonly readBufferBytes: number
}

/** What all connections of a listener share. */
export interface ConnectionContext {
  readonly turn: Turn
  readonly handlers: ConnectionHandlers
  readonly limits: ConnectionLimits
  readonly budget: ReadBudget
  /** What clients cause. */
  readonly lines: LineLimiter
  /** Number of the current idle sweep. */
  readonly sweep: { count: number }
  /**
   * Answers of all connections that their clients have not read, where it is more than a little.
   */
  readonly backlog: { totalBytes: number }
}

/** Total bytes of the remoting frame at `start`: its length field and what it announces. */
export function remotingFrameLength(buffer: Buffer, start: number, end: number): number {
  if (end - start < LENGTH_BYTES) return NEED_MORE
  const length = buffer.readInt32BE(start)
  if (length < LENGTH_BYTES || length > MAX_FRAME_BYTES) return NOT_A_FRAME
  if (end - start < PREFIX_BYTES) return NEED_MORE
  if (buffer.readUIntBE(start + 5, 3) > length - LENGTH_BYTES) return NOT_A_FRAME
  return LENGTH_BYTES + length
}

export class Connection implements ByteTaker {
  readonly id: number
  /** Free for the owner: what it knows about this client. */
  attachment: unknown = undefined
  closed = false

  readonly #context: ConnectionContext
  readonly #reader: FrameReader
  #socket: Socket | undefined
  #outbox: Outbox | undefined
  #remoteAddress = ''
  #remoteHost: Buffer = Buffer.alloc(8)
  #paused = 0
  #taken = false
  #lastSweep: number
  /** This connection's part of the shared backlog. */
  #backlogBytes = 0
  #closeReason = ''

  constructor(id: number, context: ConnectionContext) {
    this.id = id
    this.#context = context
    this.#lastSweep = context.sweep.count
    this.#reader = new FrameReader({
      keptBytes: context.limits.readBufferBytes,
      budget: context.budget,
      frameLength: remotingFrameLength,
      onFrame: (buffer, start, end) => this.#offer(buffer, start, end),
    })
  }

  /** Binds the socket that reads into this connection. Called once, by who made it. */
  attach(socket: Socket): void {
    const address = socket.remoteAddress ?? '0.0.0.0'
    const port = socket.remotePort ?? 0
    this.#socket = socket
    this.#remoteAddress = hostText(address, port)
    this.#remoteHost = hostBytes(address, port)
    this.#outbox = new Outbox(socket, this.#context.turn, {
      onBacklog: (queuedBytes) => this.#onBacklog(queuedBytes),
    })
    socket.setNoDelay(true)
    socket.on('drain', () => {
      this.#countBacklog(0)
      this.#unpause(PAUSED_BY_OUTBOX)
    })
    socket.on('error', (error) => this.#noteReason(error.message))
    socket.on('close', () => this.#onSocketClose())
  }

  get outbox(): Outbox {
    return this.#outbox!
  }

  /** `host:port` for people and for RocketMQ's connection tables. */
  get remoteAddress(): string {
    return this.#remoteAddress
  }

  /** IPv4 or IPv6 address bytes, then Int32 port, as RocketMQ stores them. */
  get remoteHost(): Buffer {
    return this.#remoteHost
  }

  /** Stops reading; a frame that is being handled stays handled. */
  pause(): void {
    this.#pause(PAUSED_BY_CALLER)
  }

  /** Reads again, after offering kept frames once more. */
  resume(): void {
    this.#unpause(PAUSED_BY_CALLER | PAUSED_BY_HANDLER)
  }

  /** Closes at once; unsent answers are lost. `onClose` follows. */
  close(reason: string): void {
    if (this.closed) return
    this.#noteReason(reason)
    this.#reader.close()
    this.#socket?.destroy()
  }

  /** Hands what waits to the kernel and closes; what the kernel does not take at once is lost. */
  closeAfterSend(reason: string): void {
    this.#outbox?.flush()
    this.close(reason)
  }

  /** Sends what waits, then closes. */
  closeAfterFlush(reason: string): void {
    if (this.closed) return
    this.#noteReason(reason)
    this.#pause(PAUSED_BY_CALLER)
    this.#outbox?.flush()
    this.#socket?.end(() => this.#socket?.destroy())
  }

  place(): Buffer {
    return this.#reader.place()
  }

  received(sizeBytes: number): boolean {
    this.#lastSweep = this.#context.sweep.count
    return this.#reader.received(sizeBytes) || this.#afterStop()
  }

  feed(chunk: Buffer): boolean {
    this.#lastSweep = this.#context.sweep.count
    return this.#reader.feed(chunk) || this.#afterStop()
  }

  /** Called by each idle sweep. Closes when nothing came or went for `maxSweeps` sweeps. */
  sweepIdle(maxSweeps: number): void {
    const quietSweeps = this.#context.sweep.count - this.#lastSweep
    if (quietSweeps >= maxSweeps) {
      this.close('idle')
    } else if (quietSweeps > 1) {
      this.#outbox?.trim()
    }
  }

  #offer(buffer: Buffer, start: number, end: number): boolean {
    if (this.#paused !== 0) return false
    this.#taken = true
    if (this.#context.handlers.onFrame(this, buffer, start, end) === false) {
      this.#paused |= PAUSED_BY_HANDLER
      return false
    }
    return true
  }

  #afterStop(): false {
    const { failure } = this.#reader
    if (failure === 'none') {
      this.#socket?.pause()
    } else if (failure !== 'closed') {
      this.#reject(failure)
    }
    return false
  }

  #reject(failure: 'not-a-frame' | 'no-memory'): void {
    const reason =
      failure === 'no-memory'
        ? 'the memory for large frames is used up'
        : this.#reader.firstByte === TLS_HANDSHAKE && !this.#taken
          ? 'the client speaks TLS, which this port does not'
          : `a frame whose lengths cannot be (limit ${MAX_FRAME_BYTES} bytes)`
    this.#context.lines.warn(`closed the connection of ${this.#remoteAddress}: ${reason}`)
    this.close(reason)
  }

  #pause(reason: number): void {
    this.#paused |= reason
    this.#reader.stop()
    this.#socket?.pause()
  }

  #unpause(reasons: number): void {
    if (this.closed || (this.#paused & reasons) === 0) return
    this.#paused &= ~reasons
    if (this.#paused !== 0) return
    if (this.#reader.restart()) {
      this.#socket?.resume()
    } else {
      this.#afterStop()
    }
  }

  #onBacklog(queuedBytes: number): void {
    const { limits, backlog, lines, sweep } = this.#context
    const { outboxHighWaterBytes, outboxMaxBytes, backlogMaxBytes } = limits
    this.#lastSweep = sweep.count
    // Only above the socket's own mark does it announce 'drain'.
    const socketMark = this.#socket!.writableHighWaterMark
    this.#countBacklog(queuedBytes > socketMark ? queuedBytes : 0)
    if (queuedBytes <= Math.max(outboxHighWaterBytes, socketMark)) return
    if (queuedBytes > outboxMaxBytes || backlog.totalBytes > backlogMaxBytes) {
      const whole = `${queuedBytes} bytes of answers unread, all together ${backlog.totalBytes}`
      lines.warn(`closed the connection of ${this.#remoteAddress}: it left ${whole}`)
      this.close('answers unread')
    } else {
      this.#pause(PAUSED_BY_OUTBOX)
    }
  }

  #countBacklog(bytes: number): void {
    this.#context.backlog.totalBytes += bytes - this.#backlogBytes
    this.#backlogBytes = bytes
  }

  #noteReason(reason: string): void {
    if (this.#closeReason === '') this.#closeReason = reason
  }

  #onSocketClose(): void {
    if (this.closed) return
    this.closed = true
    this.#reader.close()
    this.#countBacklog(0)
    this.#context.handlers.onClose?.(this, this.#closeReason || 'closed by the client')
  }
}
