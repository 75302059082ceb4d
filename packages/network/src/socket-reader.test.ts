import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { type ByteTaker, readAccepted, takeoverWorks } from './socket-reader.ts'
import { dial, signal } from './testing.ts'

test('this Node lets accepted sockets read into our buffers', async () => {
  assert.equal(await takeoverWorks(), true)
})

for (const takeover of [true, false]) {
  test(`bytes, a pause and the end arrive ${takeover ? 'by the buffer' : 'by events'}`, async (t) => {
    const place = Buffer.alloc(8)
    const chunks: Buffer[] = []
    const paused = signal()
    let socket: Socket | undefined
    const ended = signal()
    const taker: ByteTaker = {
      place: () => place,
      received: (sizeBytes) => taker.feed(Buffer.from(place.subarray(0, sizeBytes))),
      feed: (chunk) => {
        chunks.push(chunk)
        if (chunks.length > 1) return true
        paused.call()
        return false
      },
    }
    const server = createServer({ pauseOnConnect: true }, (accepted) => {
      socket = readAccepted(accepted, taker, takeover)
      socket.on('end', () => ended.call())
      t.after(() => socket?.destroy())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const client = await dial(t, (server.address() as AddressInfo).port)
    client.write('hello')
    await paused.promise
    client.write(', world, and more than one buffer')
    client.end()
    socket!.resume()
    await ended.promise
    assert.equal(Buffer.concat(chunks).toString(), 'hello, world, and more than one buffer')
    const count = await new Promise((resolve) => server.getConnections((_error, n) => resolve(n)))
    assert.equal(count, takeover ? 0 : count)
  })
}
