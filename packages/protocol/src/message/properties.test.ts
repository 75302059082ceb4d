import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findProperty, formatProperties, PropertyName, parseProperties } from './properties.ts'

// Any code point; fast-check's own unit for this costs a second to set up.
const character: fc.Arbitrary<string> = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint))

function propertyIn(text: string, name: string): string | undefined {
  const bytes = Buffer.from(`zz${text}TAGS\u0001behind\u0002`)
  const end = 2 + Buffer.byteLength(text)
  const range = findProperty(bytes, 2, end, Buffer.from(name))
  return range === undefined ? undefined : bytes.toString('utf8', range.start, range.end)
}

const word = fc
  .string({ unit: character, minLength: 1, maxLength: 8 })
  .filter((text) => !text.includes('\u0001') && !text.includes('\u0002'))

test('properties come back as they were formatted, with and without the last separator', () => {
  fc.assert(
    fc.property(fc.dictionary(word, word), (given) => {
      const map = new Map(Object.entries(given))
      const text = formatProperties(map)
      assert.deepEqual(parseProperties(text), map)
      assert.deepEqual(parseProperties(text.slice(0, -1)), map)
      for (const [name, value] of map) {
        assert.equal(propertyIn(text, name), value)
        assert.equal(propertyIn(text.slice(0, -1), name), value)
      }
      if (!map.has('TAGS')) assert.equal(propertyIn(text, 'TAGS'), undefined)
    }),
  )
})

test('on any text the byte search and the parser see the same names', () => {
  const alphabet = fc.constantFrom('\u0001', '\u0002', 'a', 'b')
  fc.assert(
    fc.property(
      fc.string({ unit: alphabet, maxLength: 20 }),
      fc.constantFrom('a', 'b', 'ab', 'aa'),
      (text, name) => {
        const parsed = parseProperties(text).get(name)
        const found = propertyIn(text, name)
        assert.equal(found === undefined, parsed === undefined)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('pieces without name, value or separator are skipped', () => {
  const text = 'x\u0002\u0001v\u0002n\u0001\u0002TAGS\u0001a\u0001b\u0002\u0002KEYS\u0001k'
  assert.deepEqual(
    [...parseProperties(text)],
    [
      ['TAGS', 'a\u0001b'],
      ['KEYS', 'k'],
    ],
  )
  assert.equal(propertyIn(text, 'n'), undefined)
  assert.equal(propertyIn(text, 'TAGS'), 'a\u0001b')
  assert.equal(
    formatProperties(
      new Map([
        ['', 'a'],
        ['b', ''],
      ]),
    ),
    '',
  )
})

test('a name is not found inside another', () => {
  assert.equal(propertyIn('XTAGS\u0001a\u0002TAGSX\u0001b\u0002', 'TAGS'), undefined)
  assert.equal(propertyIn('K\u0001TAGS\u0002TAGS\u0001c\u0002', 'TAGS'), 'c')
  assert.equal(propertyIn('TAG', 'TAGS'), undefined)
  assert.equal(new Set(Object.values(PropertyName)).size, Object.values(PropertyName).length)
})
