import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { ConnectionHandlers } from './connection.ts'
import { RemotingListener, type RemotingListenerOptions } from './listener.ts'

/** A frame whose body is `text`. */
function frame(text: string): Buffer {
  const body = Buffer.from(text)
  const bytes = Buffer.alloc(8 + body.length)
  bytes.writeInt32BE(4 + body.length)
  body.copy(bytes, 8)
  return bytes
}

const echo: ConnectionHandlers = {
  onFrame(connection, buffer, start, end) {
    connection.outbox.write(buffer.subarray(start, end))
  },
}

async function listening(
  t: TestContext,
  handlers: ConnectionHandlers,
  options: Partial<RemotingListenerOptions> = {},
): Promise<RemotingListener> {
  const listener = new RemotingListener(handlers, { host: '127.0.0.1', port: 0, ...options })
  await listener.listen()
  t.after(() => listener.close())
  return listener
}

async function dial(t: TestContext, listener: RemotingListener): Promise<Socket> {
  const socket = connect(listener.port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function readBytes(socket: Socket, count: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let total = 0
  while (total < count) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    chunks.push(chunk)
    total += chunk.length
  }
  return Buffer.concat(chunks)
}

test('a frame comes back from an echoing handler', async (t) => {
  const listener = await listening(t, echo)
  const socket = await dial(t, listener)
  socket.write(frame('hello'))
  assert.deepEqual(await readBytes(socket, 13), frame('hello'))
})
