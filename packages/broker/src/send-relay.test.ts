import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type Connection, RemotingListener } from '@ringledger/network'
import {
  decodeCommand,
  encodeCommand,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import { FakeConnection } from './connection-fake.ts'
import { RELAYED_FLAG, SendRelay } from './send-relay.ts'

/** A leader that keeps what it gets; a test answers. */
class Leader {
  readonly requests: { command: RemotingCommand; connection: Connection }[] = []
  readonly listener: RemotingListener
  readonly #arrivals = new EventTarget()

  constructor() {
    const onFrame = (connection: Connection, bytes: Buffer, start: number, end: number): void => {
      const command = decodeCommand(Buffer.from(bytes.subarray(start, end)))
      this.requests.push({ command, connection })
      this.#arrivals.dispatchEvent(new Event('request'))
    }
    this.listener = new RemotingListener({ onFrame }, { host: '127.0.0.1', port: 0 })
  }

  async has(count: number): Promise<void> {
    while (this.requests.length < count) await once(this.#arrivals, 'request')
  }

  answer(at: number, code: number, ext: Record<string, string>): void {
    const { command, connection } = this.requests[at] ?? assert.fail('no such request')
    connection.outbox.write(encodeCommand({ code, opaque: command.opaque, flag: 1, ext }))
  }
}

async function setUp(t: TestContext): Promise<{
  leader: Leader
  relay: SendRelay
  client: FakeConnection
  take(frame: Buffer): boolean
}> {
  const leader = new Leader()
  await leader.listener.listen()
  const client = new FakeConnection(5)
  const connections = new Map([[5, client.connection]])
  const relay = new SendRelay({ connections, log: () => {} })
  relay.setLeader(`127.0.0.1:${leader.listener.port}`)
  t.after(async () => {
    await leader.listener.close()
    await relay.close()
  })
  const take = (frame: Buffer): boolean => relay.take(client.connection, frame, 0, frame.length)
  return { leader, relay, client, take }
}

function send(opaque: number, flag = 0): Buffer {
  const ext = { b: 'orders', e: '2' }
  const body = Buffer.from(`message ${opaque}`)
  return encodeCommand({ code: RequestCode.SEND_MESSAGE_V2, opaque, flag, ext, body })
}

test('sends reach the leader in order, and each answer its sender', async (t) => {
  const { leader, relay, client, take } = await setUp(t)
  assert.ok(take(send(71)))
  assert.ok(take(send(72)))
  await leader.has(2)
  const bodies = leader.requests.map(({ command }) => command.body.toString())
  assert.deepEqual(bodies, ['message 71', 'message 72'])
  assert.deepEqual(leader.requests[0]?.command.ext, { b: 'orders', e: '2' })
  leader.answer(1, ResponseCode.SYSTEM_BUSY, {})
  leader.answer(0, ResponseCode.SUCCESS, { queueOffset: '9' })
  await relay.close()
  const answers = client.outbox.frames.map(({ opaque, code, ext }) => [opaque, code, ext])
  assert.deepEqual(answers, [
    [72, ResponseCode.SYSTEM_BUSY, {}],
    [71, ResponseCode.SUCCESS, { queueOffset: '9' }],
  ])
})

test('what was handed on already, and what is no send, is left to others', async (t) => {
  const { leader, relay, take } = await setUp(t)
  assert.equal(take(send(1, RELAYED_FLAG)), false)
  assert.equal(take(encodeCommand({ code: RequestCode.PULL_MESSAGE, opaque: 2 })), false)
  assert.equal(take(Buffer.alloc(20)), false)
  assert.ok(take(send(3)))
  await leader.has(1)
  assert.equal(leader.requests[0]?.command.flag, RELAYED_FLAG)
  relay.setLeader('')
  assert.equal(take(send(4)), false)
  leader.answer(0, ResponseCode.SUCCESS, {})
})

test('a one-way send is handed on and never answered', async (t) => {
  const { leader, relay, client, take } = await setUp(t)
  assert.ok(take(send(1, 2)))
  await leader.has(1)
  await relay.close()
  assert.deepEqual(client.outbox.frames, [])
})

test('a leader that goes leaves open what was sent, and refuses what was not', async (t) => {
  const { leader, relay, client, take } = await setUp(t)
  assert.ok(take(send(1)))
  await leader.has(1)
  await leader.listener.close()
  assert.ok(take(send(2)))
  await relay.close()
  const codes = new Map(client.outbox.frames.map(({ opaque, code }) => [opaque, code]))
  assert.equal(codes.get(1), ResponseCode.SYSTEM_ERROR)
  assert.ok(
    [ResponseCode.SYSTEM_ERROR, ResponseCode.SERVICE_NOT_AVAILABLE].some(
      (code) => code === codes.get(2),
    ),
  )
})

test('no more waits for a leader than was agreed', async (t) => {
  const { take } = await setUp(t)
  let taken = 0
  while (take(send(taken))) taken++
  assert.equal(taken, 4_096)
})
