import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { asJsonObject, jsonBody, parseJsonBody, parseLenientJson, quotedKeys } from './json.ts'
import { LenientJsonReader } from './json-reader.ts'
import { objectKeyMap, stringifyJson } from './json-writer.ts'

// Any code point; fast-check's own unit for this costs a second to set up.
const character: fc.Arbitrary<string> = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint))

const BAD = { name: 'LedgerError', code: 'BAD_REQUEST' }

test('integer keys without quotes and object keys are read', () => {
  assert.deepEqual(parseLenientJson('{0:"a",-5 : 1, 12:{1:2}}'), { 0: 'a', '-5': 1, 12: { 1: 2 } })
  const table = '{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:{"maxOffset":3}}}'
  assert.deepEqual(parseLenientJson(table), {
    offsetTable: { '{"brokerName":"b","queueId":0,"topic":"t"}': { maxOffset: 3 } },
  })
  assert.equal(quotedKeys('{"a":{{"b": 1}:[1, 2]},3:null}'), '{"3":null,"a":{"{\\"b\\":1}":[1,2]}}')
})

test('integers beyond 2^53 keep their digits both ways', () => {
  const text =
    '{"endTimestamp":9223372036854775807,"small":-12,"half":1.5,"list":[9007199254740993]}'
  const value = parseLenientJson(text)
  assert.deepEqual(value, {
    endTimestamp: 9223372036854775807n,
    small: -12,
    half: 1.5,
    list: [9007199254740993n],
  })
  assert.equal(stringifyJson(value), text)
})

test('maps keyed by message queues are written as Java peers expect them', () => {
  const queue = { topic: 't', queueId: 1, brokerName: 'b' }
  assert.equal(
    stringifyJson({ offsetTable: objectKeyMap([[queue, 5n]]), empty: objectKeyMap([]) }),
    '{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"t"}:5},"empty":{}}',
  )
  const again = parseLenientJson(stringifyJson(objectKeyMap([[queue, { offset: 7 }]])))
  assert.deepEqual(again, { '{"brokerName":"b","queueId":1,"topic":"t"}': { offset: 7 } })
})

test('undefined members are left out, maps become objects with quoted keys', () => {
  assert.equal(stringifyJson({ a: undefined, b: null, c: [undefined] }), '{"b":null,"c":[null]}')
  assert.equal(stringifyJson(new Map([[1, 'x']])), '{"1":"x"}')
  assert.equal(jsonBody({ name: 'é' }).toString(), '{"name":"é"}')
  assert.equal(parseJsonBody(Buffer.alloc(0)), undefined)
})

test('any JSON value is read the same by both readers and written back', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: character }), (value) => {
      const text = JSON.stringify(value)
      fc.pre(!/\d{16}/.test(text))
      assert.deepEqual(new LenientJsonReader(text).readDocument(), JSON.parse(text))
      assert.deepEqual(JSON.parse(stringifyJson(JSON.parse(text))), JSON.parse(text))
      const spread = JSON.stringify(value, null, 2)
      assert.deepEqual(new LenientJsonReader(spread).readDocument(), JSON.parse(text))
    }),
  )
})

test('malformed text is a bad request', () => {
  const bad = ['', '{', '[1', '{"a"}', '{"a":}', '{:1}', '[1,]', '{"a":1,}', 'tru', '"a', '"\\x"']
  for (const text of [...bad, '1 2', '{"a":1}x', '-', '"\n"', '{{}:1']) {
    assert.throws(() => parseLenientJson(text), BAD, text)
  }
  assert.throws(() => asJsonObject([], 'the body'), BAD)
  assert.throws(() => asJsonObject(null, 'the body'), BAD)
})

test('deep nesting is refused before the stack ends', () => {
  assert.throws(() => parseLenientJson(`${'['.repeat(1e6)}1234567890123456`), BAD)
  assert.throws(() => parseLenientJson('{{'.repeat(1e5)), BAD)
  const deep = parseLenientJson(`${'['.repeat(1e5)}${']'.repeat(1e5)}`)
  assert.throws(() => stringifyJson(deep), BAD)
  assert.throws(() => parseLenientJson('7'.repeat(1e5)), BAD)
})

test('random text is read or refused, nothing else', () => {
  const alphabet = fc.constantFrom(...'{}[]:,"\\0123456789.-eEtrufalsn ')
  fc.assert(
    fc.property(fc.string({ unit: alphabet, maxLength: 40 }), (text) => {
      try {
        parseLenientJson(text)
      } catch (error) {
        assert.ok(error instanceof LedgerError && error.code === 'BAD_REQUEST')
      }
    }),
    { numRuns: 5_000 },
  )
})

test('a member called __proto__ stays data', () => {
  const value = parseLenientJson('{__proto__:{"x":1},"big":12345678901234567890}')
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.ok(Object.hasOwn(value as object, '__proto__'))
})
