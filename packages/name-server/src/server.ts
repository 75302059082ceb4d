/**
 * The name server process: listens, decodes requests, answers them with `handlers/`, and takes
 * silent or disconnected brokers out. Owns two invariants: a one-way request gets no answer, and no
 * request, however malformed, stops the process.
 */
import { type Clock, InvariantError, systemClock } from '@ringledger/base'
import {
  type Connection,
  RemotingListener,
  type RemotingListenerOptions,
} from '@ringledger/network'
import {
  decodeCommand,
  encodeCommand,
  isOneway,
  isResponse,
  RESPONSE_FLAG,
  type RemotingCommand,
  ResponseCode,
} from '@ringledger/protocol'
import {
  NAME_SERVER_BLACK_LIST,
  NAME_SERVER_DEFAULTS,
  type NameServerSettings,
  nameServerSettings,
} from './config.ts'
import type { HandlerContext, Reply } from './handlers/handler.ts'
import { handlers } from './handlers/index.ts'
import { KvConfig } from './kv.ts'
import { type Log, silentLog } from './log.ts'
import { DEFAULT_ROUTE_LIMITS, type RouteLimits, Routes } from './routes.ts'
import { SettingsStore } from './settings-store.ts'

export interface NameServerOptions {
  /** 0 takes any free port. Default 9876. */
  listenPort?: number
  /** Address to listen on. Default: all. */
  host?: string
  /** Where code 318 keeps changed settings; without it they last until the process ends. */
  configStorePath?: string
  /** The file of the KV configuration; without it the table lasts until the process ends. */
  kvConfigPath?: string
  settings?: Partial<NameServerSettings>
  /** Default 10,000; one connection more is closed at once. */
  maxConnections?: number
  /** A connection without traffic is closed after this time (milliseconds). Default 120,000. */
  idleTimeoutMs?: number
  limits?: RouteLimits
  log?: Log
  clock?: Clock
  timers?: Timers
}

export interface RunningNameServer {
  /** The port it listens on. */
  readonly port: number
  /** Stops listening, closes every connection; resolves when the port is free again. */
  close(): Promise<void>
}

/** Delayed calls, passed in so that tests own them. */
export interface Timers {
  /** Calls back once after `delayMs`; the result takes it back. */
  after(delayMs: number, callback: () => void): () => void
}

const DEFAULT_MAX_CONNECTIONS = 10_000
/** Requests are small; ten thousand quiet connections hold 40 MiB with this. */
const READ_BUFFER_BYTES = 4 * 1024

const systemTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Starts a name server. @throws LedgerError PORT_BUSY, or CORRUPT for an unreadable KV file. */
export async function runNameServer(options: NameServerOptions = {}): Promise<RunningNameServer> {
  const server = new NameServer(options)
  await server.listen()
  return server
}

class NameServer implements RunningNameServer {
  readonly #log: Log
  readonly #context: HandlerContext
  readonly #timers: Timers
  readonly #listener: RemotingListener
  readonly #connections = new Map<number, Connection>()
  #cancelScan = (): void => {}
  #closing = false

  constructor(options: NameServerOptions) {
    const clock = options.clock ?? systemClock
    const settings = nameServerSettings(options.settings)
    this.#log = options.log ?? silentLog
    this.#timers = options.timers ?? systemTimers
    this.#context = {
      routes: new Routes(clock, settings, options.limits ?? DEFAULT_ROUTE_LIMITS),
      kv: KvConfig.open(options.kvConfigPath),
      settings: new SettingsStore(settings, fixedProperties(options), options.configStorePath),
      clock,
      log: this.#log,
      startedMs: clock.monotonicMs(),
    }
    this.#listener = new RemotingListener(
      {
        onFrame: (connection, buffer, start, end) => this.#onFrame(connection, buffer, start, end),
        onOpen: (connection) => this.#connections.set(connection.id, connection),
        onClose: (connection) => this.#onClose(connection),
      },
      listenerOptions(options, this.#log),
    )
  }

  get port(): number {
    return this.#listener.port
  }

  async listen(): Promise<void> {
    await this.#listener.listen()
    this.#armScan()
    this.#log.info({ port: this.port }, 'name server listens')
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#cancelScan()
    await this.#listener.close()
  }

  #armScan(): void {
    const { scanNotActiveBrokerInterval } = this.#context.settings.current
    this.#cancelScan = this.#timers.after(scanNotActiveBrokerInterval, () => {
      this.#expireBrokers()
      this.#armScan()
    })
  }

  #expireBrokers(): void {
    for (const { brokerName, brokerAddr, connectionId } of this.#context.routes.expire()) {
      this.#log.warn({ brokerName, brokerAddr }, 'broker was silent for too long')
      this.#connections.get(connectionId)?.close('its broker was silent for too long')
    }
  }

  #onClose(connection: Connection): void {
    this.#connections.delete(connection.id)
    if (this.#closing) return
    for (const { brokerName, brokerAddr } of this.#context.routes.connectionClosed(connection.id)) {
      this.#log.info({ brokerName, brokerAddr }, 'broker disconnected')
    }
  }

  #onFrame(connection: Connection, buffer: Buffer, start: number, end: number): void {
    let request: RemotingCommand
    try {
      request = decodeCommand(buffer.subarray(start, end))
    } catch (error) {
      const fields = { remote: connection.remoteAddress, reason: reasonOf(error) }
      this.#log.warn(fields, 'closed a connection that sent a malformed frame')
      connection.close('malformed frame')
      return
    }
    if (isResponse(request)) return
    const reply = this.#answer(request, connection)
    if (isOneway(request)) return
    connection.outbox.write(
      encodeCommand({ ...reply, opaque: request.opaque, flag: RESPONSE_FLAG }),
    )
  }

  #answer(request: RemotingCommand, connection: Connection): Reply {
    const handler = handlers.get(request.code)
    if (handler === undefined) {
      const remark = ` request type ${request.code} not supported`
      return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark }
    }
    const { id: connectionId, remoteAddress } = connection
    try {
      return handler(request, this.#context, { connectionId, remoteAddress })
    } catch (error) {
      if (error instanceof InvariantError) throw error
      const fields = { remote: remoteAddress, code: request.code, reason: reasonOf(error) }
      this.#log.warn(fields, 'refused a request')
      return { code: ResponseCode.SYSTEM_ERROR, remark: reasonOf(error) }
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function listenerOptions(options: NameServerOptions, log: Log): RemotingListenerOptions {
  return {
    host: options.host ?? NAME_SERVER_DEFAULTS.bindAddress,
    port: options.listenPort ?? NAME_SERVER_DEFAULTS.listenPort,
    maxConnections: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    idleMs: idleMsOf(options),
    readBufferBytes: READ_BUFFER_BYTES,
    log: (level, line) => log[level]({}, line),
  }
}

function idleMsOf(options: NameServerOptions): number {
  return options.idleTimeoutMs ?? NAME_SERVER_DEFAULTS.serverChannelMaxIdleTimeSeconds * 1_000
}

function fixedProperties(options: NameServerOptions): Map<string, string> {
  const properties = new Map([
    ['listenPort', String(options.listenPort ?? NAME_SERVER_DEFAULTS.listenPort)],
    ['bindAddress', options.host ?? NAME_SERVER_DEFAULTS.bindAddress],
    ['serverChannelMaxIdleTimeSeconds', String(Math.ceil(idleMsOf(options) / 1_000))],
    ['configBlackList', NAME_SERVER_BLACK_LIST.join(';')],
  ])
  if (options.configStorePath !== undefined)
    properties.set('configStorePath', options.configStorePath)
  if (options.kvConfigPath !== undefined) properties.set('kvConfigPath', options.kvConfigPath)
  return properties
}
