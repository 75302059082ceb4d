/**
 * The port for clients of a `ledger server`. Owns the bounds: so many requests and so many bytes of
 * them at a time, of one connection and of all; who has more is read from when an answer is out.
 */
import { LedgerError } from '@ringledger/base'
import { type Connection, type NetworkLog, RemotingListener } from '@ringledger/network'
import {
  decodeCommand,
  encodeCommand,
  isOneway,
  isResponse,
  RESPONSE_FLAG,
  type RemotingCommand,
} from '@ringledger/protocol'
import { readBody, writeBody } from '../wire/body.ts'
import { DledgerCode } from '../wire/codes.ts'
import type { LedgerService, ServiceAnswer } from './ledger-service.ts'

export interface LedgerListenerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly service: LedgerService
  readonly log: NetworkLog
  readonly limits?: Partial<ClientLimits>
}

export interface ClientLimits {
  readonly maxConnections: number
  /** Requests of one connection without an answer. */
  readonly maxRequests: number
  /** Bytes that the requests of all connections without an answer may hold together. */
  readonly maxRequestBytes: number
}

const DEFAULT_LIMITS: ClientLimits = {
  maxConnections: 1_000,
  maxRequests: 64,
  maxRequestBytes: 64 * 1024 * 1024,
}
export class LedgerListener {
  readonly #options: LedgerListenerOptions
  readonly #limits: ClientLimits
  readonly #listener: RemotingListener
  /** Requests without an answer, by connection. */
  readonly #requests = new Map<Connection, number>()
  /** Connections that keep a frame until there is room. */
  readonly #waiting = new Set<Connection>()
  #requestBytes = 0

  constructor(options: LedgerListenerOptions) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    const { host, port, log } = options
    this.#listener = new RemotingListener(
      {
        onFrame: (connection, buffer, start, end) => this.#onFrame(connection, buffer, start, end),
        onOpen: (connection) => this.#requests.set(connection, 0),
        onClose: (connection) => this.#forget(connection),
      },
      { host, port, log, maxConnections: this.#limits.maxConnections },
    )
  }

  /** The bound port; 0 before `listen` resolved. */
  get port(): number {
    return this.#listener.port
  }

  /** @throws LedgerError PORT_BUSY, BAD_CONFIG */
  async listen(): Promise<void> {
    await this.#listener.listen()
  }

  async close(): Promise<void> {
    await this.#listener.close()
  }

  /** False: not now; the frame is offered again when an answer made room. */
  #onFrame(connection: Connection, buffer: Buffer, start: number, end: number): boolean {
    const requests = this.#requests.get(connection)
    if (requests === undefined) return true
    const { maxRequests, maxRequestBytes } = this.#limits
    const heldBytes = end - start
    const isFull = this.#requestBytes > 0 && this.#requestBytes + heldBytes > maxRequestBytes
    if (requests >= maxRequests || isFull) {
      this.#waiting.add(connection)
      return false
    }
    let command: RemotingCommand
    try {
      // A copy: the request outlives the read buffer.
      command = decodeCommand(Buffer.from(buffer.subarray(start, end)))
    } catch (error) {
      this.#refuseFrame(connection, error)
      return true
    }
    if (isResponse(command)) return true
    this.#requests.set(connection, requests + 1)
    this.#requestBytes += heldBytes
    void this.#serve(connection, command).finally(() => this.#answered(connection, heldBytes))
    return true
  }

  async #serve(connection: Connection, command: RemotingCommand): Promise<void> {
    const { service } = this.#options
    const what = `request ${command.code}`
    let answer: ServiceAnswer
    try {
      answer = await service.answer(command.code, readBody(command.body, what))
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      const body = { code: DledgerCode.UNEXPECTED_ARGUMENT, mayCommit: false, term: -1 }
      answer = { body, remark: error.message }
    }
    if (isOneway(command) || connection.closed) return
    const { body, remark } = answer
    connection.outbox.write(
      encodeCommand({
        code: DledgerCode.SUCCESS,
        opaque: command.opaque,
        flag: RESPONSE_FLAG,
        body: writeBody(body),
        remark,
      }),
    )
  }

  #refuseFrame(connection: Connection, error: unknown): void {
    if (!(error instanceof LedgerError)) throw error
    const line = `closed the connection of ${connection.remoteAddress}: ${error.message}`
    this.#options.log('warn', line)
    connection.close(error.message)
  }

  #answered(connection: Connection, heldBytes: number): void {
    const requests = this.#requests.get(connection)
    if (requests !== undefined) this.#requests.set(connection, requests - 1)
    this.#requestBytes -= heldBytes
    if (this.#waiting.size === 0) return
    // The bytes that became free are everybody's.
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const one of waiting) one.resume()
  }

  #forget(connection: Connection): void {
    this.#requests.delete(connection)
    this.#waiting.delete(connection)
  }
}
