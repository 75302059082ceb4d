import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatProperties, parseProperties } from './properties-file.ts'

function parse(text: string) {
  return parseProperties(Buffer.from(text))
}

function pairs(text: string): string[] {
  const { entries, problems } = parse(text)
  assert.deepEqual(problems, [])
  return entries.map(({ key, value, line }) => `${line} ${key}=${value}`)
}

test('comments, separators, blanks and line ends', () => {
  const text =
    '# a comment \\\n! another\r\n\r\n  listenPort = 10911  \rbrokerName:b-1\nbrokerIP1 10.0.0.1\nempty\nlast=x=y#z'
  assert.deepEqual(pairs(text), [
    '4 listenPort=10911',
    '5 brokerName=b-1',
    '6 brokerIP1=10.0.0.1',
    '7 empty=',
    '8 last=x=y#z',
  ])
})

test('a byte order mark is no part of the first key', () => {
  assert.deepEqual(pairs('\ufefflistenPort=1'), ['1 listenPort=1'])
})

test('a continued line keeps the number of its first line', () => {
  const text =
    'dLegerPeers=n0-a:1;\\\n   n1-b:2;\\\r\n\tn2-c:3\npath=C:\\\\store\\\\\nnext=1\nopen=a\\'
  assert.deepEqual(pairs(text), [
    '1 dLegerPeers=n0-a:1;n1-b:2;n2-c:3',
    '4 path=C:\\store\\',
    '5 next=1',
    '6 open=a',
  ])
})

test('escapes', () => {
  assert.deepEqual(pairs('a\\=b\\ c=d\\:e\\u0041\\#'), ['1 a=b c=d:eA#'])
  assert.deepEqual(pairs('name=Zürich'), ['1 name=Zürich'])
})

test('what Java would silently misread is a problem', () => {
  assert.match(parse('x=1\ndir=D:\\rocketmq').problems[0]!.message, /control character/)
  assert.equal(parse('x=1\ndir=D:\\rocketmq').problems[0]!.line, 2)
  assert.match(parse('a=\\u12g4').problems[0]!.message, /four hexadecimal/)
  const latin1 = parseProperties(Buffer.from('a=1\nname=Z\xfcrich', 'latin1'))
  assert.match(latin1.problems[0]!.message, /not UTF-8/)
  assert.equal(latin1.problems[0]!.line, 2)
  assert.equal(latin1.entries[1]!.value, 'Zürich')
})

test('what is written reads back', () => {
  const text = fc.string({ maxLength: 20 }).filter((part) => !/[\r\n\f\t\ufeff]/.test(part))
  const key = text.filter((part) => part.trim() !== '' && part === part.trim())
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          key,
          text.map((part) => part.trim()),
        ),
      ),
      (entries) => {
        const back = parse(formatProperties(entries)).entries
        assert.deepEqual(
          back.map(({ key, value }) => [key, value]),
          entries,
        )
      },
    ),
  )
})

test('no bytes make the reader throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.ok(Array.isArray(parseProperties(bytes).entries))
    }),
  )
})
