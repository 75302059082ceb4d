import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProperties } from '@ringledger/protocol'
import fc from 'fast-check'
import { scanPlainProperties } from './send-properties.ts'

function scan(text: string) {
  const bytes = Buffer.from(text)
  const found = { uniqueKeyStart: -1, uniqueKeyBytes: 0, terminated: true }
  const plain = scanPlainProperties(bytes, 0, bytes.length, found)
  const { uniqueKeyStart: start, uniqueKeyBytes } = found
  const key = start < 0 ? undefined : bytes.toString('utf8', start, start + uniqueKeyBytes)
  return { plain, key, terminated: found.terminated }
}

test('ordinary properties are plain, and their unique key is found', () => {
  const text = formatProperties(
    new Map([
      ['TAGS', 'A'],
      ['UNIQ_KEY', 'FD00'],
      ['WAIT', 'true'],
    ]),
  )
  assert.deepEqual(scan(text), { plain: true, key: 'FD00', terminated: true })
  assert.deepEqual(scan('TAGS\u0001A'), { plain: true, key: undefined, terminated: false })
  assert.deepEqual(scan(''), { plain: true, key: undefined, terminated: true })
})

test('what needs the broker thread is never plain, wherever it stands', () => {
  for (const name of ['DELAY', 'TIMER_DELAY_SEC', 'TRAN_MSG', 'INNER_NUM', 'POP_CK', 'MSG_TYPE']) {
    assert.equal(scan(`${name}\u00011\u0002`).plain, false, name)
    assert.equal(scan(`TAGS\u0001x\u0002${name}\u00011`).plain, false, name)
  }
})

test('any bytes are scanned to an end', () => {
  const byte = fc.constantFrom(1, 2, 65, 68, 85, 95)
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 60 }), (bytes) => {
      const buffer = Buffer.from(bytes)
      const found = { uniqueKeyStart: -1, uniqueKeyBytes: 0, terminated: true }
      scanPlainProperties(buffer, 0, buffer.length, found)
      assert.ok(found.uniqueKeyStart + found.uniqueKeyBytes <= buffer.length)
    }),
  )
})
