import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { sampleFrames } from '../recorded-samples.ts'
import { encodeBinaryCommand } from './binary-header.ts'
import { LANGUAGES, LanguageCode, RequestCode, ResponseCode } from './codes.ts'
import {
  type CommandInit,
  decodeCommand,
  encodeCommand,
  encodeInto,
  isOneway,
  isResponse,
  isSendCode,
} from './command.ts'

// Any code point; fast-check's own unit for this costs a second to set up.
const character: fc.Arbitrary<string> = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint))

const CORRUPT = { name: 'LedgerError', code: 'CORRUPT' }
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const text = fc.string({ unit: character, maxLength: 20 })
const name = fc.string({ minLength: 1, maxLength: 12 }).filter((key) => key !== '__proto__')

const anyCommand: fc.Arbitrary<CommandInit> = fc.record({
  code: int32,
  opaque: int32,
  flag: fc.constantFrom(0, 1, 2, 3),
  remark: fc.option(text, { nil: undefined }),
  ext: fc.dictionary(name, text),
  body: fc.uint8Array({ maxLength: 50 }),
  language: fc.constantFrom(...LANGUAGES),
  version: fc.integer({ min: 0, max: 1000 }),
})

function jsonFrame(header: string, body = ''): Buffer {
  const headerBytes = Buffer.from(header)
  const frame = Buffer.concat([Buffer.alloc(8), headerBytes, Buffer.from(body)])
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(headerBytes.length, 4)
  return frame
}

/** Runs `read`; true if it worked, false if it threw a LedgerError; any other error goes on. */
function worksOrIsRefused(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    if (error instanceof LedgerError && error.code === 'CORRUPT') return false
    throw error
  }
}

test('any command comes back as it was encoded', () => {
  fc.assert(
    fc.property(anyCommand, (command) => {
      const decoded = decodeCommand(encodeCommand(command))
      const { remark, body, ...rest } = command
      assert.deepEqual(
        { ...decoded, ext: { ...decoded.ext } },
        {
          ...rest,
          ext: { ...rest.ext },
          ...(remark === undefined ? {} : { remark }),
          body: Buffer.from(body ?? []),
          serializeType: 0,
        },
      )
    }),
  )
})

test('any command with a small code comes back from a binary header', () => {
  const small = fc.record({
    code: fc.integer({ min: 0, max: 0xffff }),
    opaque: int32,
    flag: fc.constantFrom(0, 1, 2, 3),
    ext: fc.dictionary(
      name,
      text.filter((value) => value !== ''),
    ),
    language: fc.constantFrom(...LANGUAGES),
  })
  fc.assert(
    fc.property(small, (command) => {
      const decoded = decodeCommand(encodeBinaryCommand(command))
      assert.equal(decoded.code, command.code)
      assert.equal(decoded.opaque, command.opaque)
      assert.equal(decoded.flag, command.flag)
      assert.equal(decoded.language, command.language)
      assert.deepEqual({ ...decoded.ext }, { ...command.ext })
    }),
  )
  assert.throws(() => encodeBinaryCommand({ code: 200_050, opaque: 1 }), { code: 'BAD_REQUEST' })
})

test('ext values that are no strings are coerced, null and absent ones left out', () => {
  const header =
    '{"code":310,"opaque":2,"extFields":{"d":4,"k":false,"x":null,"o":{"a":1},"g":9223372036854775807}}'
  const command = decodeCommand(jsonFrame(header))
  assert.deepEqual(command.ext, { d: '4', k: 'false', o: '{"a":1}', g: '9223372036854775807' })
  assert.deepEqual(decodeCommand(jsonFrame('{"code":1,"extFields":null}')).ext, {})
  assert.deepEqual(decodeCommand(jsonFrame('{"code":1}')).ext, {})
})

test('a name that would change the prototype is dropped', () => {
  const { ext } = decodeCommand(jsonFrame('{"code":1,"extFields":{"__proto__":"x","a":"b"}}'))
  assert.deepEqual(Object.entries(ext), [['a', 'b']])
  assert.equal(Object.getPrototypeOf(ext), Object.prototype)
})

test('missing members get defaults, unknown languages a name of their own', () => {
  const command = decodeCommand(jsonFrame('{"language":"COBOL"}', 'body'))
  assert.equal(command.code, 0)
  assert.equal(command.flag, 0)
  assert.equal(command.language, 'OTHER')
  assert.equal(command.remark, undefined)
  assert.equal(command.body.toString(), 'body')
  assert.equal(decodeCommand(jsonFrame('{"language":9}')).language, 'GO')
})

test('malformed headers are corrupt', () => {
  const bad = [
    '',
    'x',
    '[]',
    '{"code":1',
    '{"code":1.5}',
    '{"code":"x"}',
    '{"code":3000000000}',
    '{"extFields":[1]}',
    '{"extFields":"a"}',
    '{"opaque":{}}',
    `{"extFields":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    `{"extFields":{"a":${'9'.repeat(100_000)}}}`,
  ]
  for (const header of bad) assert.throws(() => decodeCommand(jsonFrame(header)), CORRUPT, header)
})

test('lengths that do not fit the frame are corrupt', () => {
  const frame = jsonFrame('{"code":1}')
  assert.throws(() => decodeCommand(frame.subarray(0, 5)), CORRUPT)
  assert.throws(() => decodeCommand(frame.subarray(0, frame.length - 1)), CORRUPT)
  const long = Buffer.from(frame)
  long.writeUInt32BE(1000, 4)
  assert.throws(() => decodeCommand(long), CORRUPT)
  const unknownType = Buffer.from(frame)
  unknownType[4] = 2
  assert.throws(() => decodeCommand(unknownType), CORRUPT)
})

test('bytes flipped or cut in real frames are refused in one way, never in another', () => {
  const frames = sampleFrames().map(({ frame }) => frame)
  let refused = 0
  fc.assert(
    fc.property(
      fc.nat({ max: frames.length - 1 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (which, where, flip, cut) => {
        const frame = Buffer.from(frames[which] as Buffer)
        const headerEnd = Math.min(frame.length, 8 + (frame.readUInt32BE(4) & 0xffffff))
        const at = where % headerEnd
        if (cut) {
          const short = Buffer.from(frame.subarray(0, at))
          if (short.length >= 8) short.writeUInt32BE(short.length - 4, 0)
          refused += worksOrIsRefused(() => decodeCommand(short)) ? 0 : 1
        } else {
          frame[at] = (frame[at] as number) ^ flip
          refused += worksOrIsRefused(() => decodeCommand(frame)) ? 0 : 1
        }
      },
    ),
    { numRuns: 2_000 },
  )
  assert.ok(refused > 0)
})

test('encodeInto refuses a target without room and leaves it alone', () => {
  const target = Buffer.alloc(40, 7)
  const command = { code: 1, opaque: 2, body: Buffer.alloc(20) }
  assert.throws(() => encodeInto(target, 0, command), { code: 'TOO_LARGE' })
  assert.ok(target.every((byte) => byte === 7))
})

test('flags and codes are told apart', () => {
  assert.ok(isResponse({ flag: 1 }) && isResponse({ flag: 3 }) && !isResponse({ flag: 2 }))
  assert.ok(isOneway({ flag: 2 }) && !isOneway({ flag: 1 }))
  assert.deepEqual([10, 310, 320, 11, 325].map(isSendCode), [true, true, true, false, false])
})

test('the numbers of the protocol are each used once', () => {
  for (const codes of [RequestCode, ResponseCode, LanguageCode]) {
    const numbers = Object.values(codes)
    assert.equal(new Set<number>(numbers).size, numbers.length)
  }
  LANGUAGES.forEach((language, code) => {
    assert.equal(LanguageCode[language], code)
  })
})
