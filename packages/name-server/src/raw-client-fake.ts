/** A client of bytes for tests: sends frames as they are and reads the answers one by one. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  type CommandInit,
  decodeCommand,
  encodeCommand,
  type RemotingCommand,
} from '@ringledger/protocol'

export class RawClient {
  readonly #socket: Socket
  #received = Buffer.alloc(0)
  #opaque = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#socket.emit('received')
    })
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  send(frame: Uint8Array): void {
    this.#socket.write(frame)
  }

  /** The next frame that the server sends. */
  async receive(): Promise<RemotingCommand> {
    for (;;) {
      const held = this.#received
      if (held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
        const end = 4 + held.readInt32BE(0)
        this.#received = held.subarray(end)
        return decodeCommand(held.subarray(0, end))
      }
      await once(this.#socket, 'received')
    }
  }

  async request(command: Omit<CommandInit, 'opaque'>): Promise<RemotingCommand> {
    this.send(encodeCommand({ ...command, opaque: this.#opaque++ }))
    return this.receive()
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    if (!this.#socket.closed) await once(this.#socket, 'close')
  }

  async close(): Promise<void> {
    this.#socket.destroy()
    await this.closed()
  }
}
