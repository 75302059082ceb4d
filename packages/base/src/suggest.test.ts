import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editDistance, nearest } from './suggest.ts'

test('edit distance counts inserts, deletes, replacements and swaps of neighbours', () => {
  assert.equal(editDistance('', 'abc'), 3)
  assert.equal(editDistance('listenPort', 'listenPort'), 0)
  assert.equal(editDistance('lsitenPort', 'listenPort'), 1)
  assert.equal(editDistance('listnPort', 'listenPort'), 1)
  assert.equal(editDistance('abcdef', 'azcdxf'), 2)
})

test('edit distance is symmetric and zero only for equal words', () => {
  const word = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(word, word, (left, right) => {
      const distance = editDistance(left, right)
      assert.equal(distance, editDistance(right, left))
      assert.equal(distance === 0, left === right)
      assert.ok(distance <= Math.max(left.length, right.length))
    }),
  )
})

test('the nearest name is found for the spellings that people use', () => {
  const keys = ['enableDLegerCommitLog', 'dLegerGroup', 'dLegerPeers', 'listenPort', 'brokerName']
  assert.equal(nearest('enableDLedgerCommitLog', keys), 'enableDLegerCommitLog')
  assert.equal(nearest('dledgerpeers', keys), 'dLegerPeers')
  assert.equal(nearest('borkerName', keys), 'brokerName')
  assert.equal(nearest('somethingElse', keys), undefined)
})
