import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import {
  decodeCommand,
  encodeCommand,
  RESPONSE_FLAG,
  type RemotingCommand,
} from '@ringledger/protocol'
import { RemotingClient } from './client.ts'
import type { Connection } from './connection.ts'
import type { RemotingListener } from './listener.ts'
import { listening, signal } from './testing.ts'

type OnCommand = (connection: Connection, command: RemotingCommand) => void

async function server(t: TestContext, onCommand: OnCommand): Promise<RemotingListener> {
  return listening(t, {
    onFrame(connection, buffer, start, end) {
      onCommand(connection, decodeCommand(Buffer.from(buffer.subarray(start, end))))
    },
  })
}

async function connected(t: TestContext, listener: RemotingListener): Promise<RemotingClient> {
  const client = new RemotingClient()
  await client.connect(`127.0.0.1:${listener.port}`)
  t.after(() => client.close())
  return client
}

function answer(connection: Connection, request: RemotingCommand, remark: string): void {
  connection.outbox.write(
    encodeCommand({ code: 0, opaque: request.opaque, flag: RESPONSE_FLAG, remark }),
  )
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LedgerError && error.code === code
}

test('answers find their requests by opaque, in any order', async (t) => {
  const waiting: [Connection, RemotingCommand][] = []
  const listener = await server(t, (connection, command) => {
    waiting.push([connection, command])
    if (waiting.length < 3) return
    for (const [to, request] of waiting.reverse()) answer(to, request, request.ext.topic!)
  })
  const client = await connected(t, listener)
  const answers = await Promise.all(
    ['a', 'b', 'c'].map((topic) => client.request({ code: 105, ext: { topic } }, 30_000)),
  )
  assert.deepEqual(
    answers.map(({ remark }) => remark),
    ['a', 'b', 'c'],
  )
})

test('a request without answer times out, and its late answer hurts nobody', async (t) => {
  let held: (() => void) | undefined
  const listener = await server(t, (connection, command) => {
    if (command.code === 1) {
      held = () => answer(connection, command, 'late')
    } else {
      held?.()
      answer(connection, command, 'on time')
    }
  })
  const client = await connected(t, listener)
  await assert.rejects(client.request({ code: 1 }, 20), failsWith('TIMEOUT'))
  assert.equal((await client.request({ code: 2 }, 30_000)).remark, 'on time')
})

test('waiting requests end when the server goes, and then the client may connect again', async (t) => {
  const listener = await server(t, (connection) => connection.close('test'))
  const client = await connected(t, listener)
  const closed = signal<string>()
  client.onClose = closed.call
  await assert.rejects(client.request({ code: 1 }, 30_000), failsWith('CLOSED'))
  await closed.promise
  await assert.rejects(client.request({ code: 1 }, 30_000), failsWith('CLOSED'))
  assert.throws(() => client.oneway({ code: 1 }), failsWith('CLOSED'))
  await client.connect(client.address)
  assert.equal(client.connected, true)
})

test('requests of the server are answered once with their opaque', async (t) => {
  const answered = signal<RemotingCommand>()
  const listener = await server(t, (connection, command) => {
    if (command.code === 34) connection.outbox.write(encodeCommand({ code: 40, opaque: 77 }))
    else answered.call(command)
  })
  const client = await connected(t, listener)
  client.onRequest = (command, reply) => reply({ code: 0, remark: `to ${command.code}` })
  client.oneway({ code: 34 })
  const response = await answered.promise
  assert.equal(response.opaque, 77)
  assert.equal(response.remark, 'to 40')
  assert.equal(response.flag, RESPONSE_FLAG)
})

test('nobody there, a wrong address and garbage are said as such', async (t) => {
  const listener = await server(t, (connection) => {
    connection.outbox.write(Buffer.from('garbage that is no frame'))
  })
  const { port } = listener
  const client = await connected(t, listener)
  await assert.rejects(client.request({ code: 1 }, 30_000), /no frame/)
  await listener.close()
  const other = new RemotingClient()
  await assert.rejects(other.connect(`127.0.0.1:${port}`), failsWith('CLOSED'))
  for (const address of ['nowhere', 'host:0', 'host:70000', ':9876', 'a:b:1']) {
    await assert.rejects(other.connect(address), failsWith('BAD_REQUEST'))
  }
})

test('more requests than may wait are refused and not sent', async (t) => {
  const requests: number[] = []
  const listener = await server(t, (connection, command) => {
    requests.push(command.code)
    if (command.code === 9) answer(connection, command, 'last')
  })
  const client = new RemotingClient({ maxPending: 2 })
  await client.connect(`127.0.0.1:${listener.port}`)
  const first = client.request({ code: 1 }, 30_000)
  const last = client.request({ code: 9 }, 30_000)
  await assert.rejects(client.request({ code: 3 }, 30_000), failsWith('BUSY'))
  await last
  assert.deepEqual(requests, [1, 9])
  await Promise.all([client.close(), assert.rejects(first, failsWith('CLOSED'))])
})
