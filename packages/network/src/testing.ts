/** What the tests of this package share. Every wait is for an event. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { ConnectionHandlers } from './connection.ts'
import { RemotingListener, type RemotingListenerOptions } from './listener.ts'

/** A remoting frame with an empty header whose body is `text`. */
export function frame(text: string): Buffer {
  const body = Buffer.from(text, 'latin1')
  const bytes = Buffer.alloc(8 + body.length)
  bytes.writeInt32BE(4 + body.length)
  body.copy(bytes, 8)
  return bytes
}

/** A listener on a free port that ends with the test. */
export async function listening(
  t: TestContext,
  handlers: ConnectionHandlers,
  options: Partial<RemotingListenerOptions> = {},
): Promise<RemotingListener> {
  const listener = new RemotingListener(handlers, { host: '127.0.0.1', port: 0, ...options })
  await listener.listen()
  t.after(() => listener.close())
  return listener
}

/** A plain socket connected to a port of this machine, destroyed with the test. */
export async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  // A server that refuses us may reset the connection: no test fails for that, they look at
  // 'close'.
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Collects what a socket receives from now on; `take` gives the next `count` bytes. */
export function receiving(socket: Socket): { take(count: number): Promise<Buffer> } {
  let held: Buffer = Buffer.alloc(0)
  let wake: (() => void) | undefined
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    wake?.()
  })
  return {
    async take(count) {
      while (held.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      const taken = held.subarray(0, count)
      held = held.subarray(count)
      return taken
    },
  }
}

/** A promise with its ends outside, and `call` as a function that fulfils it. */
export function signal<Value = void>(): { promise: Promise<Value>; call: (value: Value) => void } {
  const { promise, resolve } = Promise.withResolvers<Value>()
  return { promise, call: resolve }
}
