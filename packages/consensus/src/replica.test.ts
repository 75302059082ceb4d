import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blankNeeded, ENTRY_HEADER_BYTES } from '@ringledger/protocol'
import { ARENA_BYTES, OtherLog, SEGMENT_BYTES, TestReplica } from './replica-fake.ts'

/** What a node's file holds must be what the other log holds. */
function assertSameFile(node: TestReplica, other: OtherLog): void {
  assert.equal(node.halted, '')
  assert.equal(node.storage.end.endPosition, other.end)
  assert.ok(node.storage.file.subarray(0, other.end).equals(other.bytes(0, other.end)))
}

/** Entries of `term` until the log is several laps longer. */
function fillLaps(other: OtherLog, term: number): void {
  const end = other.end + 3 * ARENA_BYTES
  for (let size = 500; other.end < end; size = (size + 777) % 3900) other.append(term, size)
}

/** A leader whose socket to `n2` has stopped taking the bytes that it was sent. */
function leaderWithStuckPeer(): TestReplica {
  const node = new TestReplica()
  node.elect()
  node.settle(['n1', 'n2'])
  node.peers.stuck.add('n2')
  node.append(3000)
  node.settle()
  assert.ok(node.arena.pinned < node.replica.endPosition, 'a socket holds bytes of the arena')
  return node
}

/** Another node leads `term`, with all that this node has. */
function depose(node: TestReplica, term: number): OtherLog {
  const other = new OtherLog()
  other.adopt(node, node.replica.endPosition)
  const { end } = other
  other.append(term, 100)
  other.send(node, 'n1', term, end, other.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.equal(node.replica.leading, false)
  assert.equal(node.replica.endPosition, other.end)
  return other
}

test('what was laid before a message that ends the term is in the log under that term', () => {
  const node = new TestReplica()
  node.elect()
  const { term } = node.replica
  const end = node.append(100)
  // Nothing was published yet; now a higher term is heard of.
  node.receive({
    type: 'preVoteReply',
    from: 'n1',
    to: 'n0',
    term: term + 1,
    nextTerm: term + 2,
    granted: false,
    reason: 'termBehind',
  })
  assert.equal(node.replica.leading, false)
  assert.equal(node.roles.at(-1)?.role, 'follower')
  const status = node.replica.raft.status()
  assert.deepEqual([status.endPosition, status.lastTerm], [end, term])
  node.storage.run(node.replica)
  assert.deepEqual([node.storage.end.endPosition, node.storage.end.lastTerm], [end, term])
})

test('a deposed leader follows through whole laps after a socket of its own time has emptied', () => {
  const node = leaderWithStuckPeer()
  const other = depose(node, 9)
  node.peers.drain('n2')
  fillLaps(other, 9)
  other.stream(node, 'n1', 9)
  assertSameFile(node, other)
  assert.deepEqual(node.peers.dropped, [])
})

test('a deposed leader lets go of a peer that never takes the bytes of its time', () => {
  const node = leaderWithStuckPeer()
  const other = depose(node, 9)
  fillLaps(other, 9)
  other.stream(node, 'n1', 9)
  assertSameFile(node, other)
  assert.deepEqual(
    node.peers.dropped.map(({ id }) => id),
    ['n2'],
  )
})

test('bytes of a cut tail that a socket still reads are not overwritten: the peer is let go', () => {
  const node = leaderWithStuckPeer()
  const kept = node.replica.endPosition
  node.append(2000, 7)
  node.replica.endTurn()
  node.storage.run(node.replica)
  const other = new OtherLog()
  other.adopt(node, kept)
  other.append(9, 3000)
  other.send(node, 'n1', 9, kept, other.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.equal(node.replica.endPosition, kept)
  other.stream(node, 'n1', 9)
  assertSameFile(node, other)
  assert.deepEqual(
    node.peers.dropped.map(({ id }) => id),
    ['n2'],
  )
})

function endAfter(node: TestReplica, bodyBytes: number): number {
  const { endPosition } = node.replica
  const entryBytes = ENTRY_HEADER_BYTES + bodyBytes
  const blank = blankNeeded(endPosition % SEGMENT_BYTES, entryBytes, SEGMENT_BYTES)
  return endPosition + blank + entryBytes
}

/** No majority answers any more; then one does, and the node leads its next term. */
function leadAgain(node: TestReplica): void {
  const { term } = node.replica
  for (let ticks = 0; ticks < 100 && node.replica.leading; ticks++) node.replica.tick()
  assert.equal(node.replica.leading, false)
  node.elect()
  assert.ok(node.replica.term > term)
  assert.equal(node.halted, '')
}

test('a leader whose disk is full lays its next barrier into what clients may not fill', () => {
  const node = new TestReplica()
  node.elect()
  node.settle(['n1', 'n2'])
  node.storage.full = true
  const durable = node.storage.end.endPosition
  for (const bodyBytes of [500, 0]) {
    while (node.replica.claim(bodyBytes) >= 0) {
      node.replica.seal()
      node.settle(['n1', 'n2'])
    }
  }
  assert.equal(node.replica.committedPosition, node.replica.endPosition)
  assert.equal(node.storage.end.endPosition, durable)
  const { endPosition } = node.replica
  leadAgain(node)
  assert.ok(node.replica.endPosition > endPosition)
  node.storage.full = false
  node.settle()
  assert.equal(node.storage.end.endPosition, node.replica.endPosition)
})

test('a leader that is elected again lays its barrier over what a stuck socket holds', () => {
  const node = leaderWithStuckPeer()
  const limit = node.arena.pinned + ARENA_BYTES
  for (const bodyBytes of [500, 0]) {
    while (endAfter(node, bodyBytes) <= limit) {
      node.append(bodyBytes)
      node.settle()
    }
  }
  assert.deepEqual(node.peers.dropped, [])
  leadAgain(node)
  assert.equal(node.storage.end.lastTerm, node.replica.term)
  assert.deepEqual(
    node.peers.dropped.map(({ id }) => id),
    ['n2'],
  )
})

test('a cut behind what this very turn took comes after the write of it', () => {
  const node = new TestReplica()
  const older = new OtherLog()
  const shared = older.append(3, 100)
  older.append(4, 200)
  const newer = new OtherLog()
  newer.append(3, 100)
  newer.append(5, 300)
  // Both leaders' words lay in the sockets, as after a stopped process goes on.
  older.send(node, 'n1', 4, 0, older.end)
  newer.send(node, 'n2', 5, shared, newer.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.equal(node.replica.endPosition, shared)
  newer.stream(node, 'n2', 5)
  assertSameFile(node, newer)
})

/** A follower of `n1` that has entries of term 3 committed, and their log. */
function committedFollower(): { node: TestReplica; other: OtherLog } {
  const node = new TestReplica()
  const other = new OtherLog()
  for (let entries = 0; entries < 4; entries++) other.append(3, 100)
  other.stream(node, 'n1', 3)
  node.receive({ ...other.message('n1', 3, other.end, other.end), commitPosition: other.end })
  assert.equal(node.replica.committedPosition, other.end)
  return { node, other }
}

test('a node leaves the group rather than follow a leader that lost what is committed', () => {
  const { node, other } = committedFollower()
  const lost = new OtherLog()
  for (let entries = 0; entries < 3; entries++) lost.append(3, 100)
  const { end } = lost
  lost.append(5, 300)
  lost.send(node, 'n2', 5, end, lost.end)
  assert.match(node.halted, /lost acknowledged entries/)
  node.storage.run(node.replica)
  assert.equal(node.storage.end.endPosition, other.end)
})

test('the same when the leader has gone on behind the place where the logs part', () => {
  const { node } = committedFollower()
  const lost = new OtherLog()
  for (let entries = 0; entries < 2; entries++) lost.append(3, 100)
  for (let entries = 0; entries < 2; entries++) lost.append(5, 100)
  const { end } = lost
  lost.append(5, 100)
  // Its entries are as long as ours, so that every position is an end of entries in both logs.
  lost.send(node, 'n2', 5, end, lost.end)
  assert.match(node.halted, /lost acknowledged entries/)
})

test('entries that are committed here already are taken again without harm', () => {
  const { node, other } = committedFollower()
  const { end } = other
  other.append(3, 50)
  other.send(node, 'n1', 3, 0, other.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.ok(other.end > end)
  assertSameFile(node, other)
})
