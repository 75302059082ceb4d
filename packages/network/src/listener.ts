/**
 * The port that clients connect to. Owns the invariants: at most `maxConnections` connections;
 * silent ones close after the idle time, by one timer for all; after `close` nothing of it is left
 * on the loop.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { Connection, type ConnectionContext, type ConnectionHandlers } from './connection.ts'
import { ReadBudget } from './frame-reader.ts'
import { LineLimiter } from './line-limiter.ts'
import { type ListenAddress, listenOn } from './listen.ts'
import { type NetworkLog, silentLog } from './log.ts'
import { readAccepted, takeoverWorks } from './socket-reader.ts'
import { Turn } from './turn.ts'

export interface RemotingListenerOptions extends ListenAddress {
  /** Shared by everything that writes to sockets in this thread. */
  readonly turn?: Turn
  readonly log?: NetworkLog
  readonly maxConnections?: number
  /** Ids of this listener's connections, so that several listeners of a process differ in them. */
  readonly connectionIds?: { readonly first: number; readonly step: number }
  /** A connection without traffic for this long is closed. */
  readonly idleMs?: number
  readonly outboxHighWaterBytes?: number
  readonly outboxMaxBytes?: number
  /** Unread answers of all connections together. */
  readonly backlogMaxBytes?: number
  readonly readBufferBytes?: number
  /** All connections together, for frames larger than their read buffer. */
  readonly maxLargeFrameBytes?: number
}

const DEFAULT_MAX_CONNECTIONS = 10_000
const DEFAULT_IDLE_MS = 120_000
const DEFAULT_OUTBOX_HIGH_WATER_BYTES = 1024 * 1024
const DEFAULT_OUTBOX_MAX_BYTES = 32 * 1024 * 1024
const DEFAULT_BACKLOG_MAX_BYTES = 128 * 1024 * 1024
const DEFAULT_READ_BUFFER_BYTES = 64 * 1024
const DEFAULT_MAX_LARGE_FRAME_BYTES = 128 * 1024 * 1024
/** Idle connections close up to a twelfth late. */
const SWEEPS_PER_IDLE_TIME = 12

export class RemotingListener {
  readonly turn: Turn
  readonly connections: ReadonlySet<Connection>

  readonly #connections = new Set<Connection>()
  readonly #options: RemotingListenerOptions
  readonly #handlers: ConnectionHandlers
  readonly #context: ConnectionContext
  readonly #log: NetworkLog
  readonly #server: Server
  #takeover = false
  #sweeper: NodeJS.Timeout | undefined
  #nextId: number
  #refusing = false
  #port = 0
  #onEmpty: (() => void) | undefined

  constructor(handlers: ConnectionHandlers, options: RemotingListenerOptions) {
    this.#handlers = handlers
    this.#options = options
    this.#log = options.log ?? silentLog
    this.#nextId = options.connectionIds?.first ?? 1
    this.connections = this.#connections
    this.turn = options.turn ?? new Turn()
    this.#context = {
      turn: this.turn,
      lines: new LineLimiter(this.#log),
      sweep: { count: 0 },
      backlog: { totalBytes: 0 },
      budget: new ReadBudget(options.maxLargeFrameBytes ?? DEFAULT_MAX_LARGE_FRAME_BYTES),
      limits: {
        outboxHighWaterBytes: options.outboxHighWaterBytes ?? DEFAULT_OUTBOX_HIGH_WATER_BYTES,
        outboxMaxBytes: options.outboxMaxBytes ?? DEFAULT_OUTBOX_MAX_BYTES,
        backlogMaxBytes: options.backlogMaxBytes ?? DEFAULT_BACKLOG_MAX_BYTES,
        readBufferBytes: options.readBufferBytes ?? DEFAULT_READ_BUFFER_BYTES,
      },
      handlers: {
        onFrame: (connection, buffer, start, end) =>
          handlers.onFrame(connection, buffer, start, end),
        onClose: (connection, reason) => this.#onClose(connection, reason),
      },
    }
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    )
  }

  /** The bound port; 0 before `listen` resolved. */
  get port(): number {
    return this.#port
  }

  /** Resolves once clients can connect. @throws LedgerError PORT_BUSY, BAD_CONFIG. */
  async listen(): Promise<void> {
    this.#takeover = await takeoverWorks()
    if (!this.#takeover) {
      this.#log(
        'warn',
        'this Node does not let accepted sockets read into our buffers; reading by events',
      )
    }
    this.#port = await listenOn(this.#server, this.#options)
    this.#server.on('error', (error) => this.#log('error', `accepting failed: ${error.message}`))
    const idleMs = this.#options.idleMs ?? DEFAULT_IDLE_MS
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(1, idleMs / SWEEPS_PER_IDLE_TIME))
    this.#sweeper.unref()
  }

  /** Closes the port and every connection, after its last answers; resolves when all are gone. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper)
    this.#context.lines.close()
    const serverClosed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const connectionsClosed = new Promise<void>((resolve) => {
      if (this.#connections.size === 0) resolve()
      else this.#onEmpty = resolve
    })
    for (const connection of this.#connections) connection.closeAfterSend('the server stops')
    await Promise.all([serverClosed, connectionsClosed])
  }

  #accept(accepted: Socket): void {
    const { maxConnections = DEFAULT_MAX_CONNECTIONS } = this.#options
    if (this.#connections.size >= maxConnections) {
      if (!this.#refusing) {
        this.#log('warn', `refusing connections: ${maxConnections} are open already`)
      }
      this.#refusing = true
      accepted.destroy()
      return
    }
    this.#refusing = false
    const connection = new Connection(this.#nextId, this.#context)
    this.#nextId += this.#options.connectionIds?.step ?? 1
    connection.attach(readAccepted(accepted, connection, this.#takeover))
    this.#connections.add(connection)
    this.#handlers.onOpen?.(connection)
  }

  #onClose(connection: Connection, reason: string): void {
    this.#connections.delete(connection)
    this.#handlers.onClose?.(connection, reason)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  #sweep(): void {
    this.#context.sweep.count++
    for (const connection of this.#connections) connection.sweepIdle(SWEEPS_PER_IDLE_TIME)
  }
}
