import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { RemotingClient } from '@ringledger/network'
import { encodeCommand } from '@ringledger/protocol'
import { FakeLedger } from './ledger-fake.ts'
import { type ClientLimits, LedgerListener } from './ledger-listener.ts'
import { LedgerService } from './ledger-service.ts'

async function listening(
  context: TestContext,
  limits: Partial<ClientLimits> = {},
): Promise<{ ledger: FakeLedger; client: RemotingClient; port: number; log: string[] }> {
  const ledger = new FakeLedger()
  const log: string[] = []
  const service = new LedgerService({ ledger, group: 'g', selfId: 'n0', clients: new Map() })
  const listener = new LedgerListener({
    host: '127.0.0.1',
    port: 0,
    service,
    log: (_level, line) => log.push(line),
    limits,
  })
  await listener.listen()
  const client = new RemotingClient()
  await client.connect(`127.0.0.1:${listener.port}`)
  context.after(async () => {
    await client.close()
    await listener.close()
  })
  return { ledger, client, port: listener.port, log }
}

const APPEND = { code: 50001, body: Buffer.from('{"body":"AA=="}') }

test("answers have DLedger's header: its code is always 200", async (context) => {
  const { client } = await listening(context)
  const good = await client.request(APPEND, 5000)
  assert.deepEqual([good.code, JSON.parse(good.body.toString()).code], [200, 200])
  const bad = await client.request({ code: 50001, body: Buffer.from('{"body":7}') }, 5000)
  assert.deepEqual([bad.code, JSON.parse(bad.body.toString()).code], [200, 411])
  assert.equal(bad.remark, 'body is no Base64 text')
})

test('a body that is no JSON gets an answer that says so', async (context) => {
  const { client } = await listening(context)
  for (const text of ['', 'hello', '[1]']) {
    const answer = await client.request({ code: 50002, body: Buffer.from(text) }, 5000)
    assert.equal(JSON.parse(answer.body.toString()).code, 411)
    assert.notEqual(answer.remark, undefined)
  }
})

test('more requests than a connection may have wait until an answer is out', async (context) => {
  const { ledger, client } = await listening(context, { maxRequests: 3 })
  const gate = Promise.withResolvers<void>()
  const full = Promise.withResolvers<void>()
  ledger.gate = gate.promise
  const append = ledger.appendBatch.bind(ledger)
  let most = 0
  ledger.appendBatch = (bodies) => {
    const result = append(bodies)
    most = Math.max(most, ledger.appendsUnderWay)
    if (ledger.appendsUnderWay === 3) full.resolve()
    return result
  }
  const answers = Array.from({ length: 20 }, () => client.request(APPEND, 10_000))
  await full.promise
  gate.resolve()
  await Promise.all(answers)
  assert.equal(ledger.entries.length, 20)
  assert.equal(most, 3)
})

test('all connections together hold so many bytes of requests', async (context) => {
  const { client, ledger, port } = await listening(context, { maxRequestBytes: 1 })
  const second = new RemotingClient()
  await second.connect(`127.0.0.1:${port}`)
  context.after(() => second.close())
  const both = [client, second, client, second].map((one) => one.request(APPEND, 10_000))
  await Promise.all(both)
  assert.equal(ledger.entries.length, 4)
})

test('bytes that are no frame end the connection with a line that says why', async (context) => {
  const { port, log } = await listening(context)
  const badHeader = encodeCommand({ code: 50001, opaque: 1, body: APPEND.body })
  badHeader[8] = 0x5b
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), badHeader]) {
    const socket = connect(port, '127.0.0.1')
    socket.write(bytes)
    await once(socket.resume(), 'close')
  }
  assert.equal(log.length, 2)
  assert.match(log[0] ?? '', /closed the connection of 127\.0\.0\.1:\d+: a frame whose lengths/)
  assert.match(log[1] ?? '', /closed the connection of 127\.0\.0\.1:\d+: .*header/)
})
