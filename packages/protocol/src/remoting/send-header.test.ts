import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ByteRange } from '../bytes.ts'
import { recordedFrames, remotingSamples } from '../recorded-samples.ts'
import { RequestCode } from './codes.ts'
import {
  decodeCommand,
  encodeCommand,
  isResponse,
  isSendCode,
  type RemotingCommand,
} from './command.ts'
import { extBool, extInt, extLong } from './ext.ts'
import { FRAME_HEADER_AT, frameHeaderBytes } from './frame.ts'
import { SendHeader, scanSendHeader } from './send-header.ts'
import { unescapeJson } from './unescape.ts'

// Any code point; fast-check's own unit for this costs a second to set up.
const character: fc.Arbitrary<string> = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint))

const LONG_NAMES: Readonly<Record<string, string>> = {
  a: 'producerGroup',
  b: 'topic',
  c: 'defaultTopic',
  d: 'defaultTopicQueueNums',
  e: 'queueId',
  f: 'sysFlag',
  g: 'bornTimestamp',
  h: 'flag',
  i: 'properties',
  j: 'reconsumeTimes',
  k: 'unitMode',
  l: 'maxReconsumeTimes',
  m: 'batch',
}
const HEADER = new SendHeader()

function textOf(bytes: Buffer, range: ByteRange): string {
  return bytes.toString('utf8', range.start, range.end)
}

/** The properties as stored; undefined when the scanner's caller must decode the slow way. */
function propertiesOf(bytes: Buffer, range: ByteRange): string | undefined {
  const target = Buffer.alloc(range.end - range.start)
  const size = unescapeJson(bytes, range.start, range.end, target, 0)
  return size < 0 ? undefined : target.toString('utf8', 0, size)
}

/** Compares every field of the scan with the slow way. */
function assertAgrees(frame: Buffer, header: SendHeader, command: RemotingCommand): void {
  const { code, ext } = command
  const nameOf = (letter: string): string =>
    code === RequestCode.SEND_MESSAGE ? (LONG_NAMES[letter] as string) : letter
  assert.deepEqual(
    [header.code, header.opaque, header.flag, header.version],
    [code, command.opaque, command.flag, command.version],
  )
  assert.equal(textOf(frame, header.producerGroup), ext[nameOf('a')])
  assert.equal(textOf(frame, header.topic), ext[nameOf('b')])
  assert.equal(textOf(frame, header.defaultTopic), ext[nameOf('c')])
  assert.equal(header.defaultTopicQueueNums, extInt(ext, nameOf('d')))
  assert.equal(header.queueId, extInt(ext, nameOf('e')))
  assert.equal(header.sysFlag, extInt(ext, nameOf('f')))
  assert.equal(header.bornTimestampMs, extLong(ext, nameOf('g')))
  assert.equal(header.messageFlag, extInt(ext, nameOf('h')))
  assert.equal(header.reconsumeTimes, extInt(ext, nameOf('j'), 0))
  assert.equal(header.unitMode, extBool(ext, nameOf('k'), false))
  assert.equal(header.maxReconsumeTimes, extInt(ext, nameOf('l'), -1))
  const isBatch = code === RequestCode.SEND_BATCH_MESSAGE || extBool(ext, nameOf('m'), false)
  assert.equal(header.batch, isBatch)
  const properties = propertiesOf(frame, header.properties)
  if (properties !== undefined) assert.equal(properties, ext[nameOf('i')] ?? '')
}

function scan(frame: Buffer): boolean {
  return scanSendHeader(frame, FRAME_HEADER_AT, frameHeaderBytes(frame, 0), HEADER)
}

function frameOf(headerText: string): Buffer {
  const header = Buffer.from(headerText)
  const frame = Buffer.concat([Buffer.alloc(8), header, Buffer.from('}}}}')])
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(header.length, 4)
  return frame
}

/** As rmqload (Go, sorted keys) writes it. */
const LOAD_HEADER =
  '{"code":310,"language":"GO","version":455,"opaque":1000000001,"flag":0,"extFields":{"a":"rmqload",' +
  '"b":"load","c":"TBW102","d":"4","e":"3","f":"0","g":"1795407239331","h":"0",' +
  '"i":"TAGS\\u0001T\\u0002","j":"0","k":"false","l":"16","m":"false"}}'

test('every recorded send in JSON is scanned, and agrees with the decoder', () => {
  const requests = remotingSamples().flatMap(({ request }) => request ?? [])
  let scanned = 0
  for (const frame of [...requests, ...recordedFrames()]) {
    const command = decodeCommand(frame)
    if (isResponse(command)) continue
    const expected = isSendCode(command.code) && command.serializeType === 0
    assert.equal(scan(frame), expected)
    if (!expected) continue
    assertAgrees(frame, HEADER, command)
    assert.notEqual(propertiesOf(frame, HEADER.properties), undefined)
    scanned++
  }
  assert.ok(scanned > 200, `${scanned}`)
})

test("the load generator's header is scanned", () => {
  const frame = frameOf(LOAD_HEADER)
  assert.ok(scan(frame))
  assertAgrees(frame, HEADER, decodeCommand(frame))
  assert.equal(textOf(frame, HEADER.topic), 'load')
  assert.equal(propertiesOf(frame, HEADER.properties), 'TAGS\u0001T\u0002')
  assert.equal(HEADER.maxReconsumeTimes, 16)
})

test('a scan forgets what the scan before it found', () => {
  const full = LOAD_HEADER.replace('"m":"false"', '"m":"true"').replace('"k":"false"', '"k":"true"')
  assert.ok(scan(frameOf(full)) && HEADER.batch && HEADER.unitMode)
  const bare =
    '{"code":310,"extFields":{"a":"g","b":"t","c":"d","d":"1","e":"-1","f":"0","g":"5","h":"0"}}'
  const frame = frameOf(bare)
  assert.ok(scan(frame))
  assertAgrees(frame, HEADER, decodeCommand(frame))
  assert.equal(HEADER.properties.end - HEADER.properties.start, 0)
})

const name = fc.string({ minLength: 1, maxLength: 20 })
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const asText = (value: unknown): string => String(value)
const rawOrText = (value: fc.Arbitrary<number | boolean>): fc.Arbitrary<unknown> =>
  fc.oneof(value, value.map(asText))

const anySend = fc.record(
  {
    a: name,
    b: name,
    c: name,
    d: rawOrText(int32),
    e: rawOrText(int32),
    f: rawOrText(int32),
    g: rawOrText(fc.integer({ min: 0, max: 2 ** 43 })),
    h: rawOrText(int32),
    i: fc.string({ unit: character, maxLength: 60 }),
    j: rawOrText(int32),
    k: rawOrText(fc.boolean()),
    l: rawOrText(int32),
    m: rawOrText(fc.boolean()),
    n: fc.string({ maxLength: 10 }),
    Signature: fc.base64String(),
  },
  { requiredKeys: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] },
)
const anyHeader = fc.record({
  code: fc.constantFrom(310, 320, 10),
  ext: anySend,
  long: fc.boolean(),
  opaque: int32,
  flag: fc.constantFrom(0, 2),
  shuffle: fc.array(fc.nat(), { minLength: 20, maxLength: 20 }),
})

function shuffled<T>(items: readonly T[], keys: readonly number[]): T[] {
  return items
    .map((item, at) => ({ item, key: keys[at % keys.length] as number }))
    .sort((left, right) => left.key - right.key)
    .map(({ item }) => item)
}

function headerTextOf(given: {
  code: number
  ext: Record<string, unknown>
  long: boolean
  opaque: number
  flag: number
  shuffle: number[]
}): string {
  const ext = shuffled(Object.entries(given.ext), given.shuffle).map(([letter, value]) => [
    given.long ? (LONG_NAMES[letter] ?? letter) : letter,
    value,
  ])
  const members = shuffled(
    [
      ['code', given.code],
      ['language', 'GO'],
      ['version', 317],
      ['opaque', given.opaque],
      ['flag', given.flag],
      ['remark', ''],
      ['extFields', Object.fromEntries(ext)],
    ],
    given.shuffle,
  )
  return JSON.stringify(Object.fromEntries(members))
}

test('for any send the scan agrees with the decoder or steps aside', () => {
  let scanned = 0
  fc.assert(
    fc.property(anyHeader, (given) => {
      const frame = frameOf(headerTextOf(given))
      if (!scan(frame)) return
      scanned++
      assertAgrees(frame, HEADER, decodeCommand(frame))
    }),
    { numRuns: 3_000 },
  )
  assert.ok(scanned > 300, `${scanned} of 3000 took the fast way`)
})

test('usual names and values take the fast way in any order of the members', () => {
  const usual = fc.record({
    code: fc.constantFrom(310, 320),
    ext: anySend.map((ext) => ({ ...ext, a: 'group', b: '%RETRY%group', c: 'TBW102', n: 'b' })),
    long: fc.constant(false),
    opaque: int32,
    flag: fc.constantFrom(0, 2),
    shuffle: fc.array(fc.nat(), { minLength: 20, maxLength: 20 }),
  })
  fc.assert(
    fc.property(usual, (given) => {
      assert.ok(scan(frameOf(headerTextOf(given))))
    }),
  )
})

test('a byte changed anywhere: agreement or stepping aside, never a wrong answer', () => {
  const texts = [LOAD_HEADER]
  for (const { request } of remotingSamples()) {
    if (request !== undefined && scan(request)) {
      texts.push(request.toString('utf8', 8, 8 + frameHeaderBytes(request, 0)))
    }
  }
  let scanned = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.nat(),
      fc.oneof(fc.constantFrom(...Buffer.from('"\\,:{}[]0-9truefalsn')), fc.nat({ max: 127 })),
      fc.constantFrom('replace', 'remove', 'insert'),
      (text, where, byte, how) => {
        const at = where % text.length
        const kept = how === 'insert' ? text.slice(at) : text.slice(at + 1)
        const middle = how === 'remove' ? '' : String.fromCharCode(byte)
        const frame = frameOf(text.slice(0, at) + middle + kept)
        if (!scan(frame) || propertiesOf(frame, HEADER.properties) === undefined) return
        scanned++
        assertAgrees(frame, HEADER, decodeCommand(frame))
      },
    ),
    { numRuns: 20_000 },
  )
  assert.ok(scanned > 1_000)
})

test('a cut header is not completed from the bytes behind it', () => {
  const frame = frameOf(LOAD_HEADER)
  for (let length = 0; length < LOAD_HEADER.length; length++) {
    assert.equal(scanSendHeader(frame, 8, length, HEADER), false)
  }
  assert.equal(scanSendHeader(frame, 8, LOAD_HEADER.length + 1, HEADER), false)
  assert.equal(scanSendHeader(frame, 8, 10_000, HEADER), false)
})

test('what is no plain send is left to the decoder', () => {
  const refused = [
    LOAD_HEADER.replace('310', '325'),
    LOAD_HEADER.replace('310', '11'),
    LOAD_HEADER.replace('310', '10'),
    LOAD_HEADER.replace('"a":"rmqload"', '"a":"rmqload","a":"again"'),
    LOAD_HEADER.replace('"a":"rmqload",', ''),
    LOAD_HEADER.replace('"d":"4"', '"d":"4294967296"'),
    LOAD_HEADER.replace('"d":"4"', '"d":4.5'),
    LOAD_HEADER.replace('"d":"4"', '"d":null'),
    LOAD_HEADER.replace('"d":"4"', '"d":""'),
    LOAD_HEADER.replace('"k":"false"', '"k":"TRUE"'),
    LOAD_HEADER.replace('"b":"load"', '"b":"lo\\u0061d"'),
    LOAD_HEADER.replace('"b":"load"', '"b":"löad"'),
    LOAD_HEADER.replace('"b":"load"', '"b":"load","topic":"other"'),
    LOAD_HEADER.replace('{"code"', '{ "code"'),
    LOAD_HEADER.replace('"flag":0', '"flag":0,"flag":2'),
  ]
  for (const text of refused) assert.equal(scan(frameOf(text)), false, text)
  assert.equal(scan(encodeCommand({ code: 310, opaque: 1 })), false)
})
