import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { decodeCommand, encodeCommand, RESPONSE_FLAG } from '@ringledger/protocol'
import { Registrar } from './registrar.ts'

const REGISTRATION = { brokerId: 0, stateVersion: 1, counter: 1, timestampMs: 1, topics: {} }

/** Answers every request of the connection; the registrations here fit one chunk each. */
function answerAll(socket: Socket): void {
  socket.on('data', (chunk: Buffer) => {
    const { opaque } = decodeCommand(chunk)
    socket.write(encodeCommand({ code: 0, opaque, flag: RESPONSE_FLAG }))
  })
}

test('a connection that has gone dead is replaced by a new one', { timeout: 20_000 }, async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const lines: string[] = []
  const registered = Promise.withResolvers<void>()
  const registrar = new Registrar({
    nameServers: [`127.0.0.1:${port}`],
    clusterName: 'c',
    brokerName: 'b',
    brokerAddress: '127.0.0.1:1',
    haServerAddress: '127.0.0.1:2',
    periodMs: 60_000,
    requestTimeoutMs: 100,
    log: (_level, line) => {
      lines.push(line)
      if (line.startsWith('registered')) registered.resolve()
    },
  })
  t.after(() => registrar.close(1))
  const dead = once(server, 'connection')
  registrar.register(REGISTRATION)
  const [first] = (await dead) as [Socket]
  first.resume()
  server.on('connection', answerAll)
  await registered.promise
  assert.match(lines[0] ?? '', /does not take the registration: no answer/)
  assert.equal(lines.length, 2)
})
