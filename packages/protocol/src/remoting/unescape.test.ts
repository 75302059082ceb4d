import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { unescapeJson } from './unescape.ts'

// Any code point; fast-check's own unit for this costs a second to set up.
const character: fc.Arbitrary<string> = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint))

function unescaped(inside: string | Buffer): Buffer | undefined {
  const bytes = Buffer.concat([Buffer.from('xx'), Buffer.from(inside), Buffer.from('yy\\u0041')])
  const end = bytes.length - 8
  const target = Buffer.alloc(end + 3, 0xee)
  const size = unescapeJson(bytes, 2, end, target, 5)
  if (size < 0) return undefined
  assert.ok(target.subarray(0, 5).every((byte) => byte === 0xee))
  return Buffer.from(target.subarray(5, 5 + size))
}

/** Every character as a \u escape. */
function fullyEscaped(text: string): string {
  let escaped = ''
  for (let i = 0; i < text.length; i++) {
    escaped += `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`
  }
  return escaped
}

test('any text comes back from its JSON form', () => {
  fc.assert(
    fc.property(fc.string({ unit: character }), (text) => {
      const inside = JSON.stringify(text).slice(1, -1)
      assert.equal(unescaped(inside)?.toString('utf8'), text)
      assert.equal(unescaped(fullyEscaped(text))?.toString('utf8'), text)
      const upper = fullyEscaped(text).toUpperCase().replaceAll('\\U', '\\u')
      assert.equal(unescaped(upper)?.toString('utf8'), text)
    }),
    { examples: [['\u0001\u0002"\\/\b\f\n\r\t'], ['\u{1f600}é€\u0000']] },
  )
})

test('every short escape is known', () => {
  assert.equal(unescaped('\\"\\\\\\/\\b\\f\\n\\r\\t')?.toString(), '"\\/\b\f\n\r\t')
  assert.equal(unescaped('TAGS\\u0001T\\u0002')?.toString(), 'TAGS\u0001T\u0002')
  assert.equal(unescaped('')?.length, 0)
})

test('what is odd is refused', () => {
  const odd = [
    '\\',
    'a\\',
    '\\x',
    '\\u',
    '\\u00',
    '\\u004',
    '\\u00g1',
    '\\u-001',
    '\\ud83d',
    '\\ud83dabcdef',
    '\\ud83d\\n12345',
    '\\ud83d\\u0041',
    '\\udc00\\ud83d',
    'a"b',
    'a\nb',
  ]
  for (const inside of odd) assert.equal(unescaped(inside), undefined, inside)
})

test('a target without room is refused before anything is written', () => {
  const target = Buffer.alloc(4)
  assert.equal(unescapeJson(Buffer.from('abcde'), 0, 5, target, 0), -1)
  assert.equal(unescapeJson(Buffer.from('abcd'), 0, 4, target, 1), -1)
  assert.ok(target.every((byte) => byte === 0))
})

test('agrees with JSON.parse on any bytes, or refuses', () => {
  const alphabet = fc.constantFrom(...'\\\\\\uuu0048dDcCfFnx"/ aé')
  let same = 0
  fc.assert(
    fc.property(fc.string({ unit: alphabet, maxLength: 24 }), (inside) => {
      const found = unescaped(inside)
      if (found === undefined) return
      assert.deepEqual(found, Buffer.from(JSON.parse(`"${inside}"`) as string))
      same++
    }),
    { numRuns: 5_000 },
  )
  assert.ok(same > 100)
})
