import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { columns, formatTable, shorten, visible } from './table.ts'

const HEADS = columns('Broker', '>Id')

test('a plain table is aligned, without colours', () => {
  const lines = formatTable(
    HEADS,
    [
      ['a', 0],
      ['longer-name', 12],
      [undefined, ''],
    ],
    'plain',
  )
  assert.deepEqual(lines, [
    'Broker       Id',
    'a             0',
    'longer-name  12',
    '-             -',
  ])
})

test('a terminal gets a head that stands out', () => {
  const [head, rule, row] = formatTable(HEADS, [['a', 7]], 'terminal')
  assert.equal(head, '\u001b[1mBroker  Id\u001b[0m')
  assert.equal(rule, '──────  ──')
  assert.equal(row, 'a        7')
})

test('wide characters take two columns', () => {
  const lines = formatTable(
    HEADS,
    [
      ['消息', 1],
      ['four', 2],
    ],
    'plain',
  )
  assert.deepEqual(lines.slice(1), ['消息     1', 'four     2'])
})

test('text from a server cannot control the terminal', () => {
  assert.equal(visible('a\u001b[2Jb\nc\u009b'), 'a\\u001b[2Jb\\nc\\u009b')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const lines = formatTable(HEADS, [[text, 1]], 'plain')
      assert.equal(lines.length, 2)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not come through
      assert.doesNotMatch(lines.join(''), /[\u0000-\u001f\u007f-\u009f]/)
    }),
  )
})

test('long text is cut visibly', () => {
  assert.equal(shorten('abcdef', 6), 'abcdef')
  assert.equal(shorten('abcdefg', 6), 'abcde…')
})
