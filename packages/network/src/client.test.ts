import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCommand, encodeCommand, RESPONSE_FLAG } from '@ringledger/protocol'
import { RemotingClient } from './client.ts'
import { RemotingListener } from './listener.ts'

test('a request gets the answer with its opaque', async (t) => {
  const listener = new RemotingListener(
    {
      onFrame(connection, buffer, start, end) {
        const command = decodeCommand(buffer.subarray(start, end))
        connection.outbox.write(
          encodeCommand({ code: 0, opaque: command.opaque, flag: RESPONSE_FLAG, remark: 'done' }),
        )
      },
    },
    { host: '127.0.0.1', port: 0 },
  )
  await listener.listen()
  t.after(() => listener.close())
  const client = new RemotingClient()
  await client.connect(`127.0.0.1:${listener.port}`)
  t.after(() => client.close())
  const [first, second] = await Promise.all([
    client.request({ code: 105, ext: { topic: 'a' } }, 5000),
    client.request({ code: 105, ext: { topic: 'b' } }, 5000),
  ])
  assert.equal(first.remark, 'done')
  assert.notEqual(first.opaque, second.opaque)
})
