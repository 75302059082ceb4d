/**
 * Hands sends on to the leader from a node that has given leadership away: clients whose route is
 * old notice nothing of a planned change, instead of failing until they ask for the route again
 * (30 s in the Java client). Runs where the sockets are. Invariants: a send is handed on once,
 * never by a node that got it handed on; what waits for the leader is bounded; its answer is the
 * leader's, or says that it may or may not be stored.
 */
import { type Connection, RemotingClient } from '@ringledger/network'
import {
  type CommandInit,
  decodeCommand,
  encodeCommand,
  isOneway,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'

export interface SendRelayParts {
  readonly connections: ReadonlyMap<number, Connection>
  log(level: 'info' | 'warn' | 'error', line: string): void
}

/** In the flag of a request that was handed on; RocketMQ uses bits 0 and 1. */
export const RELAYED_FLAG: number = 1 << 8
const RELAYED_CODES: ReadonlySet<number> = new Set<number>([
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE,
  RequestCode.CONSUMER_SEND_MSG_BACK,
])
const MAX_PENDING = 4_096
const MAX_PENDING_BYTES = 32 * 1024 * 1024
const CONNECT_TIMEOUT_MS = 500
const ANSWER_TIMEOUT_MS = 3_000

/** The way to one leader. */
class Link {
  readonly client: RemotingClient = new RemotingClient({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
  /** False: nobody accepts there. */
  readonly connected: Promise<boolean>
  pending = 0
  retired = false

  constructor(address: string) {
    this.connected = this.client.connect(address).then(
      () => true,
      () => false,
    )
  }

  /** Closes when the last answer has come. */
  retire(): void {
    this.retired = true
    if (this.pending === 0) void this.client.close()
  }

  done(): void {
    this.pending--
    if (this.retired) this.retire()
  }
}

export class SendRelay {
  readonly #parts: SendRelayParts
  #link: Link | undefined
  #pending = 0
  #pendingBytes = 0
  #onIdle: () => void = () => {}

  constructor(parts: SendRelayParts) {
    this.#parts = parts
  }

  /** Sends may be handed on now. */
  get open(): boolean {
    return this.#link !== undefined
  }

  /** Where the leader takes clients, `host:port`; empty: nowhere, or nothing is handed on. */
  setLeader(address: string): void {
    this.#link?.retire()
    this.#link = address === '' ? undefined : new Link(address)
    if (address !== '') this.#parts.log('info', `sends are handed on to the leader at ${address}`)
  }

  /** False: the frame is no send, or there is no room; it was not touched. */
  take(connection: Connection, frame: Buffer, start: number, end: number): boolean {
    const link = this.#link
    const sizeBytes = end - start
    if (link === undefined || this.#pending >= MAX_PENDING) return false
    if (this.#pendingBytes + sizeBytes > MAX_PENDING_BYTES) return false
    const command = readSend(frame, start, end)
    if (command === undefined) return false
    this.#pending++
    this.#pendingBytes += sizeBytes
    link.pending++
    void this.#handOn(link, command).then((answer) => {
      this.#pending--
      this.#pendingBytes -= sizeBytes
      link.done()
      if (!isOneway(command)) this.#answer(connection.id, command.opaque, answer)
      this.#lookIdle()
    })
    return true
  }

  /** Hands nothing more on. Resolves when everything that was is answered. */
  close(): Promise<void> {
    this.setLeader('')
    return new Promise((resolve) => {
      this.#onIdle = resolve
      this.#lookIdle()
    })
  }

  #lookIdle(): void {
    if (this.#pending === 0) this.#onIdle()
  }

  async #handOn(link: Link, command: RemotingCommand): Promise<Answer> {
    if (!(await link.connected) || !link.client.connected) return NOT_CONNECTED
    const { code, ext, body, language, version } = command
    const flag = command.flag | RELAYED_FLAG
    const request = { code, ext, body, language, version, flag }
    try {
      if (isOneway(command)) {
        link.client.oneway(request)
        return NOT_CONNECTED
      }
      return await link.client.request(request, ANSWER_TIMEOUT_MS)
    } catch {
      return PERHAPS_STORED
    }
  }

  #answer(connectionId: number, opaque: number, answer: Answer): void {
    const connection = this.#parts.connections.get(connectionId)
    const { code, remark, ext, body } = answer
    connection?.outbox.write(encodeCommand({ code, remark, ext, body, opaque, flag: 1 }))
  }
}

type Answer = Pick<CommandInit, 'code' | 'remark' | 'ext' | 'body'>

const NOT_CONNECTED: Answer = {
  code: ResponseCode.SERVICE_NOT_AVAILABLE,
  remark: 'service not available now, this broker does not take writes: the leader is not reached',
}

const PERHAPS_STORED: Answer = {
  code: ResponseCode.SYSTEM_ERROR,
  remark: 'the leader did not answer when the message was handed on; it may or may not be stored',
}

/** A copy of the send in the frame; undefined for anything else. */
function readSend(frame: Buffer, start: number, end: number): RemotingCommand | undefined {
  try {
    const command = decodeCommand(frame.subarray(start, end))
    if (!RELAYED_CODES.has(command.code) || (command.flag & RELAYED_FLAG) !== 0) return undefined
    return { ...command, body: Buffer.from(command.body) }
  } catch {
    return undefined
  }
}
