/** Bytes to a port as a broken or foreign client sends them, and what comes back. */
import { connect, type Socket } from 'node:net'
import { decodeCommand, type RemotingCommand } from '@ringledger/protocol'

export interface Exchange {
  /** `host:port` of our end, as the server's log names it. */
  readonly from: string
  /** The first frame that came back; undefined when the server closed without one. */
  readonly answer: RemotingCommand | undefined
}

/** Opens a connection. @throws Error when nobody listens. */
export function dial(address: string): Promise<Socket> {
  const [host = '', port = ''] = address.split(':')
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      // A server that closes with bytes unread resets the connection.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

/** Resolves with the first answer, or when the server has closed. */
export async function exchange(address: string, bytes: Buffer): Promise<Exchange> {
  const socket = await dial(address)
  const from = `${socket.localAddress}:${socket.localPort}`
  const answer = await new Promise<RemotingCommand | undefined>((resolve) => {
    let received: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      resolve(decodeCommand(received.subarray(0, 4 + received.readInt32BE(0))))
    })
    socket.on('close', () => resolve(undefined))
    socket.write(bytes)
  })
  socket.destroy()
  return { from, answer }
}

export interface FrameShape {
  readonly body?: Buffer
  /** Of the header; 0 is JSON. */
  readonly serializeType?: number
  /** What the frame says, when that is not what it has. */
  readonly headerBytes?: number
}

/** A frame around any header. */
export function frame(header: string | Buffer, shape: FrameShape = {}): Buffer {
  const { body = Buffer.alloc(0), serializeType = 0 } = shape
  const head: Buffer = typeof header === 'string' ? Buffer.from(header) : header
  const prefix = Buffer.alloc(8)
  prefix.writeInt32BE(4 + head.length + body.length, 0)
  prefix.writeUInt8(serializeType, 4)
  prefix.writeUIntBE(shape.headerBytes ?? head.length, 5, 3)
  return Buffer.concat([prefix, head, body])
}

/** A JSON header of a request, with `ext` of any shape. */
export function header(code: number, ext: unknown = {}): string {
  return JSON.stringify({
    code,
    language: 'JAVA',
    version: 493,
    opaque: 1,
    flag: 0,
    extFields: ext,
  })
}
