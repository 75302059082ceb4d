import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allocateLedgerState,
  LedgerStateReader,
  LedgerStateWriter,
  PeerWord,
  StateWord,
} from './ledger-state.ts'

test('a reader sees the newest whole record, however far it fell behind', () => {
  const shared = allocateLedgerState(2)
  const writer = new LedgerStateWriter(shared)
  const reader = new LedgerStateReader(shared)
  assert.equal(reader.refresh(), false)
  for (let at = 1; at <= 1_000; at++) {
    writer.set(StateWord.committedIndex, at)
    writer.set(StateWord.committedPosition, at * 100)
    writer.setPeer(1, PeerWord.matchPosition, at * 7)
    writer.publish()
    // Falls behind by more records than are kept, and by fewer.
    if (at % 13 !== 0 && at % 5 !== 0) continue
    assert.equal(reader.refresh(), true)
    assert.equal(reader.get(StateWord.committedIndex), at)
    assert.equal(reader.get(StateWord.committedPosition), at * 100)
    assert.equal(reader.peer(1, PeerWord.matchPosition), at * 7)
    assert.equal(reader.peer(0, PeerWord.matchPosition), 0)
    assert.equal(reader.refresh(), false)
  }
})

test('nothing is published while nothing changed', () => {
  const shared = allocateLedgerState(0)
  const writer = new LedgerStateWriter(shared)
  const reader = new LedgerStateReader(shared)
  writer.publish()
  assert.equal(reader.refresh(), true)
  writer.set(StateWord.term, 0)
  writer.publish()
  assert.equal(reader.refresh(), false)
})

test('wishes and counts travel back', () => {
  const shared = allocateLedgerState(0)
  const writer = new LedgerStateWriter(shared)
  const reader = new LedgerStateReader(shared)
  assert.equal(writer.wantsCommits, false)
  reader.wantCommits(true)
  assert.equal(writer.wantsCommits, true)
  reader.noteTaken()
  reader.noteTaken()
  assert.equal(writer.notesTaken, 2)
  writer.storeChanged()
  assert.equal(reader.storeChanges, 1)
})
