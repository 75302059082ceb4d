import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { remotingSamples } from '../recorded-samples.ts'
import { defaultSubscriptionGroupConfig, defaultTopicConfig } from './bodies.ts'
import { RequestCode } from './codes.ts'
import { decodeCommand } from './command.ts'
import { extBool, extInt, extLong, requireExt } from './ext.ts'
import {
  decodeHeartbeat,
  decodeLockBatch,
  decodeMessageQueue,
  decodeSubscription,
  tagsOfSubscription,
} from './heartbeat.ts'
import { asJsonObject, parseJsonBody, parseLenientJson } from './json.ts'

const BAD = { name: 'LedgerError', code: 'BAD_REQUEST' }

function requestBodies(code: number): Buffer[] {
  return remotingSamples().flatMap((sample) =>
    sample.code === code && sample.request !== undefined && !sample.name.startsWith('raw-')
      ? [decodeCommand(sample.request).body]
      : [],
  )
}

test('the heartbeats of all clients are decoded', () => {
  const heartbeats = requestBodies(RequestCode.HEART_BEAT).map(decodeHeartbeat)
  assert.ok(heartbeats.length >= 6)
  for (const { clientID, consumerDataSet, producerDataSet } of heartbeats) {
    assert.match(clientID, /@|^rmq-proxy-producer-client$/)
    assert.ok(consumerDataSet.length + producerDataSet.length > 0)
    for (const { subscriptionDataSet } of consumerDataSet) {
      for (const { tagsSet, codeSet } of subscriptionDataSet) {
        assert.equal(tagsSet.length, codeSet.length)
      }
    }
  }
  assert.ok(heartbeats.some(({ heartbeatFingerprint }) => heartbeatFingerprint !== 0))
  assert.ok(heartbeats.some(({ withoutSub }) => withoutSub))
})

test('lock requests are decoded', () => {
  const locks = requestBodies(RequestCode.LOCK_BATCH_MQ).map(decodeLockBatch)
  assert.ok(locks.length > 0)
  for (const { mqSet, consumerGroup } of locks) {
    assert.ok(mqSet.length > 0 && consumerGroup !== '')
    for (const queue of mqSet) assert.deepEqual(decodeMessageQueue({ ...queue }), queue)
  }
})

test('a subscription is understood from its text, whatever hashes came with it', () => {
  const subscription = decodeSubscription({
    topic: 'T',
    subString: 'TagA || TagB||',
    codeSet: [1, 2],
    tagsSet: ['x'],
    subVersion: 5,
  })
  assert.deepEqual(subscription.tagsSet, ['TagA', 'TagB'])
  assert.deepEqual(subscription.codeSet, [2598919, 2598920])
  assert.equal(subscription.expressionType, 'TAG')
  assert.deepEqual(tagsOfSubscription('*'), [])
  assert.deepEqual(tagsOfSubscription(''), [])
  const sql = decodeSubscription({ topic: 'T', subString: 'a > 1', expressionType: 'SQL92' })
  assert.deepEqual(sql.tagsSet, [])
})

test('a body of another shape is a bad request', () => {
  const bad = [
    '',
    '[]',
    '{}',
    '{"clientID":5}',
    '{"clientID":"c","consumerDataSet":5}',
    '{"clientID":"c","consumerDataSet":[{}]}',
    '{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":"X"}]}',
    '{"clientID":"c","producerDataSet":[null]}',
    '{"clientID":"c","heartbeatFingerprint":"many"}',
  ]
  for (const body of bad) assert.throws(() => decodeHeartbeat(Buffer.from(body)), BAD, body)
})

test('any JSON as a body is decoded or refused', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.boolean(), (value, inside) => {
      const body = Buffer.from(
        JSON.stringify(inside ? { clientID: 'c', consumerDataSet: value } : value),
      )
      for (const decode of [decodeHeartbeat, decodeLockBatch]) {
        try {
          decode(body)
        } catch (error) {
          assert.ok(error instanceof LedgerError && error.code === 'BAD_REQUEST', String(error))
        }
      }
    }),
  )
})

test("the defaults are the real broker's", () => {
  const response = (code: number): Buffer | undefined =>
    remotingSamples().find((sample) => sample.code === code && sample.response !== undefined)
      ?.response
  const group = response(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG)
  assert.ok(group !== undefined)
  const config = asJsonObject(parseJsonBody(decodeCommand(group).body), 'a group')
  const expected = { ...defaultSubscriptionGroupConfig(String(config.groupName)) }
  assert.deepEqual(Object.keys(config).sort(), Object.keys(expected).sort())
  assert.deepEqual(config, expected)
  const topic = response(RequestCode.GET_TOPIC_CONFIG)
  assert.ok(topic !== undefined)
  const topicConfig = asJsonObject(
    parseLenientJson(decodeCommand(topic).body.toString()),
    'a topic',
  )
  assert.deepEqual(Object.keys(topicConfig).sort(), Object.keys(defaultTopicConfig('T')).sort())
})

test('ext fields are read in their types', () => {
  const ext = { i: '-5', z: '-0', l: '9223372036854775807', b: 'TRUE', c: 'yes', x: '1.5', s: '' }
  assert.equal(extInt(ext, 'i'), -5)
  assert.ok(Object.is(extInt(ext, 'z'), 0))
  assert.equal(extLong(ext, 'l'), Number.MAX_SAFE_INTEGER)
  assert.equal(extLong({ l: '-9223372036854775808' }, 'l'), Number.MIN_SAFE_INTEGER)
  assert.equal(extLong(ext, 'none', 7), 7)
  assert.equal(extInt(ext, 'none', -1), -1)
  assert.deepEqual(
    [extBool(ext, 'b'), extBool(ext, 'c'), extBool(ext, 'n', true)],
    [true, false, true],
  )
  assert.equal(requireExt(ext, 's'), '')
  for (const [name, read] of [
    ['l', extInt],
    ['x', extInt],
    ['x', extLong],
    ['s', extLong],
    ['none', extInt],
    ['none', extLong],
    ['none', extBool],
    ['none', requireExt],
  ] as const) {
    assert.throws(() => read(ext, name), { ...BAD, message: new RegExp(`'${name}'`) })
  }
})
