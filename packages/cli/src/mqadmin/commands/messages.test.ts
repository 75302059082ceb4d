import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseProperties } from '@ringledger/protocol'
import { type BrokerHandler, captured, type FakeBroker, FakeCluster } from '../cluster-fake.ts'

const UNIQUE_ID = 'FD00000000000000000000000000000237A34E0E2F2A723470A20000'

async function started(
  t: TestContext,
  ...handlers: (readonly [number, BrokerHandler])[]
): Promise<{ cluster: FakeCluster; broker: FakeBroker }> {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  const broker = await cluster.addBroker('broker-a', 0, ['Cap54Normal'], handlers)
  return { cluster, broker }
}

/** The offset message id of offset 0 on a broker. */
function offsetId(broker: FakeBroker): string {
  const port = Number(broker.address.split(':')[1])
  return `7F000001${port.toString(16).padStart(8, '0').toUpperCase()}${'0'.repeat(16)}`
}

test('queryMsgById shows a message with everything in it', async (t) => {
  const { cluster, broker } = await started(t, [33, () => captured('messageById')])
  const id = offsetId(broker)
  const { code, out } = await cluster.run('queryMsgById', '-t', 'Cap54Normal', '-i', id)
  assert.equal(code, 0)
  assert.match(out, new RegExp(`^Message ID +${UNIQUE_ID}\n`))
  assert.match(out, /\nTags +TagA\nKeys +Key1 Key2\n/)
  assert.match(out, /\nBody +hello normal\n$/)
  assert.deepEqual(broker.asked(33), [{ topic: 'Cap54Normal', offset: '0' }])
})

test('queryMsgById asks the other nodes when the one in the id is gone', async (t) => {
  const { cluster, broker } = await started(t, [33, () => captured('messageById')])
  const gone = `7F00000100000001${'0'.repeat(16)}`
  const message = (await cluster.json('queryMsgById', '-t', 'Cap54Normal', '-i', gone)) as {
    body: string
  }
  assert.equal(message.body, 'hello normal')
  assert.equal(broker.asked(33).length, 1)
})

test('queryMsgByKey lists messages that carry the key', async (t) => {
  const { cluster, broker } = await started(t, [12, () => captured('messageByKey')])
  const { out } = await cluster.run('queryMsgByKey', '-t', 'Cap54Normal', '-k', 'Key1')
  assert.match(out, new RegExp(`\n${UNIQUE_ID} +0 +0 +TagA +Key1 Key2 +\\d{4}-.* hello normal\n$`))
  const [asked] = broker.asked(12)
  assert.deepEqual(
    [asked?.maxNum, asked?.endTimestamp, asked?._UNIQUE_KEY_QUERY],
    ['64', '9223372036854775807', 'false'],
  )
  assert.deepEqual(await cluster.json('queryMsgByKey', '-t', 'Cap54Normal', '-k', 'Key'), [])
})

test('queryMsgByKey says when there is nothing', async (t) => {
  const { cluster } = await started(t, [12, () => ({ code: 22, remark: 'can not find message' })])
  const { code, out } = await cluster.run('queryMsgByKey', '-t', 'Cap54Normal', '-k', 'none')
  assert.deepEqual([code, out], [0, 'no message of Cap54Normal has the key none\n'])
})

test('queryMsgByUniqueKey shows the message of an id', async (t) => {
  const { cluster, broker } = await started(t, [12, () => captured('messageByUniqueKey')])
  const argv = ['queryMsgByUniqueKey', '-t', 'Cap54Normal', '-i']
  const { out } = await cluster.run(...argv, UNIQUE_ID)
  assert.match(out, /\nBody +hello normal\n/)
  assert.equal(broker.asked(12)[0]?._UNIQUE_KEY_QUERY, 'true')
  const other = await cluster.run(...argv, 'ABC')
  assert.deepEqual([other.code, other.out], [1, ''])
})

test('a malformed message is an error, not a crash', async (t) => {
  const body = Buffer.from(captured('messageByKey').body ?? [])
  body.writeUInt8(body.readUInt8(body.length - 200) ^ 1, body.length - 200)
  const { cluster } = await started(t, [12, () => ({ code: 0, body })])
  const { code, err } = await cluster.run('queryMsgByKey', '-t', 'Cap54Normal', '-k', 'Key1')
  assert.equal(code, 1)
  assert.match(err, /the broker sent a malformed message/)
})

test('sendMessage sends to the leader and says where it went', async (t) => {
  const { cluster, broker } = await started(t, [310, () => captured('send')])
  const argv = ['-t', 'Cap54Normal', '-p', 'grüß dich', '-k', 'k1 k2', '-c', 'TagA']
  const { code, out } = await cluster.run('sendMessage', ...argv)
  assert.equal(code, 0)
  assert.match(out, /\nbroker-a +0 +0 +SEND_OK +[0-9A-F]{32} +7F000001000051AF0{16}\n$/)
  const request = broker.requests[0]
  assert.equal(request?.body.toString(), 'grüß dich')
  const properties = parseProperties(request?.ext.i ?? '')
  assert.match(properties.get('UNIQ_KEY') ?? '', /^[0-9A-F]{32}$/)
  assert.deepEqual([properties.get('KEYS'), properties.get('TAGS')], ['k1 k2', 'TagA'])
  assert.ok(Number(request?.ext.e) < 4)
})

test('sendMessage to a new topic goes where topics are created', async (t) => {
  const { cluster, broker } = await started(t, [310, () => captured('send')])
  const { code } = await cluster.run('sendMessage', '-t', 'New', '-p', 'x')
  assert.equal(code, 0)
  assert.equal(broker.asked(310)[0]?.c, 'TBW102')
})

test('sendMessage takes broker and queue, and names the brokers there are', async (t) => {
  const { cluster, broker } = await started(t, [310, () => captured('send')])
  await cluster.run('sendMessage', '-t', 'Cap54Normal', '-p', 'x', '-b', 'broker-a', '-i', '3')
  assert.equal(broker.asked(310)[0]?.e, '3')
  const other = await cluster.run('sendMessage', '-t', 'Cap54Normal', '-p', 'x', '-b', 'other')
  assert.equal(other.code, 1)
  assert.match(
    other.err,
    /the broker other does not serve Cap54Normal\n {2}brokers that do: broker-a/,
  )
})

test('sendMessage fails when the broker refuses', async (t) => {
  const { cluster } = await started(t, [310, () => ({ code: 14, remark: 'no leader' })])
  const { code, err } = await cluster.run('sendMessage', '-t', 'Cap54Normal', '-p', 'x')
  assert.equal(code, 1)
  assert.match(err, /refused request 310: no leader \(SERVICE_NOT_AVAILABLE, code 14\)/)
})

test('consumeMessage reads each queue to its end and commits nothing', async (t) => {
  const pull: BrokerHandler = ({ ext }) => {
    if (ext.queueId === '0' && ext.queueOffset === '0') return captured('pullFound')
    return { code: 19, ext: { nextBeginOffset: ext.queueOffset } }
  }
  const { cluster, broker } = await started(
    t,
    [30, ({ ext }) => ({ code: 0, ext: { offset: ext.queueId === '0' ? 1 : 0 } })],
    [31, () => ({ code: 0, ext: { offset: 0 } })],
    [11, pull],
  )
  const messages = (await cluster.json('consumeMessage', '-t', 'Cap54Normal')) as object[]
  assert.equal(messages.length, 1)
  assert.equal((messages[0] as { body: string }).body, 'hello normal')
  const pulls = broker.asked(11)
  assert.equal(pulls.length, 1)
  assert.deepEqual([pulls[0]?.sysFlag, pulls[0]?.suspendTimeoutMillis], ['4', '0'])
})

test('consumeMessage stops at the count and starts at the offset', async (t) => {
  const { cluster, broker } = await started(
    t,
    [30, () => ({ code: 0, ext: { offset: 100 } })],
    [11, () => captured('pullBatch')],
  )
  const where = ['-b', 'broker-a', '-i', '2', '-o', '1', '-c', '2']
  const messages = await cluster.json('consumeMessage', '-t', 'Cap54Normal', ...where)
  assert.equal((messages as object[]).length, 2)
  const [pull] = broker.asked(11)
  assert.deepEqual([pull?.queueId, pull?.queueOffset, pull?.maxMsgNums], ['2', '1', '2'])
})

test('consumeMessage finds offsets of times, and ends when a queue does not go on', async (t) => {
  const { cluster, broker } = await started(
    t,
    [29, ({ ext }) => ({ code: 0, ext: { offset: ext.timestamp === '1000' ? 5 : 9 } })],
    [11, () => ({ code: 20, ext: { nextBeginOffset: 5 } })],
  )
  const times = ['-s', '1000', '-e', '2000']
  const { code, out } = await cluster.run('consumeMessage', '-t', 'Cap54Normal', ...times)
  assert.deepEqual([code, out], [0, 'no message in Cap54Normal\n'])
  assert.deepEqual(
    broker.asked(11).map(({ queueId, queueOffset }) => [queueId, queueOffset]),
    [
      ['0', '5'],
      ['1', '5'],
      ['2', '5'],
      ['3', '5'],
    ],
  )
})
