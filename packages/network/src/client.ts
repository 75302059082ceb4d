/**
 * A caller's side of the remoting protocol, for registration at name servers, the admin tool and
 * tests. Owns the invariants: every request ends exactly once, by its answer, a timeout or the end
 * of the connection; at most `maxPending` wait at a time.
 */
import type { Socket } from 'node:net'
import { LedgerError } from '@ringledger/base'
import {
  type CommandInit,
  decodeCommand,
  encodeCommand,
  isOneway,
  isResponse,
  ONEWAY_FLAG,
  RESPONSE_FLAG,
  type RemotingCommand,
} from '@ringledger/protocol'
import { remotingFrameLength } from './connection.ts'
import { FrameReader, ReadBudget } from './frame-reader.ts'
import { dialingSocket } from './socket-reader.ts'

/** A command without its `opaque`, which the client gives. */
export type RequestInit = Omit<CommandInit, 'opaque'>

export interface RemotingClientOptions {
  readonly connectTimeoutMs?: number
  readonly maxPending?: number
}

/** Answers a request of the server, once. Without effect for a one-way request. */
export type Reply = (response: RequestInit) => void

interface Pending {
  readonly resolve: (command: RemotingCommand) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

const DEFAULT_CONNECT_TIMEOUT_MS = 3000
const DEFAULT_MAX_PENDING = 65_536
const READ_BUFFER_BYTES = 64 * 1024
const LARGE_FRAME_BYTES = 64 * 1024 * 1024

export class RemotingClient {
  /** Requests of the server, such as "the members of your group changed". */
  onRequest: ((command: RemotingCommand, reply: Reply) => void) | undefined
  /** Once after a connection that was open ended. */
  onClose: ((reason: string) => void) | undefined

  readonly #options: RemotingClientOptions
  readonly #pending = new Map<number, Pending>()
  #reader: FrameReader | undefined
  #socket: Socket | undefined
  #address = ''
  #nextOpaque = 1
  #closeReason = ''

  constructor(options: RemotingClientOptions = {}) {
    this.#options = options
  }

  /** `host:port` given to {@link connect}. */
  get address(): string {
    return this.#address
  }

  get connected(): boolean {
    return this.#socket !== undefined && !this.#socket.connecting && !this.#socket.destroyed
  }

  /**
   * Connects to `host:port` (`[v6]:port`). A closed client may connect again.
   * @throws LedgerError TIMEOUT or CLOSED when nobody answers there, BAD_REQUEST for an address
   * that is none.
   */
  async connect(address: string): Promise<void> {
    if (this.#socket) throw new LedgerError('BAD_REQUEST', 'the client is connected already')
    const { host, port } = parseAddress(address)
    this.#address = address
    this.#closeReason = ''
    const reader = this.#newReader()
    const socket = dialingSocket({
      place: () => reader.place(),
      received: (sizeBytes) => reader.received(sizeBytes) || this.#afterFailure(reader),
      feed: (chunk) => reader.feed(chunk) || this.#afterFailure(reader),
    })
    this.#reader = reader
    this.#socket = socket
    socket.setNoDelay(true)
    await this.#opened(socket, host, port)
  }

  /**
   * Sends a request and waits for its answer, whatever its code.
   * @throws LedgerError TIMEOUT, CLOSED (in both cases the server may have done it), BUSY (not
   * sent).
   */
  request(command: RequestInit, timeoutMs: number): Promise<RemotingCommand> {
    return new Promise((resolve, reject) => {
      const socket = this.#openSocket()
      if (this.#pending.size >= (this.#options.maxPending ?? DEFAULT_MAX_PENDING)) {
        throw new LedgerError('BUSY', `${this.#pending.size} requests wait for ${this.#address}`)
      }
      const opaque = this.#opaque()
      const bytes = encodeCommand({ ...command, opaque })
      const timer = setTimeout(() => {
        this.#pending.delete(opaque)
        reject(
          new LedgerError(
            'TIMEOUT',
            `no answer of ${this.#address} to code ${command.code} in ${timeoutMs} ms`,
          ),
        )
      }, timeoutMs)
      this.#pending.set(opaque, { resolve, reject, timer })
      socket.write(bytes)
    })
  }

  /** Sends a request that has no answer. @throws LedgerError CLOSED when not connected. */
  oneway(command: RequestInit): void {
    const flag = (command.flag ?? 0) | ONEWAY_FLAG
    this.#openSocket().write(encodeCommand({ ...command, flag, opaque: this.#opaque() }))
  }

  /** Sends bytes as they are, for tests of what a server does with them. */
  sendRaw(bytes: Uint8Array): void {
    this.#openSocket().write(bytes)
  }

  /** Closes; requests that wait end with CLOSED. Resolves when the connection is gone. */
  async close(): Promise<void> {
    const socket = this.#socket
    if (!socket) return
    this.#closeReason ||= 'closed by this client'
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
      socket.destroy()
    })
  }

  #opened(socket: Socket, host: string, port: number): Promise<void> {
    const timeoutMs = this.#options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS
    return new Promise((resolve, reject) => {
      let open = false
      let failure: Error | undefined
      const timer = setTimeout(() => socket.destroy(timedOut(this.#address, timeoutMs)), timeoutMs)
      socket.once('connect', () => {
        clearTimeout(timer)
        open = true
        resolve()
      })
      socket.on('error', (error) => {
        failure = error
        this.#closeReason ||= error.message
      })
      socket.once('close', () => {
        clearTimeout(timer)
        this.#ended(socket)
        if (open) this.onClose?.(this.#closeReason || 'closed by the server')
        else reject(notConnected(this.#address, failure))
      })
      socket.connect({ host, port })
    })
  }

  #newReader(): FrameReader {
    return new FrameReader({
      keptBytes: READ_BUFFER_BYTES,
      budget: new ReadBudget(LARGE_FRAME_BYTES),
      frameLength: remotingFrameLength,
      onFrame: (buffer, start, end) => {
        this.#onFrame(buffer, start, end)
        return true
      },
    })
  }

  #onFrame(buffer: Buffer, start: number, end: number): void {
    let command: RemotingCommand
    try {
      // A copy: the answer outlives the read buffer.
      command = decodeCommand(Buffer.from(buffer.subarray(start, end)))
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : 'a frame cannot be read')
      return
    }
    if (!isResponse(command)) {
      this.onRequest?.(command, (response) => this.#reply(command, response))
      return
    }
    const pending = this.#pending.get(command.opaque)
    if (!pending) return
    this.#pending.delete(command.opaque)
    clearTimeout(pending.timer)
    pending.resolve(command)
  }

  #reply(request: RemotingCommand, response: RequestInit): void {
    if (isOneway(request) || !this.connected) return
    const flag = (response.flag ?? 0) | RESPONSE_FLAG
    this.#socket!.write(encodeCommand({ ...response, flag, opaque: request.opaque }))
  }

  #afterFailure(reader: FrameReader): false {
    if (reader.failure !== 'none') this.#fail('the server sent bytes that are no frame')
    return false
  }

  #fail(reason: string): void {
    this.#closeReason ||= reason
    this.#socket?.destroy()
  }

  #ended(socket: Socket): void {
    if (this.#socket === socket) this.#socket = undefined
    this.#reader?.close()
    const reason = this.#closeReason || 'closed by the server'
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject, timer } of pending) {
      clearTimeout(timer)
      reject(new LedgerError('CLOSED', `the connection with ${this.#address} ended: ${reason}`))
    }
  }

  #openSocket(): Socket {
    if (!this.#socket || this.#socket.destroyed || this.#socket.connecting) {
      throw new LedgerError('CLOSED', `not connected with ${this.#address || 'any server'}`)
    }
    return this.#socket
  }

  #opaque(): number {
    const opaque = this.#nextOpaque
    this.#nextOpaque = (opaque + 1) & 0x7fffffff
    return opaque
  }
}

function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address.trim())
  const port = Number(match?.[3])
  if (!match || port < 1 || port > 65_535) {
    throw new LedgerError('BAD_REQUEST', `${address} is not host:port`)
  }
  return { host: (match[1] ?? match[2])!, port }
}

function timedOut(address: string, timeoutMs: number): LedgerError {
  return new LedgerError('TIMEOUT', `${address} did not accept a connection in ${timeoutMs} ms`)
}

function notConnected(address: string, cause: Error | undefined): LedgerError {
  if (cause instanceof LedgerError) return cause
  return new LedgerError('CLOSED', `no connection with ${address}: ${cause?.message ?? 'closed'}`, {
    cause,
  })
}
