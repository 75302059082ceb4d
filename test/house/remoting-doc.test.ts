import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { withTables } from '../../scripts/remoting-tables.ts'

const PATH = new URL('../../docs/protocol/remoting.md', import.meta.url)

test('docs/protocol/remoting.md lists the requests that are answered', () => {
  const text = readFileSync(PATH, 'utf8')
  assert.equal(withTables(text), text, 'npm run docs brings it up to date')
})

test('a table that is out of date is noticed, and one without a place is refused', () => {
  const text = readFileSync(PATH, 'utf8')
  const stale = text.replace(/^\| 34 .*\n/m, '')
  assert.notEqual(stale, text)
  assert.equal(withTables(stale), text)
  assert.throws(() => withTables('no tables'), /no place for "broker"/)
})
