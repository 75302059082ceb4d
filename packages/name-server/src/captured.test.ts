/**
 * Requests recorded from real clients against our server; the answers must mean what Apache's
 * answers mean.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { decodeCommand, parseLenientJson, type RemotingCommand } from '@ringledger/protocol'
import { RawClient } from './raw-client-fake.ts'
import { type RunningNameServer, runNameServer } from './server.ts'

const FRAMES = JSON.parse(
  readFileSync(new URL('../testdata/captured-frames.json', import.meta.url), 'utf8'),
) as Record<string, { request: string; response: string }>

const TOPIC = { order: false, perm: 6, readQueueNums: 4, topicSysFlag: 0, writeQueueNums: 4 }

describe('captured requests', () => {
  let server: RunningNameServer
  let client: RawClient
  const played = new Set<string>()

  beforeEach(async () => {
    server = await runNameServer({ listenPort: 0, host: '127.0.0.1' })
    client = await RawClient.connect(server.port)
  })

  afterEach(async () => {
    await client.close()
    await server.close()
  })

  function captured(name: string): RemotingCommand {
    const frame = FRAMES[name]?.response
    assert.ok(frame, `${name} is not in the captured frames`)
    return decodeCommand(Buffer.from(frame, 'hex'))
  }

  /** Sends the captured request; code, opaque, flag and ext must be the captured ones. */
  async function play(name: string): Promise<RemotingCommand> {
    const expected = captured(name)
    client.send(Buffer.from(FRAMES[name]!.request, 'hex'))
    const actual = await client.receive()
    played.add(name)
    const { code, opaque, flag, ext, serializeType } = actual
    assert.deepEqual(
      { code, opaque, flag, ext, serializeType },
      {
        code: expected.code,
        opaque: expected.opaque,
        flag: expected.flag,
        ext: expected.ext,
        serializeType: expected.serializeType,
      },
    )
    return actual
  }

  async function playWithBody(name: string): Promise<void> {
    const actual = await play(name)
    assert.deepEqual(json(actual.body), json(captured(name).body))
    assert.equal(actual.body.includes(' '), false, 'the body has blanks')
    assert.doesNotThrow(() => JSON.parse(actual.body.toString()), 'the body is standard JSON')
  }

  async function register(topics: string[], dataVersion: object): Promise<void> {
    const wrapper = { dataVersion, topicConfigTable: configs(topics) }
    const registered = await client.request({
      code: 103,
      ext: {
        brokerName: 'broker-a',
        brokerAddr: '127.0.0.1:20911',
        clusterName: 'DefaultCluster',
        haServerAddr: '127.0.0.1:20912',
        brokerId: 0,
      },
      body: Buffer.from(JSON.stringify({ topicConfigSerializeWrapper: wrapper })),
    })
    assert.equal(registered.code, 0)
  }

  const FIRST_VERSION = { counter: 1, stateVersion: 0, timestamp: 1 }

  it('registers a broker in full, then one topic more', async () => {
    await play('ns-103-register-broker-full')
    await play('ns-103-register-broker-incremental-one-topic')
    const topics = await client.request({ code: 206 })
    const { topicList } = json(topics.body) as { topicList: string[] }
    assert.equal(topicList.length, 17)
    assert.ok(topicList.includes('Cap54Normal'))
  })

  it('refuses the incremental registration when it comes first', async () => {
    client.send(Buffer.from(FRAMES['ns-103-register-broker-incremental-one-topic']!.request, 'hex'))
    const { code, remark } = await client.receive()
    assert.deepEqual({ code, remark }, { code: 1, remark: 'register broker failed' })
  })

  it('routes Java, Go and binary requests', async () => {
    await play('ns-103-register-broker-full')
    await playWithBody('ns-105-route-ok-v493-standard-json')
    await playWithBody('ns-105-route-from-go-v317')
    await playWithBody('ns-105-route-from-4.9.4-binary-request')
  })

  it('sends the very bytes that Apache sends to standard readers', async () => {
    await play('ns-103-register-broker-full')
    const actual = await play('ns-105-route-ok-v493-standard-json')
    assert.deepEqual(actual.body, captured('ns-105-route-ok-v493-standard-json').body)
  })

  it('answers 17 for an unknown topic', async () => {
    const { remark } = await play('ns-105-route-not-exist')
    assert.match(remark ?? '', /^No topic route info in name server for the topic: Cap54Normal/)
  })

  it('shows the cluster and its member group', async () => {
    await play('ns-103-register-broker-full')
    await playWithBody('ns-106-cluster-info')
    await playWithBody('raw-ns-901-broker-member-group')
  })

  it('unregisters', async () => {
    await play('ns-103-register-broker-full')
    await play('ns-104-unregister-broker')
    const cluster = await client.request({ code: 106 })
    assert.deepEqual(json(cluster.body), { brokerAddrTable: {}, clusterAddrTable: {} })
  })

  it('lists topics', async () => {
    for (const name of ['ns-206-all-topic-list', 'raw-ns-224-topics-by-cluster']) {
      const expected = topicsIn(captured(name).body)
      await register(expected, FIRST_VERSION)
      assert.deepEqual(topicsIn((await play(name)).body), expected)
      await client.close()
      await server.close()
      server = await runNameServer({ listenPort: 0, host: '127.0.0.1' })
      client = await RawClient.connect(server.port)
    }
  })

  it('lists system and unit topics', async () => {
    await play('ns-103-register-broker-full')
    const name = 'raw-ns-304-system-topic-list-from-ns'
    const actual = (await play(name)).body
    assert.deepEqual(topicsIn(actual), topicsIn(captured(name).body))
    assert.equal((json(actual) as { brokerAddr: string }).brokerAddr, '127.0.0.1:20911')
    await playWithBody('raw-ns-311-unit-topic-list')
  })

  it('takes and gives write permission', async () => {
    const topics = Array.from({ length: 40 }, (_, index) => `T${index}`)
    await register(topics, FIRST_VERSION)
    await play('ns-205-wipe-write-perm')
    assert.match((await route('T7')).body.toString(), /"perm":4/)
    await play('ns-327-add-write-perm')
    assert.match((await route('T7')).body.toString(), /"perm":6/)
  })

  const route = (topic: string) => client.request({ code: 105, ext: { topic } })

  it('deletes a topic', async () => {
    await register(['%RETRY%GID_ADM', 'Other'], FIRST_VERSION)
    await play('ns-216-delete-topic-in-namesrv')
    assert.equal((await route('%RETRY%GID_ADM')).code, 17)
    assert.equal((await route('Other')).code, 0)
  })

  it('registers a single topic and routes it', async () => {
    await play('ns-103-register-broker-full')
    await play('raw-ns-217-register-topic')
    await playWithBody('raw-ns-105-accept-standard-json')
  })

  it('routes for ali-ons', async () => {
    await play('ns-103-register-broker-full')
    const queues = { brokerName: 'broker-a', readQueueNums: 2, writeQueueNums: 2, perm: 6 }
    const body = Buffer.from(JSON.stringify({ queueDatas: [queues] }))
    await client.request({ code: 217, ext: { topic: 'CapOns' }, body })
    await playWithBody('ons-105-route')
  })

  it('keeps the KV configuration', async () => {
    await play('ns-100-put-kv-order-conf')
    await play('ns-101-get-kv')
    await play('ns-102-delete-kv')
    await playWithBody('raw-ns-219-kvlist')
    const absent = await play('raw-ns-101-not-found')
    assert.equal(absent.remark, captured('raw-ns-101-not-found').remark)
    const noList = await play('raw-ns-219-kvlist-not-found')
    assert.equal(noList.remark, captured('raw-ns-219-kvlist-not-found').remark)
  })

  it('shows and changes its settings', async () => {
    const ours = properties((await play('ns-319-get-namesrv-config')).body)
    const apaches = properties(captured('ns-319-get-namesrv-config').body)
    for (const [key, value] of ours) {
      assert.ok(apaches.has(key), `${key} is not a key of Apache's name server`)
      if (MACHINE_KEYS.has(key)) continue
      assert.equal(value, apaches.get(key), key)
    }
    await play('ns-318-update-namesrv-config')
    const changed = properties((await client.request({ code: 319 })).body)
    assert.equal(changed.get('orderMessageEnable'), 'true')
  })

  it('compares data versions', async () => {
    const known = json(captured('raw-ns-322-query-data-version').body) as object
    await register(['A', 'B'], known)
    await playWithBody('raw-ns-322-query-data-version')
  })

  it('takes heartbeats', async () => {
    await play('raw-ns-904-broker-heartbeat')
  })

  it('answers 3 for codes of brokers', async () => {
    const { remark } = await play('raw-ns-34-unsupported-code')
    assert.equal(remark, ' request type 34 not supported')
  })

  it('has played every captured request', () => {
    assert.deepEqual(Object.keys(FRAMES).sort(), [...played].sort())
  })
})

const MACHINE_KEYS = new Set(['bindAddress', 'listenPort', 'configBlackList'])

function configs(topics: string[]): Record<string, object> {
  return Object.fromEntries(topics.map((topicName) => [topicName, { ...TOPIC, topicName }]))
}

function json(body: Buffer): unknown {
  return body.length === 0 ? undefined : parseLenientJson(body.toString('utf8'))
}

function topicsIn(body: Buffer): string[] {
  return (json(body) as { topicList: string[] }).topicList.sort()
}

function properties(body: Buffer): Map<string, string> {
  const lines = body.toString('utf8').trimEnd().split('\n')
  return new Map(lines.map((line) => line.split('=', 2) as [string, string]))
}
