import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import { FakeClock, LedgerError } from '@ringledger/base'
import { encodeCommand, ONEWAY_FLAG, type RemotingCommand } from '@ringledger/protocol'
import type { Log } from './log.ts'
import { RawClient } from './raw-client-fake.ts'
import {
  type NameServerOptions,
  type RunningNameServer,
  runNameServer,
  type Timers,
} from './server.ts'

const LOCAL = { listenPort: 0, host: '127.0.0.1' }
const BROKER = {
  brokerName: 'RaftNode00',
  clusterName: 'RaftCluster',
  brokerAddr: '127.0.0.1:30911',
  haServerAddr: '127.0.0.1:30912',
  brokerId: 0,
}
const QUEUES = { perm: 6, readQueueNums: 4, writeQueueNums: 8, topicSysFlag: 0 }

async function start(t: TestContext, options: NameServerOptions = {}): Promise<RunningNameServer> {
  const server = await runNameServer({ ...LOCAL, ...options })
  t.after(() => server.close())
  return server
}

async function dial(t: TestContext, server: RunningNameServer): Promise<RawClient> {
  const client = await RawClient.connect(server.port)
  t.after(() => client.close())
  return client
}

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-ns-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function jsonBody(topics: string[], dataVersion: object = {}): Buffer {
  const topicConfigTable = Object.fromEntries(topics.map((topic) => [topic, QUEUES]))
  return Buffer.from(
    JSON.stringify({ topicConfigSerializeWrapper: { dataVersion, topicConfigTable } }),
  )
}

function compressedBody(lines: string[]): Buffer {
  const part = (text: string) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const count = Buffer.alloc(4)
  count.writeInt32BE(lines.length)
  const version = part('{"counter":7,"stateVersion":2,"timestamp":3}')
  const rest = [part('[]'), Buffer.alloc(4)]
  return deflateSync(Buffer.concat([version, count, ...lines.map(part), ...rest]), { level: 9 })
}

function register(
  client: RawClient,
  body: Buffer,
  ext: Record<string, string | number | boolean> = {},
): Promise<RemotingCommand> {
  return client.request({ code: 103, ext: { ...BROKER, ...ext }, body })
}

async function topicsOf(client: RawClient): Promise<string[]> {
  const answer = await client.request({ code: 206 })
  return (JSON.parse(answer.body.toString()) as { topicList: string[] }).topicList.sort()
}

/** Tells each log line as an event of that name. */
class EventLog extends EventEmitter implements Log {
  info(fields: object, message: string): void {
    this.emit(message, fields)
  }
  warn(fields: object, message: string): void {
    this.emit(message, fields)
  }
  error(fields: object, message: string): void {
    this.emit(message, fields)
  }
}

class ManualTimers implements Timers {
  lastDelayMs = 0
  #callback = (): void => {}

  after(delayMs: number, callback: () => void): () => void {
    this.lastDelayMs = delayMs
    this.#callback = callback
    return () => {}
  }

  fire(): void {
    this.#callback()
  }
}

describe('registration over the wire', () => {
  it('reads compressed bodies', async (t) => {
    const client = await dial(t, await start(t))
    const body = compressedBody([
      'TopicA 4 8 6 SINGLE_TAG {"+message.type":"NORMAL"}',
      '%RETRY%group 1 1 6 SINGLE_TAG',
    ])
    const crc = crc32(body) & 0x7fff_ffff
    assert.equal((await register(client, body, { compressed: true, bodyCrc32: crc })).code, 0)
    assert.deepEqual(await topicsOf(client), ['%RETRY%group', 'TopicA'])
    const route = await client.request({ code: 105, ext: { topic: 'TopicA' } })
    const { queueDatas } = JSON.parse(route.body.toString())
    assert.deepEqual(queueDatas, [{ brokerName: 'RaftNode00', ...QUEUES }])
  })

  it('refuses a body with another checksum, and checks none when it is 0', async (t) => {
    const client = await dial(t, await start(t))
    const body = jsonBody(['A', 'B'])
    const refused = await register(client, body, { bodyCrc32: (crc32(body) & 0x7fff_ffff) ^ 1 })
    assert.deepEqual([refused.code, refused.remark], [1, 'crc32 not match'])
    assert.deepEqual(await topicsOf(client), [])
    assert.equal((await register(client, body, { bodyCrc32: 0 })).code, 0)
  })

  it('answers code 1 to bodies and fields it cannot use, and keeps nothing of them', async (t) => {
    const client = await dial(t, await start(t))
    const body = jsonBody(['A', 'B'])
    const bomb = deflateSync(Buffer.alloc(80 * 1024 * 1024), { level: 1 })
    const attempts = [
      () => register(client, Buffer.from('{')),
      () => register(client, Buffer.from('[]')),
      () => register(client, body, { compressed: true }),
      () => register(client, bomb, { compressed: true }),
      () => register(client, deflateSync(Buffer.from([0, 0, 1, 0])), { compressed: true }),
      () => register(client, body, { brokerAddr: 'nowhere' }),
      () => register(client, body, { brokerId: -1 }),
      () => register(client, body, { brokerName: 'a\nb' }),
      () => register(client, body, { clusterName: 'x'.repeat(300) }),
      () => client.request({ code: 103, ext: {}, body }),
    ]
    for (const attempt of attempts) assert.equal((await attempt()).code, 1)
    assert.deepEqual(await topicsOf(client), [])
  })

  it('leaves out topics with unusable names and keeps the others', async (t) => {
    const client = await dial(t, await start(t))
    await register(client, jsonBody(['good', 'bad name', 'worse\n', 'ü', '__proto__']))
    assert.deepEqual(await topicsOf(client), ['__proto__', 'good'])
  })

  it('gives a slave the master and the order topics', async (t) => {
    const client = await dial(t, await start(t))
    await client.request({
      code: 100,
      ext: { namespace: 'ORDER_TOPIC_CONFIG', key: 'Ordered', value: 'RaftNode00:4' },
    })
    await register(client, jsonBody(['A', 'B']))
    const slave = await register(client, jsonBody(['A', 'B']), {
      brokerId: 1,
      brokerAddr: '127.0.0.1:30921',
    })
    assert.deepEqual(slave.ext, {
      masterAddr: BROKER.brokerAddr,
      haServerAddr: BROKER.haServerAddr,
    })
    assert.deepEqual(JSON.parse(slave.body.toString()), { table: { Ordered: 'RaftNode00:4' } })
  })

  it('answers an outdated leader with nothing', async (t) => {
    const client = await dial(t, await start(t))
    await register(client, jsonBody(['A', 'B'], { stateVersion: 4, counter: 1, timestamp: 1 }))
    const old = await register(client, jsonBody(['A', 'B'], { stateVersion: 3 }), {
      brokerAddr: '127.0.0.1:30921',
    })
    assert.deepEqual([old.code, old.ext, old.body.length], [0, {}, 0])
    const cluster = await client.request({ code: 106 })
    assert.match(cluster.body.toString(), /"brokerAddrs":\{"0":"127\.0\.0\.1:30911"\}/)
  })

  it('puts the order list into routes when told so', async (t) => {
    const client = await dial(t, await start(t, { settings: { orderMessageEnable: true } }))
    const value = 'RaftNode00:4'
    await client.request({ code: 100, ext: { namespace: 'ORDER_TOPIC_CONFIG', key: 'A', value } })
    await register(client, jsonBody(['A', 'B']))
    const route = await client.request({ code: 105, ext: { topic: 'A' } })
    assert.equal(JSON.parse(route.body.toString()).orderTopicConf, value)
  })

  it('escapes names beyond ASCII for standard readers only', async (t) => {
    const client = await dial(t, await start(t))
    await register(client, jsonBody(['A', 'B']), { clusterName: 'Köln' })
    const route = async (version: number) => {
      const answer = await client.request({ code: 105, ext: { topic: 'A' }, version })
      assert.equal(JSON.parse(answer.body.toString()).brokerDatas[0].cluster, 'Köln')
      return answer.body.toString()
    }
    assert.match(await route(493), /K\\u00F6ln/)
    assert.match(await route(317), /Köln/)
  })
})

describe('brokers that go away', () => {
  it('are gone with their connection', async (t) => {
    const log = new EventLog()
    const server = await start(t, { log })
    const client = await dial(t, server)
    const broker = await RawClient.connect(server.port)
    await register(broker, jsonBody(['A', 'B']))
    assert.deepEqual(await topicsOf(client), ['A', 'B'])
    const disconnected = once(log, 'broker disconnected')
    await broker.close()
    await disconnected
    assert.deepEqual(await topicsOf(client), [])
  })

  it('are gone and disconnected after their timeout without a word', async (t) => {
    const clock = new FakeClock()
    const timers = new ManualTimers()
    const server = await start(t, { clock, timers })
    const client = await dial(t, server)
    const broker = await dial(t, server)
    await register(broker, jsonBody(['A', 'B']), { heartbeatTimeoutMillis: 10_000 })
    clock.advance(10_000)
    timers.fire()
    assert.deepEqual(await topicsOf(client), ['A', 'B'])
    clock.advance(1)
    timers.fire()
    await broker.closed()
    assert.deepEqual(await topicsOf(client), [])
    assert.equal(timers.lastDelayMs, 5_000)
  })
})

describe('requests', () => {
  it('get no answer when they are one-way, whatever becomes of them', async (t) => {
    const client = await dial(t, await start(t))
    for (const code of [106, 103, 9_999]) {
      client.send(encodeCommand({ code, opaque: 1, flag: ONEWAY_FLAG }))
    }
    assert.equal((await client.request({ code: 106 })).opaque, 0)
  })

  it('that are malformed close their own connection only', async (t) => {
    const server = await start(t)
    const client = await dial(t, server)
    const malformed = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0, 0, 0, 6, 0, 0, 0, 2, 0x7b, 0x7b]),
      Buffer.from([0, 0, 0, 8, 9, 0, 0, 0, 1, 2, 3, 4]),
      Buffer.from([0x7f, 0xff, 0xff, 0xff]),
    ]
    for (const bytes of malformed) {
      const hostile = await RawClient.connect(server.port)
      hostile.send(bytes)
      await hostile.closed()
    }
    assert.equal((await client.request({ code: 106 })).code, 0)
  })

  it('with missing fields get code 1 and name the field', async (t) => {
    const client = await dial(t, await start(t))
    for (const code of [
      100, 101, 102, 103, 104, 105, 205, 216, 217, 219, 224, 322, 327, 901, 904,
    ]) {
      const { code: result, remark } = await client.request({ code })
      assert.equal(result, 1, `code ${code}`)
      assert.match(remark ?? '', /'\w+' is missing$/, `code ${code}`)
    }
  })

  it('wait for the brokers when told so', async (t) => {
    const clock = new FakeClock()
    const settings = { needWaitForService: true, waitSecondsForService: 45 }
    const client = await dial(t, await start(t, { clock, settings }))
    await register(client, jsonBody(['A', 'B']))
    const early = await client.request({ code: 105, ext: { topic: 'A' } })
    assert.deepEqual([early.code, early.remark], [1, 'name server not ready'])
    clock.advance(45_000)
    assert.equal((await client.request({ code: 105, ext: { topic: 'A' } })).code, 0)
  })

  it('for topic lists can be switched off', async (t) => {
    const settings = { enableAllTopicList: false, enableTopicList: false }
    const client = await dial(t, await start(t, { settings }))
    for (const code of [206, 304, 311, 312, 313]) {
      const { code: result, remark } = await client.request({ code })
      assert.deepEqual([result, remark], [1, 'disable'])
    }
  })
})

describe('a name server', () => {
  it('says when its port is taken', async (t) => {
    const first = await start(t)
    await assert.rejects(runNameServer({ ...LOCAL, listenPort: first.port }), (error) => {
      assert.ok(error instanceof LedgerError)
      assert.equal(error.code, 'PORT_BUSY')
      assert.match(error.message, new RegExp(`port ${first.port} `))
      return true
    })
  })

  it('closes connections above its limit', async (t) => {
    const server = await start(t, { maxConnections: 1 })
    await dial(t, server)
    const second = await dial(t, server)
    await second.closed()
  })

  it('keeps KV configuration and settings over a restart', async (t) => {
    const directory = temporaryDirectory(t)
    const files = {
      kvConfigPath: join(directory, 'deep', 'kvConfig.json'),
      configStorePath: join(directory, 'namesrv.properties'),
    }
    writeFileSync(files.configStorePath, '# ours\norderMessageEnable = false\nlistenPort=1')
    const first = await runNameServer({ ...LOCAL, ...files })
    const client = await RawClient.connect(first.port)
    await client.request({ code: 100, ext: { namespace: 'N', key: 'k', value: 'v=1' } })
    const body = Buffer.from('orderMessageEnable=true\nserverWorkerThreads=3\n')
    assert.equal((await client.request({ code: 318, body })).code, 0)
    await client.close()
    await first.close()

    assert.deepEqual(JSON.parse(readFileSync(files.kvConfigPath, 'utf8')), {
      configTable: { N: { k: 'v=1' } },
    })
    assert.equal(
      readFileSync(files.configStorePath, 'utf8'),
      '# ours\norderMessageEnable=true\nlistenPort=1\nserverWorkerThreads=3\n',
    )
    const again = await dial(t, await start(t, files))
    const read = await again.request({ code: 101, ext: { namespace: 'N', key: 'k' } })
    assert.equal(read.ext.value, 'v=1')
  })

  it('changes nothing when a change of settings is not usable', async (t) => {
    const client = await dial(t, await start(t))
    const before = (await client.request({ code: 319 })).body.toString()
    const change = async (text: string) => {
      const { code } = await client.request({ code: 318, body: Buffer.from(text) })
      return code
    }
    assert.equal(await change('kvConfigPath=/tmp/x'), 16)
    assert.equal(await change('orderMessageEnable=true\nnoSuchKey=1'), 1)
    assert.equal(await change('orderMessageEnable=yes'), 1)
    assert.equal(await change('scanNotActiveBrokerInterval=0'), 1)
    assert.equal(await change('listenPort=1'), 1)
    assert.equal(await change('=1'), 1)
    assert.equal(await change('productEnvName=x\\nkvConfigPath=/tmp/x'), 1)
    assert.equal((await client.request({ code: 319 })).body.toString(), before)
  })

  it('refuses to start with a KV file that is not one', async (t) => {
    const kvConfigPath = join(temporaryDirectory(t), 'kvConfig.json')
    writeFileSync(kvConfigPath, '{"configTable":{"N":{"k":1}}}')
    await assert.rejects(runNameServer({ ...LOCAL, kvConfigPath }), /value of N\/k is no text/)
    writeFileSync(kvConfigPath, 'not json')
    await assert.rejects(runNameServer({ ...LOCAL, kvConfigPath }), /is no KV configuration/)
  })
})
