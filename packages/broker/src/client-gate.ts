/**
 * What a thread with client sockets does with connections and their frames: plain sends to the
 * front, everything else to the broker thread, answers into the outboxes. Invariants: a frame that
 * has no room stays with its connection, which stops reading; a full ring never makes the loop
 * spin.
 */
import type { Connection } from '@ringledger/network'
import { decodeCommand, encodeCommand, isOneway, ResponseCode } from '@ringledger/protocol'
import type { BrokerLink } from './broker-link.ts'
import type { CoreClients } from './core-agent.ts'
import { MAX_REQUEST_BYTES } from './core-port-frames.ts'
import type { SendFront } from './send-front.ts'
import type { SendRelay } from './send-relay.ts'
import { type SubmitPort, Taken } from './submit-port.ts'

export interface ClientGateParts {
  link: BrokerLink
  front: SendFront
  port: SubmitPort
  relay: SendRelay
  connections: Map<number, Connection>
  /** Something arrived: a turn's end must follow. */
  touch(): void
  log(level: 'info' | 'warn' | 'error', line: string): void
}

export class ClientGate implements CoreClients {
  readonly #parts: ClientGateParts
  /** Connections that a full ring has paused. */
  readonly #paused = new Set<Connection>()

  constructor(parts: ClientGateParts) {
    this.#parts = parts
  }

  onOpen(connection: Connection): void {
    const { id, remoteAddress, remoteHost } = connection
    if (!this.#parts.link.connected(id, remoteAddress, remoteHost)) {
      const reason = 'too many connections and requests come at once'
      this.#parts.log('warn', `${remoteAddress}: closed, ${reason}`)
      connection.close(reason)
      return
    }
    this.#parts.connections.set(id, connection)
    this.#parts.touch()
  }

  onClose(connection: Connection): void {
    if (!this.#parts.connections.delete(connection.id)) return
    this.#paused.delete(connection)
    this.#parts.link.closed(connection.id)
    this.#parts.touch()
  }

  /** One client frame; false keeps it until there is room. */
  onFrame(connection: Connection, frame: Buffer, start: number, end: number): boolean {
    const { touch, front, link, port, relay } = this.#parts
    touch()
    const taken = front.take(connection, frame, start, end)
    if (taken === Taken.DONE) return true
    if (taken === Taken.FORWARD) {
      if (!port.serving && relay.open && relay.take(connection, frame, start, end)) return true
      if (end - start > MAX_REQUEST_BYTES) {
        this.#refuseLarge(connection, frame, start, end)
        return true
      }
      if (link.request(connection.id, frame, start, end)) return true
    }
    this.#paused.add(connection)
    return false
  }

  onAnswer(connectionId: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#parts.connections.get(connectionId)
    if (connection === undefined) return
    const { outbox } = connection
    const at = outbox.claim(end - start)
    bytes.copy(outbox.bytes, at, start, end)
    outbox.commit(end - start)
  }

  relayTo(address: string): void {
    this.#parts.relay.setLeader(address)
  }

  /** Nothing more is handed on. Resolves when everything that was is answered. */
  endRelay(): Promise<void> {
    return this.#parts.relay.close()
  }

  onCloseRequest(connectionId: number): void {
    this.#parts.connections.get(connectionId)?.close('closed by the broker')
  }

  /** Nothing waits here: what sockets bring is taken at once. */
  drain(): void {}

  /** Offers kept frames again once there is room. */
  flush(): void {
    if (this.#paused.size === 0) return
    if (!this.#parts.link.retry() || !this.#parts.port.retry()) return
    const waiting = [...this.#paused]
    this.#paused.clear()
    for (const connection of waiting) connection.resume()
  }

  #refuseLarge(connection: Connection, frame: Buffer, start: number, end: number): void {
    const opaque = opaqueOf(frame, start, end)
    const remark = `a request of ${end - start} bytes is over the limit of ${MAX_REQUEST_BYTES}`
    this.#parts.log('warn', `${connection.remoteAddress}: ${remark}`)
    if (opaque === undefined) {
      connection.close(remark)
      return
    }
    connection.outbox.write(
      encodeCommand({ code: ResponseCode.MESSAGE_ILLEGAL, opaque, flag: 1, remark }),
    )
  }
}

/** Undefined for a frame that cannot be decoded or wants no answer. */
function opaqueOf(frame: Buffer, start: number, end: number): number | undefined {
  try {
    const command = decodeCommand(frame.subarray(start, end))
    return isOneway(command) ? undefined : command.opaque
  } catch {
    return undefined
  }
}
