import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf, integerIn, listIn, readBody, textIn, writeBody } from './body.ts'
import { codeOfError, codeText, DledgerCode, mayCommitAfter } from './codes.ts'
import { entriesOf, entryBody, readAnswer } from './messages.ts'

test('members are written in the order of their names, absent ones not at all', () => {
  const bytes = writeBody({ term: 3, group: 'g', code: 200, leaderId: undefined })
  assert.equal(bytes.toString(), '{"code":200,"group":"g","term":3}')
})

test('entries come back as they were', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record(
          {
            index: fc.maxSafeNat(),
            term: fc.maxSafeNat(),
            position: fc.maxSafeNat(),
            body: fc.uint8Array({ maxLength: 200 }),
          },
          { noNullPrototype: true },
        ),
        { maxLength: 5 },
      ),
      (entries) => {
        const bytes = writeBody({ code: 200, term: 1, entries: entries.map(entryBody) })
        const found = entriesOf(readAnswer(bytes))
        assert.deepEqual(
          found.map((entry) => ({ ...entry, body: new Uint8Array(entry.body) })),
          entries,
        )
      },
    ),
  )
})

test("an entry has DLedger's fields", () => {
  const entry = { index: 42, term: 3, position: 8192, body: Buffer.from('hello dledger') }
  const sample =
    '{"body":"aGVsbG8gZGxlZGdlcg==","bodyCrc":0,"chainCrc":0,"channel":0,"index":42,"magic":1,' +
    '"pos":8192,"size":61,"term":3}'
  assert.equal(writeBody(entryBody(entry)).toString(), sample)
})

test('what is not what it should be is refused by name', () => {
  const body = readBody(Buffer.from('{"a":1.5,"b":[1],"c":"AA","d":12345678901234567890}'), 'it')
  assert.throws(() => integerIn(body, 'a'), { code: 'BAD_REQUEST', message: /^a is no whole/ })
  assert.throws(() => integerIn(body, 'd'), { code: 'BAD_REQUEST', message: /^d is no whole/ })
  assert.throws(() => textIn(body, 'b'), { code: 'BAD_REQUEST', message: /^b is no text/ })
  assert.throws(() => listIn(body, 'c'), { code: 'BAD_REQUEST', message: /^c is no list/ })
  for (const value of ['AA', 'A===', '****', 7, null]) {
    assert.throws(() => bytesOf(value, 'body'), { code: 'BAD_REQUEST', message: /no Base64/ })
  }
  for (const text of ['', '[]', '{', 'null']) {
    assert.throws(() => readBody(Buffer.from(text), 'it'), { code: 'BAD_REQUEST' }, text)
  }
})

test('numbers may come as text, as fastjson takes them', () => {
  assert.equal(integerIn({ term: '12' }, 'term'), 12)
  assert.equal(integerIn({}, 'term'), undefined)
})

test('an answer of which nobody knows what it means leaves a write unsure', () => {
  assert.equal(mayCommitAfter(DledgerCode.NOT_LEADER), false)
  assert.equal(mayCommitAfter(DledgerCode.TERM_CHANGED), true)
  assert.equal(mayCommitAfter(DledgerCode.WAIT_QUORUM_ACK_TIMEOUT), true)
  assert.equal(mayCommitAfter(-1), true)
  assert.equal(mayCommitAfter(codeOfError('LEADERSHIP_LOST')), true)
  assert.equal(mayCommitAfter(codeOfError('HANDING_OVER')), false)
  assert.equal(codeText(404), 'NOT_LEADER (404)')
  assert.equal(codeText(999), 'UNKNOWN (999)')
})
