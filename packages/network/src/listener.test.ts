import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import type { Connection, ConnectionHandlers } from './connection.ts'
import { listenOn, probePort } from './listen.ts'
import { RemotingListener } from './listener.ts'
import { dial, frame, listening, receiving, signal } from './testing.ts'

const echo: ConnectionHandlers = {
  onFrame(connection, buffer, start, end) {
    connection.outbox.write(buffer.subarray(start, end))
  },
}

test('pipelined frames come back in order, however they are cut', async (t) => {
  const listener = await listening(t, echo)
  const socket = await dial(t, listener.port)
  const received = receiving(socket)
  const stream = Buffer.concat(['hello', '', 'x'.repeat(300_000), 'end'].map(frame))
  for (let offset = 0; offset < 200; offset++) socket.write(stream.subarray(offset, offset + 1))
  socket.write(stream.subarray(200))
  assert.ok(stream.equals(await received.take(stream.length)))
})

test('all answers of a turn leave in one write', async (t) => {
  let writes = 0
  const first = signal<Connection>()
  const listener = await listening(t, { ...echo, onOpen: first.call })
  const socket = await dial(t, listener.port)
  const connection = await first.promise
  const outbox = connection.outbox
  const flush = outbox.flush.bind(outbox)
  outbox.flush = () => {
    writes++
    flush()
  }
  const received = receiving(socket)
  const stream = Buffer.concat(Array.from({ length: 50 }, (_, index) => frame(`m${index}`)))
  socket.write(stream)
  assert.ok(stream.equals(await received.take(stream.length)))
  assert.equal(writes, 1)
})

test('what is no frame closes its connection with one line, and no other', async (t) => {
  const lines: string[] = []
  const listener = await listening(t, echo, { log: (_level, line) => lines.push(line) })
  const bystander = await dial(t, listener.port)
  const received = receiving(bystander)
  const cases: [Buffer, RegExp][] = [
    [Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]), /TLS/],
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), /lengths cannot be/],
    [Buffer.from([0x01, 0, 0, 1]), /lengths cannot be/],
    [Buffer.from([0, 0, 0, 9, 0, 0xff, 0xff, 0xff]), /lengths cannot be/],
  ]
  for (const [bytes, expected] of cases) {
    const socket = await dial(t, listener.port)
    const closed = once(socket, 'close')
    socket.write(bytes)
    socket.resume()
    await closed
    assert.equal(lines.length, 1)
    assert.match(lines.pop()!, expected)
  }
  bystander.write(frame('still here'))
  assert.ok(frame('still here').equals(await received.take(18)))
})

test('a refused frame is kept and offered again after resume', async (t) => {
  const seen: string[] = []
  const refused = signal<Connection>()
  const all = signal()
  let refuse = true
  const listener = await listening(t, {
    onFrame(connection, buffer, start, end) {
      const text = buffer.toString('latin1', start + 8, end)
      if (text === 'b' && refuse) {
        refused.call(connection)
        return false
      }
      seen.push(text)
      if (text === 'd') all.call()
      return true
    },
  })
  const socket = await dial(t, listener.port)
  socket.write(Buffer.concat(['a', 'b', 'c'].map(frame)))
  const connection = await refused.promise
  socket.write(frame('d'))
  assert.deepEqual(seen, ['a'])
  connection.resume()
  assert.deepEqual(seen, ['a'])
  refuse = false
  connection.resume()
  assert.deepEqual(seen, ['a', 'b', 'c'])
  await all.promise
  assert.deepEqual(seen, ['a', 'b', 'c', 'd'])
})

test('a paused connection offers nothing more until it resumes', async (t) => {
  const paused = signal<Connection>()
  const got = signal<number>()
  let count = 0
  const listener = await listening(t, {
    onFrame(connection, _buffer, start, end) {
      count++
      if (count === 1) {
        connection.pause()
        paused.call(connection)
      }
      if (count === 3) got.call(end - start - 8)
    },
  })
  const socket = await dial(t, listener.port)
  socket.write(Buffer.concat([frame('1'), frame('2')]))
  const connection = await paused.promise
  socket.write(frame('x'.repeat(100_000)))
  assert.equal(count, 1)
  connection.resume()
  assert.equal(count, 2)
  assert.equal(await got.promise, 100_000)
})

/** Sends requests until the server reads no more, and gives the number of them. */
async function fillUntilPaused(socket: Socket, request: Buffer): Promise<void> {
  while (socket.write(request)) await new Promise((resolve) => setImmediate(resolve))
}

test('a client that never reads its answers stops being read and stays bounded', async (t) => {
  const answer = Buffer.alloc(256 * 1024, 7)
  const opened = signal<Connection>()
  let requests = 0
  const listener = await listening(
    t,
    {
      onOpen: opened.call,
      onFrame(connection) {
        requests++
        connection.outbox.write(answer)
      },
    },
    { outboxHighWaterBytes: 1024 * 1024 },
  )
  const socket = await dial(t, listener.port)
  socket.pause()
  const connection = await opened.promise
  await fillUntilPaused(socket, frame('x'.repeat(60_000)))
  const atPause = requests
  assert.ok(atPause > 0)
  assert.ok(connection.outbox.queuedBytes < 64 * 1024 * 1024)
  const more = once(socket, 'drain')
  const received = receiving(socket)
  socket.resume()
  await more
  await received.take(answer.length * (atPause + 1))
  assert.ok(requests > atPause)
})

test('a connection whose unread answers pass the limit is closed', async (t) => {
  const closed = signal<string>()
  const lines: string[] = []
  const listener = await listening(
    t,
    {
      onClose: (_connection, reason) => closed.call(reason),
      onFrame(connection) {
        connection.outbox.write(Buffer.alloc(32 * 1024 * 1024))
      },
    },
    { outboxMaxBytes: 8 * 1024 * 1024, log: (_level, line) => lines.push(line) },
  )
  const socket = await dial(t, listener.port)
  socket.pause()
  socket.write(frame('give'))
  assert.equal(await closed.promise, 'answers unread')
  assert.match(lines.join(), /left \d+ bytes of answers unread/)
})

test('unread answers of all connections together are bounded', async (t) => {
  const closed = signal<number>()
  const firstUnread = signal()
  const listener = await listening(
    t,
    {
      onClose: (connection) => closed.call(connection.id),
      onFrame(connection) {
        connection.outbox.write(Buffer.alloc(8 * 1024 * 1024))
        connection.outbox.flush()
        if (connection.id === 1) firstUnread.call()
      },
    },
    { backlogMaxBytes: 12 * 1024 * 1024 },
  )
  const first = await dial(t, listener.port)
  first.pause()
  first.write(frame('give'))
  await firstUnread.promise
  const second = await dial(t, listener.port)
  second.pause()
  second.write(frame('give'))
  assert.equal(await closed.promise, 2)
  assert.equal(listener.connections.size, 1)
})

test('a thousand idle connections neither disturb nor stay when the listener closes', async (t) => {
  const listener = await listening(t, echo)
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(t, listener.port)))
  const busy = await dial(t, listener.port)
  const received = receiving(busy)
  busy.write(frame('hello'))
  await received.take(13)
  assert.equal(listener.connections.size, 1001)
  const ended = Promise.all(sockets.map((socket) => once(socket.resume(), 'close')))
  await listener.close()
  assert.equal(listener.connections.size, 0)
  await ended
})

test('many bad connections cost few lines, and a count', async (t) => {
  const lines: string[] = []
  const closed = signal()
  let open = 30
  const listener = await listening(
    t,
    {
      ...echo,
      onClose() {
        if (--open === 0) closed.call()
      },
    },
    { log: (_level, line) => lines.push(line) },
  )
  for (let count = open; count > 0; count--) {
    const socket = await dial(t, listener.port)
    socket.write('GET / HTTP/1.1\r\n\r\n')
  }
  await closed.promise
  await listener.close()
  const counts = lines.map((line) => Number(/^(\d+) more connections/.exec(line)?.[1] ?? 0))
  const told = counts.filter((count) => count === 0).length
  const kept = counts.reduce((sum, count) => sum + count, 0)
  assert.equal(told + kept, 30)
  assert.ok(kept > 0, lines.join('\n'))
})

test('answers that were given before a close arrive', async (t) => {
  const opened = signal<Connection>()
  const listener = await listening(t, { ...echo, onOpen: opened.call })
  const socket = await dial(t, listener.port)
  const received = receiving(socket)
  const connection = await opened.promise
  connection.outbox.write(frame('last'))
  await listener.close()
  assert.ok(frame('last').equals(await received.take(frame('last').length)))
})

test('a silent connection closes, one with traffic stays', async (t) => {
  const reasons: string[] = []
  const closed = signal()
  const listener = await listening(
    t,
    {
      ...echo,
      onClose: (_connection, reason) => {
        reasons.push(reason)
        closed.call()
      },
    },
    { idleMs: 120 },
  )
  const silent = await dial(t, listener.port)
  const busy = await dial(t, listener.port)
  silent.resume()
  busy.on('data', () => busy.write(frame('again')))
  busy.write(frame('first'))
  await closed.promise
  assert.deepEqual(reasons, ['idle'])
  assert.equal(listener.connections.size, 1)
})

test('connections beyond the limit are refused with one line, until one leaves', async (t) => {
  const lines: string[] = []
  const left = signal()
  const listener = await listening(
    t,
    { ...echo, onClose: () => left.call() },
    { maxConnections: 2, log: (_level, line) => lines.push(line) },
  )
  const first = await dial(t, listener.port)
  await dial(t, listener.port)
  for (let count = 0; count < 3; count++) {
    const refused = await dial(t, listener.port)
    await once(refused.resume(), 'close')
  }
  assert.equal(lines.length, 1)
  first.destroy()
  await left.promise
  const next = await dial(t, listener.port)
  const received = receiving(next)
  next.write(frame('in'))
  await received.take(10)
})

test('a busy port is said with its number and a way out', async (t) => {
  const listener = await listening(t, echo)
  const second = new RemotingListener(echo, { host: '127.0.0.1', port: listener.port })
  await assert.rejects(
    second.listen(),
    (error) =>
      error instanceof LedgerError &&
      error.code === 'PORT_BUSY' &&
      error.message.includes(String(listener.port)),
  )
  const nowhere = new RemotingListener(echo, { host: '203.0.113.1', port: 0 })
  await assert.rejects(
    nowhere.listen(),
    (error) => error instanceof LedgerError && error.code === 'BAD_CONFIG',
  )
})

test('a port that only an outgoing connection has is waited for', async (t) => {
  const other = await listening(t, echo)
  const holder = connect({ host: '127.0.0.1', port: other.port })
  await once(holder, 'connect')
  const { localPort } = holder
  assert.ok(localPort !== undefined)
  const server = createServer()
  t.after(() => server.close())
  // The port is given up (by a reset, so that it does not linger) only once it was found taken.
  server.once('error', () => holder.resetAndDestroy())
  assert.equal(await listenOn(server, { host: '127.0.0.1', port: localPort }), localPort)
  assert.ok(holder.destroyed)
})

test('two listeners share a port when they say so', async (t) => {
  const first = await listening(t, echo, { reusePort: true })
  const second = await listening(t, echo, { reusePort: true, port: first.port })
  assert.equal(second.port, first.port)
})

test('answers that wait still go out before a connection closes after its flush', async (t) => {
  const closed = signal<string>()
  const listener = await listening(t, {
    onFrame(connection, buffer, start, end) {
      connection.outbox.write(buffer.subarray(start, end))
      connection.closeAfterFlush('done')
      assert.equal(connection.remoteHost.length, 8)
      assert.match(connection.remoteAddress, /^127\.0\.0\.1:\d+$/)
    },
    onClose: (_connection, reason) => closed.call(reason),
  })
  const socket = await dial(t, listener.port)
  const received = receiving(socket)
  socket.write(Buffer.concat([frame('bye'), frame('not taken')]))
  assert.ok(frame('bye').equals(await received.take(11)))
  assert.equal(await closed.promise, 'done')
})

test('listeners of several threads share a port and number their connections apart', async (t) => {
  const ids: number[] = []
  const opened = signal<number>()
  const handlers: ConnectionHandlers = {
    onOpen: (connection) => {
      ids.push(connection.id)
      if (ids.length === 12) opened.call(12)
    },
    onFrame: () => {},
  }
  const port = await probePort({ host: '127.0.0.1', port: 0 })
  const share = (first: number): Promise<RemotingListener> =>
    listening(t, handlers, { port, reusePort: true, connectionIds: { first, step: 2 } })
  await share(2)
  await share(3)
  await assert.rejects(probePort({ host: '127.0.0.1', port }), { code: 'PORT_BUSY' })
  await Promise.all(Array.from({ length: 12 }, () => dial(t, port)))
  await opened.promise
  assert.equal(new Set(ids).size, 12)
})
